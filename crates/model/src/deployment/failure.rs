//! Why a version did not come to life, in words that its author can act on.

use std::time::Duration;

use tose_api::{Port, Slug};

use crate::driver::Listening;

/// What was seen of a replica that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its process ended.
    Exited {
        exit_code: i64,
        out_of_memory: bool,
        restarts: u32,
    },
    /// It ran, and its probe did not succeed in time.
    NotReady { probe: String },
    /// Its time was over before the engine had started all its replicas.
    NeverStarted,
    /// The engine could not start its process.
    CannotStart { reason: String },
}

/// What else is known when a cause is put into words.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// The process that it runs, if it answers no visitors.
    pub process: Option<Slug>,
    /// How long the replica had.
    pub waited: Duration,
    /// The sockets it listens on, if that could be seen.
    pub listening: Option<Vec<Listening>>,
    /// The last lines of its output.
    pub last_lines: Vec<String>,
}

/// The reason for the record, the build log and the API.
pub fn explain(cause: &Cause, port: Port, memory: &str, facts: &Circumstances) -> String {
    let reason = match cause {
        Cause::CannotStart { reason } => format!("the container could not be started: {reason}"),
        Cause::NeverStarted => format!(
            "the container engine did not start every replica within {} s; deploy again, and ask the operator to look at the engine if that does not help",
            facts.waited.as_secs()
        ),
        Cause::Exited {
            out_of_memory: true,
            ..
        } => format!(
            "{} was killed because it used more than its {memory} GB of memory; raise `ram` or make it use less",
            subject(facts)
        ),
        Cause::Exited {
            exit_code,
            restarts,
            ..
        } => explain_exit(&subject(facts), *exit_code, *restarts),
        Cause::NotReady { probe } => explain_not_ready(probe, port, facts),
    };
    if facts.last_lines.is_empty() {
        return reason;
    }
    format!(
        "{reason}. Its last output: {}",
        facts.last_lines.join(" | ")
    )
}

fn subject(facts: &Circumstances) -> String {
    match &facts.process {
        Some(name) => format!("the process {name}"),
        None => "the app".to_owned(),
    }
}

fn explain_exit(subject: &str, exit_code: i64, restarts: u32) -> String {
    let times = match restarts {
        0 => String::new(),
        1 => ", and again after a restart".to_owned(),
        n => format!(", and again after each of {n} restarts"),
    };
    let hint = match exit_code {
        0 => "; it has to keep running, so check its start command",
        126 => "; its start command is not executable",
        127 => "; its start command was not found in the image",
        137 => "; it was killed from outside",
        139 => "; it crashed with a segmentation fault",
        _ => "; the log has its output",
    };
    format!("{subject} exited with code {exit_code} right after it was started{times}{hint}")
}

fn explain_not_ready(probe: &str, port: Port, facts: &Circumstances) -> String {
    let seconds = facts.waited.as_secs();
    let Some(listening) = &facts.listening else {
        return format!("the app was not ready within {seconds} s: {probe}");
    };
    let mut elsewhere: Vec<u16> = listening
        .iter()
        .map(|socket| socket.addr.port())
        .filter(|p| *p != port.get())
        .collect();
    elsewhere.sort_unstable();
    elsewhere.dedup();
    let on_port: Vec<_> = listening
        .iter()
        .filter(|socket| socket.addr.port() == port.get())
        .collect();
    if on_port.is_empty() && elsewhere.is_empty() {
        return format!(
            "nothing listened on port {port} within {seconds} s; the app has to listen on the port in the variable PORT"
        );
    }
    if on_port.is_empty() {
        let ports: Vec<_> = elsewhere.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        return format!(
            "nothing listened on port {port} within {seconds} s; the process listens on {ports}. Make it listen on the port in the variable PORT, or set the project's port to {}",
            elsewhere[0]
        );
    }
    if on_port.iter().all(|socket| socket.addr.ip().is_loopback()) {
        return format!(
            "the app listens on port {port} of the loopback address only, where nobody outside its container reaches it; make it listen on 0.0.0.0"
        );
    }
    format!("the app was not ready within {seconds} s: {probe}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(addrs: &[&str]) -> Option<Vec<Listening>> {
        let parse = |text: &&str| Listening {
            addr: text.parse().expect("an address"),
        };
        Some(addrs.iter().map(parse).collect())
    }

    fn check(cause: Cause, addrs: Option<Vec<Listening>>, expected: &str) {
        let port = Port::try_from(3000).expect("a port");
        let facts = Circumstances {
            process: None,
            waited: Duration::from_secs(60),
            listening: addrs,
            last_lines: Vec::new(),
        };
        let text = explain(&cause, port, "0.5", &facts);
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn each_cause_is_named() {
        let not_ready = || Cause::NotReady {
            probe: "connection refused".to_owned(),
        };
        let exited = |exit_code, out_of_memory| Cause::Exited {
            exit_code,
            out_of_memory,
            restarts: 3,
        };
        check(
            not_ready(),
            listening(&["0.0.0.0:8080"]),
            "the process listens on 8080",
        );
        check(
            not_ready(),
            listening(&[]),
            "nothing listened on port 3000 within 60 s",
        );
        check(
            not_ready(),
            listening(&["127.0.0.1:3000"]),
            "make it listen on 0.0.0.0",
        );
        check(not_ready(), listening(&["[::]:3000"]), "connection refused");
        check(not_ready(), None, "connection refused");
        check(
            exited(1, false),
            None,
            "exited with code 1 right after it was started, and again after each of 3",
        );
        check(exited(137, true), None, "more than its 0.5 GB of memory");
    }
}
