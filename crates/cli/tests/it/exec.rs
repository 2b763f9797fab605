//! `tose exec`: what comes back from a command, by call and in a terminal.

use std::io::Write;
use std::process::Stdio;

use insta::assert_snapshot;
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use tokio_tungstenite::tungstenite::Message;
use tose_api::exec::ExecResult;

use crate::harness::Sandbox;
use crate::stand_in::{Answer, StandIn, failure, success};
use crate::terminal::{read_until, terminal};

fn result(exit_code: Option<i64>) -> ExecResult {
    ExecResult {
        pod: "hello-1".to_owned(),
        exit_code,
        stdout: "to stdout".to_owned(),
        stderr: "to stderr\n".to_owned(),
        truncated: false,
        timed_out: exit_code.is_none(),
    }
}

#[test]
fn a_command_is_passed_on_as_it_is_and_so_is_what_it_writes() {
    let server = StandIn::start(|_, _, _| success(result(Some(0))));
    let sandbox = Sandbox::linked(&server);
    let arguments = [
        "exec",
        "--pod",
        "hello-1",
        "--timeout",
        "5",
        "--",
        "ls",
        "-l",
        "--json",
        "a b",
    ];
    let outcome = sandbox.run(&arguments).ok();
    assert_eq!(outcome.stdout, "to stdout");
    assert_eq!(outcome.stderr, "to stderr\n");
    assert_snapshot!(server.transcript(), @r#"POST /api/workspaces/demo/projects/hello/exec {"command":["ls","-l","--json","a b"],"pod":"hello-1","timeout_seconds":5}"#);
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    for (code, exit) in [(3, 3), (137, 137), (256, 1), (-1, 1)] {
        let server = StandIn::start(move |_, _, _| success(result(Some(code))));
        let outcome = Sandbox::linked(&server).run(&["exec", "--", "false"]);
        assert_eq!(outcome.code, Some(exit), "{outcome}");
        assert_eq!(outcome.stderr, "to stderr\n");
    }
    let server = StandIn::start(|_, _, _| success(result(Some(3))));
    assert_snapshot!(Sandbox::linked(&server).run(&["exec", "--json", "--", "false"]), @r#"
    exit: 3
    ----- stdout -----
    {
      "pod": "hello-1",
      "exit_code": 3,
      "stdout": "to stdout",
      "stderr": "to stderr\n",
      "truncated": false,
      "timed_out": false
    }

    ----- stderr -----
    "#);
}

#[test]
fn a_command_that_takes_too_long_is_told() {
    let server = StandIn::start(|_, _, _| success(result(None)));
    assert_snapshot!(Sandbox::linked(&server).run(&["exec", "--", "sleep", "60"]), @"
    exit: 124
    ----- stdout -----
    to stdout
    ----- stderr -----
    to stderr
    warning: it was still running when the time was over, and may go on: wait longer with --timeout, or run it with --tty
    ");
}

#[test]
fn a_command_needs_a_replica() {
    let server = StandIn::start(|_, _, _| failure(409, "not_running", "no replica is running"));
    assert_snapshot!(Sandbox::linked(&server).run(&["exec", "--", "true"]), @"
    exit: 6
    ----- stdout -----

    ----- stderr -----
    error: no replica is running
    ");
}

#[test]
fn what_cannot_run_is_refused_before_anything_is_asked() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["exec"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the following required arguments were not provided:
      <COMMAND>...

    Usage: tose exec -- <COMMAND>...

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["exec", "--tty"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --tty needs a terminal on stdin and stdout: leave it out here
    ");
    assert_snapshot!(sandbox.run(&["exec", "--tty", "--json", "--", "sh"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    {"success":false,"error":"--json and --tty do not go together: leave one of them out","code":"usage"}
    "#);
    assert!(server.requests().is_empty());
}

#[test]
fn a_terminal_is_handed_over_and_given_back() {
    let server = StandIn::start(|_, _, _| {
        Answer::Talk(|socket| {
            socket
                .send(Message::binary(b"$ ".as_slice()))
                .expect("a reader");
            let mut typed = Vec::new();
            // Ctrl-C is a key like any other.
            while !typed.ends_with(b"\x03") {
                if let Message::Binary(bytes) = socket.read().expect("keys") {
                    typed.extend_from_slice(&bytes);
                }
            }
            let heard = format!("heard {}", typed.escape_ascii());
            socket
                .send(Message::binary(heard.into_bytes()))
                .expect("a reader");
            socket
                .send(Message::text(r#"{"exit_code":7}"#))
                .expect("a reader");
        })
    });
    let sandbox = Sandbox::linked(&server);
    let (mut person, program) = terminal();
    let size = Winsize {
        ws_col: 100,
        ws_row: 30,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&program, size).expect("a terminal");
    let before = tcgetattr(&program).expect("modes");
    let child = sandbox
        .command(&["exec", "-t", "--pod", "hello-1", "--", "sh", "-c", "a b"])
        .stdin(Stdio::from(program.try_clone().expect("a terminal")))
        .stdout(Stdio::from(program.try_clone().expect("a terminal")))
        .spawn()
        .expect("the binary starts");
    read_until(&mut person, "$ ");
    person.write_all(b"a\r\x03").expect("a reader");
    read_until(&mut person, "heard a\\r\\x03");
    assert_eq!(sandbox.wait(child).code, Some(7));
    let after = tcgetattr(&program).expect("modes");
    assert_eq!(before.local_modes, after.local_modes);
    assert_snapshot!(server.transcript(), @"GET /api/workspaces/demo/projects/hello/exec?command=sh&command=-c&command=a+b&pod=hello-1&tty=true&cols=100&rows=30");
}
