//! Secrets for the steps of a build that ask for them: `RUN --mount=type=secret` in a Dockerfile.
//!
//! The engine's builder knows no mounts, so a Dockerfile with some is translated. Each of its steps
//! becomes a step that runs a shell of ours around the step's own command; the values come to that shell
//! in a build argument that engines predefine and keep out of images, histories and cache keys.
//!
//! Guarantees: a step gets the secrets that it asks for and no others; their values stand in no
//! Dockerfile; a file that held one is gone when its step ends, however the command ended.
//! Assumption: the image has `/bin/sh`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use tose_api::EnvKey;

use crate::dockerfile::{Instruction, has_escape_directive, instructions};
use crate::error::{Error, Result};
use crate::secret::{ExposeSecret, SecretString};

/// The build argument that carries the values. Engines predefine it for proxies; nobody fetches
/// packages by FTP.
pub const CHANNEL: &str = "ftp_proxy";
/// Values shorter than this are not looked for in logs: they would be found everywhere.
const MIN_MASKED: usize = 6;
/// What stands in a log in place of a value.
const MASK: &str = "[secret]";
/// How many words of a translated step are ours.
const OURS: usize = 4;
/// What our shell does around a step: makes the values known, then runs the step's own command.
const AROUND: &str = "eval \"$ftp_proxy\";unset ftp_proxy;";

/// A Dockerfile for a builder that knows no mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// Its text.
    pub text: String,
    /// The secrets that it asks for, and whether it cannot do without.
    pub secrets: BTreeMap<EnvKey, bool>,
    /// Whether it has mounts that keep a cache, which are left out.
    pub has_caches: bool,
}

/// One secret of one step.
struct Mount {
    key: EnvKey,
    variable: Option<EnvKey>,
    file: Option<String>,
    is_required: bool,
}

/// Translates a Dockerfile; `None` where no step has a mount.
///
/// # Errors
/// `Invalid` in words for the Dockerfile's author: a mount of another type, a step that cannot be
/// translated.
pub fn translate(dockerfile: &str) -> Result<Option<Translated>> {
    let instructions = instructions(dockerfile);
    let has_mounts = |one: &Instruction| one.is("RUN") && one.text.contains("--mount");
    if !instructions.iter().any(has_mounts) {
        return Ok(None);
    }
    if has_escape_directive(dockerfile) {
        return refuse("a Dockerfile with RUN --mount cannot have another escape character");
    }
    let mut out = Translated {
        text: String::new(),
        secrets: BTreeMap::new(),
        has_caches: false,
    };
    let mut steps = Vec::with_capacity(instructions.len());
    for one in &instructions {
        let mounts = if one.is("RUN") {
            let (mounts, has_cache, command) = split_step(one.arguments())?;
            out.has_caches |= has_cache;
            for mount in &mounts {
                *out.secrets.entry(mount.key.clone()).or_default() |= mount.is_required;
            }
            Some((mounts, command))
        } else {
            None
        };
        steps.push(mounts);
    }
    let is_carried = !out.secrets.is_empty();
    let mut shell = default_shell();
    for (one, step) in instructions.iter().zip(steps) {
        match step {
            Some((mounts, command)) if is_carried => {
                write_step(&mut out.text, &shell, &mounts, command)
            }
            Some((_, command)) => writeln_to(&mut out.text, &format!("RUN {command}")),
            None => {
                if one.is("FROM") {
                    shell = default_shell();
                } else if one.is("SHELL") {
                    shell = json_words(one.arguments()).unwrap_or_else(default_shell);
                } else if (one.is("ARG") || one.is("ENV"))
                    && is_carried
                    && one.arguments().contains(CHANNEL)
                {
                    return refuse("a Dockerfile with secrets cannot declare ftp_proxy");
                }
                out.text.push_str(&one.source);
            }
        }
    }
    Ok(Some(out))
}

/// A step as its author wrote it, without the shell of ours around it and without its mounts; any other
/// text as it is.
pub fn as_written(step: &str) -> Cow<'_, str> {
    let words = step.strip_prefix("RUN ").and_then(json_words);
    let is_ours = |words: &Vec<String>| {
        words
            .get(2)
            .is_some_and(|script| script.starts_with(AROUND))
    };
    let Some(own) = words.filter(is_ours).map(|words| words[OURS..].to_vec()) else {
        return Cow::Borrowed(step);
    };
    match own.as_slice() {
        [shell, option, command] if shell.ends_with("sh") && option.ends_with('c') => {
            Cow::Owned(format!("RUN {command}"))
        }
        own => Cow::Owned(format!(
            "RUN {}",
            serde_json::to_string(own).expect("texts are JSON")
        )),
    }
}

/// Has each step of a Dockerfile of ours get these secrets as variables.
pub fn ask_for(dockerfile: &str, secrets: &BTreeSet<EnvKey>) -> String {
    let mounts: String = secrets
        .iter()
        .map(|key| format!("--mount=type=secret,id={key},env={key},required=true "))
        .collect();
    let line = |line: &str| match line.strip_prefix("RUN ") {
        Some(command) => format!("RUN {mounts}{command}\n"),
        None => format!("{line}\n"),
    };
    dockerfile.lines().map(line).collect()
}

/// What the build argument [`CHANNEL`] carries: text for a shell that makes the values known to the
/// functions by which steps ask for them.
pub fn carry(secrets: &BTreeMap<EnvKey, SecretString>) -> SecretString {
    let mut text = String::from("tose_value(){ case \"$1\" in ");
    for (key, value) in secrets {
        // Writing to a String cannot fail.
        let _ = write!(text, "{key}) tose_v={};;", quote(value.expose_secret()));
    }
    text.push_str(
        "*) unset tose_v; return 1;; esac; }\n\
         tose_env(){ if tose_value \"$1\"; then export \"$2=$tose_v\"; unset tose_v; fi; }\n\
         tose_file(){ if tose_value \"$1\"; then \
         if [ -e \"$2\" ]; then echo \"the image has a file at $2 already\" >&2; return 1; fi; \
         mkdir -p \"$(dirname \"$2\")\" && \
         (umask 0377; printf %s \"$tose_v\" >\"$2\") || return 1; unset tose_v; fi; }\n",
    );
    SecretString::from(text)
}

/// A text as one word of a shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Puts something else in place of secrets in texts that people read.
#[derive(Debug, Clone, Default)]
pub struct Masks(Vec<SecretString>);

impl Masks {
    /// For these values and for each line of them.
    pub fn new<'a>(values: impl Iterator<Item = &'a SecretString>) -> Self {
        let mut texts: Vec<String> = values
            .flat_map(|value| {
                value
                    .expose_secret()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter(|line| line.len() >= MIN_MASKED)
            .collect();
        // A value that holds another one is masked as a whole.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(texts.into_iter().map(SecretString::from).collect())
    }

    /// The text without them.
    pub fn apply(&self, mut text: String) -> String {
        for value in &self.0 {
            if text.contains(value.expose_secret()) {
                text = text.replace(value.expose_secret(), MASK);
            }
        }
        text
    }
}

fn refuse<T>(problem: &str) -> Result<T> {
    Err(Error::invalid(problem))
}

fn default_shell() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
}

fn json_words(text: &str) -> Option<Vec<String>> {
    let words: Vec<String> = serde_json::from_str(text.trim()).ok()?;
    (!words.is_empty()).then_some(words)
}

/// The secrets of a step, whether it has a mount that keeps a cache, and the rest.
fn split_step(arguments: &str) -> Result<(Vec<Mount>, bool, &str)> {
    let (mut rest, mut mounts, mut has_cache) = (arguments, Vec::new(), false);
    while let Some(flag) = rest.strip_prefix("--mount") {
        let flag = flag.strip_prefix('=').unwrap_or(flag.trim_start());
        let end = flag.find(char::is_whitespace).unwrap_or(flag.len());
        let (options, after) = flag.split_at(end);
        rest = after.trim_start();
        let options = options.trim_matches('"');
        let kind = options
            .split(',')
            .find_map(|option| option.strip_prefix("type="));
        match kind {
            Some("secret") => mounts.push(parse_mount(options)?),
            Some("cache") => has_cache = true,
            _ => {
                return refuse(&format!(
                    "RUN --mount={options}: only mounts of the types secret and cache are known here; COPY what a step needs"
                ));
            }
        }
    }
    if rest.starts_with("<<") {
        return refuse(
            "RUN <<: documents are not known here; put the commands into one line, or into a script",
        );
    }
    Ok((mounts, has_cache, rest))
}

fn parse_mount(options: &str) -> Result<Mount> {
    let problem = |text: &str| Error::invalid(format!("RUN --mount={options}: {text}"));
    let key = |text: &str| {
        text.parse::<EnvKey>()
            .map_err(|_| problem("id and env have to be names of variables, such as NPM_TOKEN"))
    };
    let (mut id, mut variable, mut file, mut is_required) = (None, None, None, false);
    for option in options.split(',') {
        match option.split_once('=').unwrap_or((option, "true")) {
            ("type", _) | ("mode" | "uid" | "gid", _) => {}
            ("id", text) => id = Some(key(text)?),
            ("env", text) => variable = Some(key(text)?),
            ("target" | "dst" | "destination", path) if path.starts_with('/') => {
                file = Some(path.to_owned());
            }
            ("required", text) => is_required = text == "true",
            (name, _) => return Err(problem(&format!("the option {name} is not known here"))),
        }
    }
    let key =
        id.ok_or_else(|| problem("it has no id: the name of a secret variable of the project"))?;
    if variable.is_none() && file.is_none() {
        file = Some(format!("/run/secrets/{key}"));
    }
    Ok(Mount {
        key,
        variable,
        file,
        is_required,
    })
}

/// Writes a step whose command runs inside our shell, which lives on after it.
fn write_step(out: &mut String, shell: &[String], mounts: &[Mount], command: &str) {
    let mut script = String::from(AROUND);
    let mut files = String::new();
    for Mount {
        key,
        variable,
        file,
        ..
    } in mounts
    {
        if let Some(variable) = variable {
            let _ = write!(script, "tose_env {key} {variable}||exit;");
        }
        if let Some(file) = file {
            let _ = write!(script, "tose_file {key} {}||exit;", quote(file));
            let _ = write!(files, " {}", quote(file));
        }
    }
    // What replaces our shell has none of the other values in what it was started with.
    script.push_str("exec ");
    if !files.is_empty() {
        let clean = format!("\"$@\";c=$?;rm -f{files}||exit;exit $c");
        let _ = write!(script, "/bin/sh -c {} sh ", quote(&clean));
    }
    script.push_str("\"$@\"");
    let own = json_words(command).unwrap_or_else(|| {
        let own = shell.iter().cloned();
        own.chain([command.to_owned()]).collect()
    });
    let ours = ["/bin/sh", "-c", &script, "sh"].map(str::to_owned);
    let words: Vec<String> = ours.into_iter().chain(own).collect();
    let json = serde_json::to_string(&words).expect("texts are JSON");
    writeln_to(
        out,
        &format!("RUN {}", json.replace("<<", "\\u003c\\u003c")),
    );
}

fn writeln_to(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(text: &str) -> Translated {
        let found = translate(text).expect("a translation");
        found.expect("it has mounts")
    }

    #[test]
    fn a_dockerfile_without_mounts_stays_as_it_is() {
        let text = "FROM x\nRUN a \\\n  b\n# RUN --mount\n";
        assert_eq!(translate(text).expect("good"), None);
    }

    #[test]
    fn caches_are_left_out_and_nothing_else_changes() {
        let text = "# c\nFROM x\nRUN --mount=type=cache,target=/cache npm ci \\\n  # why\n  --quiet\nCOPY . .\n";
        let found = translated(text);
        assert_eq!(found.text, "# c\nFROM x\nRUN npm ci   --quiet\nCOPY . .\n");
        assert!(found.has_caches && found.secrets.is_empty());
    }

    #[test]
    fn a_step_asks_for_its_secrets_and_the_others_for_none() {
        let text = "FROM x\nRUN one\nRUN --mount=type=secret,id=TOKEN,env=T --mount=type=secret,id=KEY,required=true [\"two\", \"x y\"]\nSHELL [\"/bin/bash\", \"-ec\"]\nRUN three | four\n";
        let found = translated(text);
        let expected = r#"FROM x
RUN ["/bin/sh","-c","eval \"$ftp_proxy\";unset ftp_proxy;exec \"$@\"","sh","/bin/sh","-c","one"]
RUN ["/bin/sh","-c","eval \"$ftp_proxy\";unset ftp_proxy;tose_env TOKEN T||exit;tose_file KEY '/run/secrets/KEY'||exit;exec /bin/sh -c '\"$@\";c=$?;rm -f '\\''/run/secrets/KEY'\\''||exit;exit $c' sh \"$@\"","sh","two","x y"]
SHELL ["/bin/bash", "-ec"]
RUN ["/bin/sh","-c","eval \"$ftp_proxy\";unset ftp_proxy;exec \"$@\"","sh","/bin/bash","-ec","three | four"]
"#;
        assert_eq!(found.text, expected);
        let shown: Vec<_> = expected.lines().map(as_written).collect();
        let written = [
            "FROM x",
            "RUN one",
            r#"RUN ["two","x y"]"#,
            r#"SHELL ["/bin/bash", "-ec"]"#,
            "RUN three | four",
        ];
        assert_eq!(shown, written);
        let secrets: Vec<_> = found
            .secrets
            .iter()
            .map(|(key, is)| (key.as_str(), *is))
            .collect();
        assert_eq!(secrets, [("KEY", true), ("TOKEN", false)]);
    }

    #[test]
    fn what_cannot_be_translated_is_refused_with_words() {
        for (step, words) in [
            (
                "RUN --mount=type=bind,target=/x y",
                "only mounts of the types secret and cache",
            ),
            (
                "RUN --mount=type=ssh y",
                "only mounts of the types secret and cache",
            ),
            ("RUN --mount=type=secret y", "it has no id"),
            ("RUN --mount=type=secret,id=a-b y", "names of variables"),
            ("RUN --mount=type=secret,id=A,x=1 y", "the option x"),
            (
                "RUN --mount=type=secret,id=A <<EOF",
                "documents are not known",
            ),
            (
                "ARG ftp_proxy\nRUN --mount=type=secret,id=A y",
                "cannot declare ftp_proxy",
            ),
        ] {
            let error = translate(&format!("FROM x\n{step}\n")).expect_err("refused");
            assert!(error.to_string().contains(words), "{step}: {error}");
        }
    }

    #[test]
    fn a_recipes_steps_all_get_what_the_source_asks_for() {
        let keys = BTreeSet::from(["NPM_TOKEN".parse().expect("a name")]);
        let text = ask_for("FROM x\nRUN npm ci\nCMD [\"a\"]\n", &keys);
        let expected = "FROM x\nRUN --mount=type=secret,id=NPM_TOKEN,env=NPM_TOKEN,required=true npm ci\nCMD [\"a\"]\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn values_are_masked_line_by_line_and_short_ones_are_not() {
        let values = [
            "s3cr3t-and-more",
            "s3cr3t",
            "abc",
            "first line\nsecond line",
        ]
        .map(SecretString::from);
        let masks = Masks::new(values.iter());
        let shown = masks.apply("s3cr3t-and-more s3cr3t abc; second line".to_owned());
        assert_eq!(shown, "[secret] [secret] abc; [secret]");
    }
}
