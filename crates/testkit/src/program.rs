//! Programs: what an app of a test does, for real processes and for the fake alike.
//!
//! A program is a list of [`Act`]s, done one after the other; one that comes to its end without
//! [`Act::Exit`] waits until it is told to end. Its text (one act per line) goes into an image as
//! [`PROGRAM_FILE`], where [`INTERPRETER`] does it for real and `FakeDriver` pretends to.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use tose_api::log::LogSource;

use crate::context::{Context, context};

/// The name of the file with the program, in a context and in the image.
pub const PROGRAM_FILE: &str = "program";
/// Runs a program in a container that has python3.
pub const INTERPRETER: &str = include_str!("interpreter.py");

/// One thing that a program does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Prints a line.
    Print { source: LogSource, text: String },
    /// Prints text to standard output without a line end.
    Write { text: String },
    /// Prints a line of so many `x`.
    Fill { bytes: usize },
    /// Prints the lines `line 0`, `line 1`, and so on.
    Count { lines: u32 },
    /// Prints `KEY=value`, or `KEY is not set`.
    PrintEnv { key: String },
    /// Listens and closes each connection at once.
    Listen { addr: SocketAddr },
    /// Listens on all addresses, on the port that `PORT` names, and answers HTTP with this status.
    Serve { status: u16 },
    /// Asks `http://host:port/` and prints `fetched STATUS` or `unreachable`.
    Fetch { host: String, port: u16 },
    /// Writes a file that has this text and nothing else.
    Store { path: String, text: String },
    /// Prints the text of a file, or `PATH is not there`.
    PrintFile { path: String },
    /// Uses so much more memory.
    Allocate { mib: u64 },
    /// Ends with this code, on the first starts of the replica only.
    Crash { times: u32, code: i32 },
    /// Does not end when it is asked to.
    IgnoreTerm,
    /// Ends.
    Exit { code: i32 },
}

/// What an app does from its start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(pub Vec<Act>);

impl Default for Program {
    /// A web app that is well.
    fn default() -> Self {
        Self(vec![Act::Serve { status: 200 }])
    }
}

impl Program {
    /// A program of these acts.
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self(acts.into_iter().collect())
    }

    /// A build context whose image runs this program. `base` has python3.
    pub fn context(&self, base: &str) -> Context {
        let dockerfile = format!(
            "FROM {base}\nCOPY interpreter.py {PROGRAM_FILE} /\nCMD [\"python3\", \"/interpreter.py\", \"/{PROGRAM_FILE}\"]\n"
        );
        context(&[
            ("Dockerfile", &dockerfile),
            ("interpreter.py", INTERPRETER),
            (PROGRAM_FILE, &self.to_string()),
        ])
    }
}

impl Act {
    /// Prints a line to standard output.
    pub fn print(text: &str) -> Self {
        Self::Print {
            source: LogSource::Stdout,
            text: text.to_owned(),
        }
    }

    /// Prints a line to standard error.
    pub fn print_err(text: &str) -> Self {
        Self::Print {
            source: LogSource::Stderr,
            text: text.to_owned(),
        }
    }

    /// Listens on an address such as `0.0.0.0:3000`.
    pub fn listen(addr: &str) -> Self {
        Self::Listen {
            addr: addr.parse().expect("an address such as 0.0.0.0:3000"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|act| writeln!(f, "{act}"))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Print {
                source: LogSource::Stderr,
                text,
            } => write!(f, "print-err {text}"),
            Self::Print { text, .. } => write!(f, "print {text}"),
            Self::Write { text } => write!(f, "write {text}"),
            Self::Fill { bytes } => write!(f, "fill {bytes}"),
            Self::Count { lines } => write!(f, "count {lines}"),
            Self::PrintEnv { key } => write!(f, "print-env {key}"),
            Self::Listen { addr } => write!(f, "listen {addr}"),
            Self::Serve { status } => write!(f, "serve {status}"),
            Self::Fetch { host, port } => write!(f, "fetch {host} {port}"),
            Self::Store { path, text } => write!(f, "store {path} {text}"),
            Self::PrintFile { path } => write!(f, "print-file {path}"),
            Self::Allocate { mib } => write!(f, "allocate {mib}"),
            Self::Crash { times, code } => write!(f, "crash {times} {code}"),
            Self::IgnoreTerm => write!(f, "ignore-term"),
            Self::Exit { code } => write!(f, "exit {code}"),
        }
    }
}

/// A text that is no program; it holds the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProgram(pub String);

impl FromStr for Program {
    type Err = InvalidProgram;

    fn from_str(text: &str) -> Result<Self, InvalidProgram> {
        let parse = |line: &str| parse_act(line).ok_or_else(|| InvalidProgram(line.to_owned()));
        text.lines().map(parse).collect::<Result<_, _>>().map(Self)
    }
}

fn parse_act(line: &str) -> Option<Act> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(match verb {
        "print" => Act::print(rest),
        "print-err" => Act::print_err(rest),
        "write" => Act::Write {
            text: rest.to_owned(),
        },
        "fill" => Act::Fill {
            bytes: rest.parse().ok()?,
        },
        "count" => Act::Count {
            lines: rest.parse().ok()?,
        },
        "print-env" => Act::PrintEnv {
            key: rest.to_owned(),
        },
        "listen" => Act::Listen {
            addr: rest.parse().ok()?,
        },
        "serve" => Act::Serve {
            status: rest.parse().ok()?,
        },
        "fetch" => Act::Fetch {
            host: first.to_owned(),
            port: second.parse().ok()?,
        },
        "store" => Act::Store {
            path: first.to_owned(),
            text: second.to_owned(),
        },
        "print-file" => Act::PrintFile {
            path: rest.to_owned(),
        },
        "allocate" => Act::Allocate {
            mib: rest.parse().ok()?,
        },
        "crash" => Act::Crash {
            times: first.parse().ok()?,
            code: second.parse().ok()?,
        },
        "ignore-term" => Act::IgnoreTerm,
        "exit" => Act::Exit {
            code: rest.parse().ok()?,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_survive_the_way_to_text_and_back() {
        let program = Program::new([
            Act::print("a line: two"),
            Act::print_err("warning"),
            Act::Write {
                text: "half".to_owned(),
            },
            Act::Fill { bytes: 10 },
            Act::Count { lines: 3 },
            Act::PrintEnv {
                key: "PORT".to_owned(),
            },
            Act::listen("127.0.0.1:80"),
            Act::Serve { status: 503 },
            Act::Fetch {
                host: "web".to_owned(),
                port: 80,
            },
            Act::Store {
                path: "/data/note".to_owned(),
                text: "two words".to_owned(),
            },
            Act::PrintFile {
                path: "/data/note".to_owned(),
            },
            Act::Allocate { mib: 1 },
            Act::Crash { times: 2, code: 7 },
            Act::IgnoreTerm,
            Act::Exit { code: -1 },
        ]);
        assert_eq!(program.to_string().parse(), Ok(program));
        assert_eq!(
            "fly".parse::<Program>(),
            Err(InvalidProgram("fly".to_owned()))
        );
    }
}
