//! Questions to the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::{Context as _, Result};

use crate::error::Error;
use crate::output::Output;
use crate::terminal::ChangedModes;

/// What a terminal sends for Ctrl-C, Ctrl-D, and the two keys that delete backwards.
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
/// More than this on stdin is no secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Whether there is a person to ask.
pub(crate) fn is_possible(output: &Output) -> bool {
    !output.is_json() && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line; `None` when it is left empty.
pub(crate) fn ask_line(output: &Output, question: &str) -> Result<Option<String>> {
    output.ask(question);
    let mut line = String::new();
    let length = io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    if length == 0 {
        output.end_line();
        return Err(cancelled());
    }
    let line = line.trim();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

/// Has the person type `word` in answer to `question` before a deed, such as `deleting demo/hello`,
/// that cannot be undone.
pub(crate) fn confirm(output: &Output, deed: &str, question: &str, word: &str) -> Result<()> {
    if !is_possible(output) {
        let text = format!("{deed} needs --yes where nobody can be asked");
        return Err(Error::Usage(text).into());
    }
    match ask_line(output, question)? {
        Some(answer) if answer == word => Ok(()),
        _ => Err(Error::Usage(format!("{deed} was not confirmed: nothing has changed")).into()),
    }
}

/// Asks for a line that the terminal does not show.
pub(crate) fn ask_secret(output: &Output, question: &str) -> Result<String> {
    let hidden = ChangedModes::hidden().context("cannot hide what is typed")?;
    output.ask(question);
    let answer = read_keys();
    drop(hidden);
    output.end_line();
    answer
}

/// Asks for a line that the terminal does not show; where nobody can be asked, takes all that stdin has, without the
/// line's end. `what` names it, such as `the token`.
pub(crate) fn ask_or_read(output: &Output, question: &str, what: &str) -> Result<String> {
    if is_possible(output) {
        return ask_secret(output, question);
    }
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(MAX_SECRET_BYTES);
    stdin
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {what} from stdin"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads keys up to the end of a line. The terminal hands them over one by one and does nothing
/// else with them.
fn read_keys() -> Result<String> {
    let mut answer = Vec::new();
    let mut stdin = io::stdin().lock();
    loop {
        let mut key = [0];
        if stdin.read(&mut key).context("cannot read the answer")? == 0 {
            return Err(cancelled());
        }
        match key[0] {
            b'\r' | b'\n' => break,
            CTRL_C | CTRL_D => return Err(cancelled()),
            BACKSPACE | DELETE => {
                answer.pop();
            }
            key => answer.push(key),
        }
    }
    let answer = String::from_utf8(answer).context("the answer is not text")?;
    Ok(answer.trim().to_owned())
}

fn cancelled() -> anyhow::Error {
    Error::Usage("cancelled: nothing was answered".to_owned()).into()
}
