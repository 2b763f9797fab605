//! Questions, for those who can be asked.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use crate::harness::{KEY, Sandbox};
use crate::stand_in::{StandIn, success};
use crate::terminal::{read_until, terminal};
use crate::views::me;

/// Starts the binary with somebody at its terminal.
pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str], program: File) -> std::process::Child {
    let stdin = Stdio::from(program.try_clone().expect("a terminal"));
    let mut command = sandbox.command(arguments);
    command
        .stdin(stdin)
        .stderr(Stdio::from(program))
        .spawn()
        .expect("the binary starts")
}

#[test]
fn a_typed_key_is_not_shown() {
    let server = StandIn::start(|_, _, _| success(me()));
    let sandbox = Sandbox::new();
    let (mut person, program) = terminal();
    let child = start(&sandbox, &["login", "--api-url", server.url()], program);
    let question = read_until(&mut person, "API key for ");
    assert!(!question.contains(KEY));
    // A wrong key stroke, taken back.
    write!(person, "x\x7f{KEY}\r").expect("the binary reads");
    let after = read_until(&mut person, "\n");
    assert!(!after.contains("tose_sk_"), "{after}");
    sandbox.wait(child).ok();
    assert_eq!(server.requests()[0].key.as_deref(), Some(KEY));
}

#[test]
fn an_interrupted_question_ends_the_command() {
    let sandbox = Sandbox::new();
    let (mut person, program) = terminal();
    let child = start(&sandbox, &["login"], program);
    read_until(&mut person, "API key for ");
    person.write_all(b"\x03").expect("the binary reads");
    read_until(&mut person, "cancelled");
    assert_eq!(sandbox.wait(child).code, Some(2));
}

#[test]
fn a_deletion_is_confirmed_by_typing_the_slug() {
    let server = StandIn::start(|_, _, _| success(serde_json::json!({ "deleted": "hello" })));
    let sandbox = Sandbox::linked(&server);
    for (answer, code) in [("no", 2), ("hello", 0)] {
        let (mut person, program) = terminal();
        let child = start(&sandbox, &["down", "--delete"], program);
        read_until(&mut person, "Type `hello` to delete it: ");
        assert!(server.requests().is_empty());
        writeln!(person, "{answer}").expect("the binary reads");
        assert_eq!(sandbox.wait(child).code, Some(code));
    }
    assert_eq!(
        server.transcript(),
        "DELETE /api/workspaces/demo/projects/hello"
    );
}
