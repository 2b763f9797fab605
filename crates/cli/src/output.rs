//! The only door to the terminal.
//!
//! stdout carries results: text for people, or with `--json` one JSON value (log streams: one per
//! line). stderr carries everything else: progress, hints and errors; with `--json` nothing but one
//! JSON object when the command fails, with `--quiet` no progress.
//!
//! Guarantees: a closed stdout is an error like any other and never a panic, a closed stderr is
//! ignored. On a terminal, text that comes from elsewhere can colour itself and nothing more; only
//! bytes that are meant for a terminal or a program ([`Output::raw`]) pass as they are.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;

use serde::Serialize;
use tose_api::client::{self, Refusal};
use tose_api::{Failure, Kind};

use crate::cli::GlobalArgs;
use crate::config::Environment;
use crate::error::Error;
use crate::exit;

/// How a word stands out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Good,
    Busy,
    Bad,
    Faint,
    /// Black on white, whatever the terminal's own colours are.
    Paper,
}

impl Style {
    fn start(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Busy => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Faint => "\x1b[2m",
            Self::Paper => "\x1b[38;5;16;48;5;231m",
        }
    }
}

/// Where text goes, and in which form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output {
    is_json: bool,
    is_quiet: bool,
    is_dumb: bool,
    colors_stdout: bool,
    colors_stderr: bool,
    /// Whether the last line of the terminal is a status that the next text replaces.
    has_status: Rc<Cell<bool>>,
}

impl Output {
    pub(crate) fn new(global: &GlobalArgs, environment: &Environment) -> Self {
        let Environment {
            no_color, is_dumb, ..
        } = *environment;
        let wants_color = !global.no_color && !no_color && !is_dumb;
        Self {
            is_json: global.json,
            is_quiet: global.quiet,
            is_dumb,
            colors_stdout: wants_color && io::stdout().is_terminal(),
            colors_stderr: wants_color && io::stderr().is_terminal(),
            has_status: Rc::default(),
        }
    }

    /// Whether results are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether somebody sees results on a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether results may be drawn: somebody sees them, on a terminal that can do more than text.
    pub(crate) fn draws(&self) -> bool {
        self.is_terminal() && !self.is_dumb && !self.is_json
    }

    /// Whether results have colours.
    pub(crate) fn paints(&self) -> bool {
        self.colors_stdout
    }

    /// Prints a command's result: `data` with `--json`, otherwise `text`.
    pub(crate) fn result(&self, data: &impl Serialize, text: &str) -> anyhow::Result<()> {
        if self.is_json {
            self.text(&serde_json::to_string_pretty(data)?)
        } else {
            self.text(text)
        }
    }

    /// Prints lines of a result on stdout; no text, no line.
    pub(crate) fn text(&self, text: &str) -> anyhow::Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Prints one line of a result on stdout.
    pub(crate) fn line(&self, line: &str) -> anyhow::Result<()> {
        self.clear_status();
        let line = for_terminal(line, io::stdout().is_terminal(), self.colors_stdout);
        write(&mut io::stdout().lock(), &line, "\n").map_err(stdout_failure)
    }

    /// Prints what another program wrote: as it is, but to a terminal only what is harmless there.
    pub(crate) fn pass_on(&self, stdout: &str, stderr: &str) -> anyhow::Result<()> {
        if io::stderr().is_terminal() {
            self.stderr_line(stderr);
        } else {
            write(&mut io::stderr().lock(), stderr, "").ok();
        }
        if io::stdout().is_terminal() {
            self.text(stdout)
        } else {
            self.raw(stdout.as_bytes())
        }
    }

    /// Prints bytes as they are: those that another program is to read, such as a completion
    /// script, and those of a command that has the whole terminal.
    pub(crate) fn raw(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(stdout_failure)
    }

    /// Tells a person how things are going.
    pub(crate) fn note(&self, note: &str) {
        if !self.is_quiet && !self.is_json {
            self.stderr_line(note);
        }
    }

    /// Tells a person what may go wrong.
    pub(crate) fn warn(&self, warning: &str) {
        if !self.is_json {
            self.stderr_line(&format!(
                "{} {warning}",
                self.paint_stderr(Style::Busy, "warning:")
            ));
        }
    }

    /// Shows `status` on the terminal's last line until other text comes. Where stderr is no
    /// terminal nothing is shown.
    pub(crate) fn status(&self, status: &str) {
        if self.is_quiet || self.is_json || !io::stderr().is_terminal() {
            return;
        }
        let status = for_terminal(status, true, self.colors_stderr);
        write(&mut io::stderr().lock(), &format!("\r\x1b[2K{status}"), "").ok();
        self.has_status.set(true);
    }

    /// Takes the status away.
    pub(crate) fn clear_status(&self) {
        if self.has_status.take() {
            write(&mut io::stderr().lock(), "\r\x1b[2K", "").ok();
        }
    }

    /// Asks a question; the answer is typed behind it.
    pub(crate) fn ask(&self, question: &str) {
        self.clear_status();
        write(&mut io::stderr().lock(), question, " ").ok();
    }

    /// Ends the line of a question whose answer was not shown.
    pub(crate) fn end_line(&self) {
        write(&mut io::stderr().lock(), "", "\n").ok();
    }

    /// Gives a word of a result its style, where stdout shows colours.
    pub(crate) fn paint(&self, style: Style, word: &str) -> String {
        paint(self.colors_stdout, style, word)
    }

    /// Gives a word of progress its style, where stderr shows colours.
    pub(crate) fn paint_stderr(&self, style: Style, word: &str) -> String {
        paint(self.colors_stderr, style, word)
    }

    /// Prints why a command failed, and answers its exit code.
    pub(crate) fn fail(&self, error: &anyhow::Error) -> ExitCode {
        self.clear_status();
        let is_silent = error.downcast_ref().is_some_and(Error::is_silent);
        if self.is_json && !is_silent {
            let failure = serde_json::to_string(&failure(error));
            self.stderr_line(&failure.expect("a failure holds only texts"));
        } else if !is_silent {
            self.explain(error)
                .iter()
                .for_each(|line| self.stderr_line(line));
        }
        ExitCode::from(exit::code(error))
    }

    /// Prints help, the version, or what is wrong with the command line.
    pub(crate) fn usage(&self, stop: &clap::Error, no_color: bool) -> ExitCode {
        let is_colored = |is_terminal: bool| is_terminal && !no_color;
        let render = |is_colored: bool| match is_colored {
            true => stop.render().ansi().to_string(),
            false => stop.render().to_string(),
        };
        if stop.use_stderr() {
            let text = render(is_colored(io::stderr().is_terminal()));
            write(&mut io::stderr().lock(), &text, "").ok();
        } else {
            let text = render(is_colored(io::stdout().is_terminal()));
            write(&mut io::stdout().lock(), &text, "").ok();
        }
        ExitCode::from(u8::try_from(stop.exit_code()).unwrap_or(2))
    }

    fn explain(&self, error: &anyhow::Error) -> Vec<String> {
        if let Some(Error::Interrupted { .. }) = error.downcast_ref() {
            return vec![message(error)];
        }
        let label = self.paint_stderr(Style::Bad, "error:");
        let mut lines = vec![format!("{label} {}", message(error))];
        if let Some(Error::Deployment {
            cause: Some(cause), ..
        }) = error.downcast_ref()
        {
            lines.push(format!("likely cause: {}", cause.title));
            lines.push(format!("what to do: {}", cause.fix));
        }
        if let Some(error) = error.downcast_ref::<Error>() {
            let fields = error.fields().into_iter();
            lines.extend(fields.map(|(field, why)| format!("  {field}: {why}")));
        }
        if let Some(refusal) = refusal(error) {
            // The text often says what the fields say.
            let untold = |why: &str| !refusal.message.contains(why);
            let fields = refusal.fields.iter().filter(|(_, why)| untold(why));
            lines.extend(fields.map(|(field, why)| format!("  {field}: {why}")));
            if refusal.kind == Kind::Unauthenticated {
                lines.push("hint: run `tose login`, or check TOSE_API_KEY".to_owned());
            }
            if let (Kind::Internal, Some(id)) = (refusal.kind, &refusal.request_id) {
                lines.push(format!("hint: the server's log has it as request {id}"));
            }
        }
        lines
    }

    fn stderr_line(&self, text: &str) {
        self.clear_status();
        let mut stderr = io::stderr().lock();
        for line in text.lines() {
            let line = for_terminal(line, stderr.is_terminal(), self.colors_stderr);
            write(&mut stderr, &line, "\n").ok();
        }
    }
}

fn write(stream: &mut impl Write, text: &str, end: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.write_all(end.as_bytes())?;
    stream.flush()
}

fn stdout_failure(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::OutputClosed.into(),
        _ => anyhow::Error::new(error).context("cannot write to stdout"),
    }
}

fn paint(has_color: bool, style: Style, word: &str) -> String {
    if has_color {
        format!("{}{word}\x1b[0m", style.start())
    } else {
        word.to_owned()
    }
}

/// The line as a terminal may get it: no control characters but tabs and, where colours are shown,
/// colour codes. What is no terminal gets the line as it is.
fn for_terminal(line: &str, is_terminal: bool, shows_color: bool) -> Cow<'_, str> {
    if !is_terminal || !line.contains(|c: char| c.is_control() && c != '\t') {
        return Cow::Borrowed(line);
    }
    let mut safe = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let color = color_code(rest);
        if color.is_some_and(|_| shows_color) || next == '\t' || !next.is_control() {
            safe.push_str(color.unwrap_or(&rest[..next.len_utf8()]));
        }
        rest = &rest[color.map_or(next.len_utf8(), str::len)..];
    }
    Cow::Owned(safe)
}

/// The colour code (`ESC [ digits and ; m`) that `text` starts with.
fn color_code(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then(|| &text[..end + 3])
}

fn refusal(error: &anyhow::Error) -> Option<&Refusal> {
    error.downcast_ref().and_then(client::Error::refusal)
}

/// The failure in one text: what was tried, why it failed, and the root of it. What lies between
/// those two in the HTTP client says nothing to a person.
fn message(error: &anyhow::Error) -> String {
    let mut texts = Vec::new();
    for cause in error.chain() {
        texts.push(cause.to_string());
        if cause.is::<client::Error>() {
            let root = error.root_cause().to_string();
            if texts.last() != Some(&root) {
                texts.push(root);
            }
            break;
        }
    }
    texts.join(": ")
}

/// The failure as `--json` prints it.
fn failure(error: &anyhow::Error) -> Failure {
    let (code, fields) = match (
        error.downcast_ref::<client::Error>(),
        error.downcast_ref::<Error>(),
    ) {
        (Some(error), _) => {
            let refusal = error.refusal();
            let fields = refusal.map(|refusal| refusal.fields.clone());
            (error.code(), fields.unwrap_or_default())
        }
        (None, Some(error)) => (error.code(), error.fields()),
        (None, None) => ("failed", BTreeMap::new()),
    };
    Failure {
        success: false,
        error: message(error),
        code: code.to_owned(),
        fields,
    }
}

#[cfg(test)]
mod tests;
