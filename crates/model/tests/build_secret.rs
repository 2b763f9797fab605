//! Secrets of builds in a real shell: every value arrives as it is, and where it is asked for only.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use proptest::prelude::*;
use tose_api::EnvKey;
use tose_model::build_secret::{CHANNEL, carry, translate};
use tose_model::secret::{ExposeSecret, SecretString};

/// Runs this step as an engine would, with these secrets.
#[expect(clippy::disallowed_methods, reason = "the words are this test's own")]
fn run(step: &str, secrets: &[(&str, &str)]) -> Output {
    let text = translate(&format!("FROM x\n{step}\n"))
        .expect("a translation")
        .expect("it has mounts")
        .text;
    let line = text.lines().last().expect("a step");
    let json = line.strip_prefix("RUN ").expect("a step");
    let words: Vec<String> = serde_json::from_str(json).expect("JSON");
    let secrets: BTreeMap<EnvKey, SecretString> = secrets
        .iter()
        .map(|(key, value)| (key.parse().expect("a name"), SecretString::from(*value)))
        .collect();
    Command::new(&words[0])
        .args(&words[1..])
        .env(CHANNEL, carry(&secrets).expose_secret())
        .output()
        .expect("a shell")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_arrives_byte_for_byte(value in "[^\\x00]{0,60}") {
        let step = "RUN --mount=type=secret,id=A,env=B printf %s \"$B\"";
        let output = run(step, &[("A", &value), ("C", "other")]);
        prop_assert!(output.status.success());
        prop_assert_eq!(output.stdout, value.into_bytes());
    }
}

#[test]
fn a_file_is_there_for_its_command_and_gone_after_it_however_it_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("deep/token");
    let step = format!(
        "RUN --mount=type=secret,id=A,target={} cat {0}; exec sh -c 'exit 7'",
        file.display()
    );
    let output = run(&step, &[("A", "value\n")]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"value\n");
    assert!(!file.exists());
}

#[test]
fn a_command_finds_no_secret_that_it_did_not_ask_for() {
    let step = "RUN --mount=type=secret,id=A,env=A env; set; cat /proc/$$/environ /proc/$PPID/environ; tose_value B";
    let output = run(step, &[("A", "asked-for"), ("B", "not-asked-for")]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        shown.contains("asked-for") && !shown.contains("not-asked-for"),
        "{shown}"
    );
    assert!(!output.status.success(), "the function is gone");
}

#[test]
fn a_step_with_a_file_starts_its_command_from_a_clean_shell() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("token");
    let step = format!(
        "RUN --mount=type=secret,id=A,target={} tr '\\0' '\\n' < /proc/$PPID/environ",
        file.display()
    );
    let output = run(
        &step,
        &[("A", "asked-for-as-a-file"), ("B", "not-asked-for")],
    );
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        shown.contains("PATH=") && !shown.contains("asked-for"),
        "{shown}"
    );
}

#[test]
fn a_file_of_the_image_is_neither_written_over_nor_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("config");
    std::fs::write(&file, "the image's own").expect("a file");
    let step = format!(
        "RUN --mount=type=secret,id=A,target={} true",
        file.display()
    );
    let output = run(&step, &[("A", "value")]);
    assert!(!output.status.success());
    let kept = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(kept, "the image's own");
}
