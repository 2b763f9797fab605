//! Syslog: RFC 5424, each message after its length (RFC 6587, octet counting).

use tose_api::Timestamp;
use tose_api::log::LogLevel;

use super::{DrainLine, Origin, level, stream};

/// The facility "user-level messages", in its place in a priority.
const FACILITY: u8 = 1 << 3;
/// The most characters of a process's name.
const MAX_PROCESS: usize = 128;
/// The most characters of a name in structured data.
const MAX_NAME: usize = 32;
/// A `sequenceId` is a number from 1 to this one.
const MAX_SEQUENCE: u64 = 2_147_483_647;

pub(super) fn encode(origin: &Origin, element: Option<&str>, lines: &[DrainLine]) -> Vec<u8> {
    let mut messages = Vec::new();
    for line in lines {
        let message = message(origin, element, line);
        messages.extend_from_slice(message.len().to_string().as_bytes());
        messages.push(b' ');
        messages.extend_from_slice(&message);
    }
    messages
}

fn message(origin: &Origin, element: Option<&str>, numbered: &DrainLine) -> Vec<u8> {
    let line = &numbered.line;
    let priority = FACILITY
        | match level(numbered) {
            LogLevel::Error => 3,
            LogLevel::Warn => 4,
            LogLevel::Info => 6,
            LogLevel::Debug => 7,
        };
    let head = format!(
        "<{priority}>1 {} {} {} {} {} {} ",
        to_microseconds(line.time),
        origin.workspace,
        origin.project,
        process(&line.pod),
        stream(line),
        structured_data(element, numbered.seq),
    );
    let mut message = head.into_bytes();
    message.extend_from_slice(&line.text);
    message
}

/// Syslog knows no shorter times than microseconds.
fn to_microseconds(time: Timestamp) -> Timestamp {
    let nanos = time.as_nanos();
    Timestamp::from_nanos(nanos - nanos.rem_euclid(1000))
}

/// The pod, as far as it can be the name of a process.
fn process(pod: &str) -> String {
    let visible = pod.chars().filter(char::is_ascii_graphic);
    let process: String = visible.take(MAX_PROCESS).collect();
    match process.is_empty() {
        true => "-".to_owned(),
        false => process,
    }
}

fn structured_data(element: Option<&str>, seq: u64) -> String {
    let number = match seq {
        0 => String::new(),
        seq => format!("[meta sequenceId=\"{}\"]", (seq - 1) % MAX_SEQUENCE + 1),
    };
    let element = element.map(|element| format!("[{element}]"));
    match number + &element.unwrap_or_default() {
        none if none.is_empty() => "-".to_owned(),
        some => some,
    }
}

/// Whether this can stand between the brackets of an element of structured data: a name, and parameters as in
/// `name@41058 key="value"`. The name `meta` is ours.
pub fn is_element(text: &str) -> bool {
    let mut parts = text.splitn(2, ' ');
    let name = parts.next().unwrap_or_default();
    is_name(name) && name != "meta" && parts.next().is_none_or(has_parameters)
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_graphic() && !b"=]\"".contains(&byte);
    // Tokens of some services are longer than the standard lets names be; their receivers take them.
    (1..=MAX_NAME * 8).contains(&text.len()) && text.bytes().all(is_part)
}

fn has_parameters(text: &str) -> bool {
    let Some((name, rest)) = text.split_once("=\"") else {
        return false;
    };
    let Some(end) = value_end(rest) else {
        return false;
    };
    match rest[end + 1..].strip_prefix(' ') {
        _ if !is_name(name) => false,
        Some(more) => has_parameters(more),
        None => rest.len() == end + 1,
    }
}

/// Where the quotation mark is that ends a value; `]` and `\` come after a `\` in it.
fn value_end(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\\' => {
                bytes.next().filter(|(_, next)| b"\"\\]".contains(next))?;
            }
            b']' | 0..=31 | 127.. => return None,
            _ => {}
        }
    }
    None
}
