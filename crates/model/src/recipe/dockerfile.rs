//! Writing Dockerfiles, so that no text of a repository becomes an instruction.
//!
//! Invariant: a line is made of constants, of [`Word`]s and versions, or of JSON. JSON has neither line
//! ends nor `<<`, and the engine puts no variables into the JSON of `RUN` and `CMD`.

use std::collections::BTreeSet;
use std::fmt::Write;

use tose_api::EnvKey;

use super::start::Start;
use super::version::Version;
use crate::error::{Error, Result};

/// The most characters of a [`Word`].
const MAX_WORD: usize = 200;
/// As whom apps run: a number needs no entry in the image's list of users.
const USER: &str = "1000:1000";

/// A name or path of a repository that can stand in a Dockerfile as it is: letters, digits and `._-/`,
/// not beginning with `-` or `/`, without `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word(String);

impl Word {
    /// Reads a word; `None` for any other text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let is_word = !text.is_empty()
            && text.len() <= MAX_WORD
            && text.bytes().all(is_plain)
            && !text.starts_with(['-', '/'])
            && !text.split('/').any(|part| part == "..");
        is_word.then(|| Self(text.to_owned()))
    }

    /// The same without a `/` in it.
    pub(super) fn parse_name(text: &str) -> Option<Self> {
        Self::parse(text).filter(|word| !word.0.contains('/'))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A Dockerfile on its way.
#[derive(Debug, Default)]
pub(super) struct Dockerfile {
    lines: Vec<String>,
}

impl Dockerfile {
    /// Begins the last stage.
    pub(super) fn from(&mut self, image: &str) {
        self.gap();
        self.lines.push(format!("FROM {image}"));
    }

    /// Begins a stage that others copy from.
    pub(super) fn stage(&mut self, image: &str, name: &'static str) {
        self.gap();
        self.lines.push(format!("FROM {image} AS {name}"));
    }

    fn gap(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
    }

    /// An instruction of ours, as it is.
    pub(super) fn line(&mut self, line: &'static str) {
        self.lines.push(line.to_owned());
    }

    /// `COPY` of files that are named by us, to the working directory.
    pub(super) fn copy(&mut self, files: &[&'static str]) {
        let mut words = files.to_vec();
        words.push("./");
        self.lines.push(format!("COPY {}", json(&words)));
    }

    /// `COPY` of what a path of a stage holds. `from` and `to` are constants with a word between.
    pub(super) fn copy_from(
        &mut self,
        stage: &'static str,
        (before, word, after): (&'static str, &Word, &'static str),
        to: &'static str,
    ) {
        let source = format!("{before}{}{after}", word.as_str());
        let words = json(&[&source, to]);
        self.lines.push(format!("COPY --from={stage} {words}"));
    }

    /// Takes Composer from its image, which the operator names.
    pub(super) fn copy_composer(&mut self, image: &str) {
        self.lines.push(format!(
            "COPY --from={image} /usr/bin/composer /usr/local/bin/"
        ));
    }

    /// `RUN` of words of ours with a word of the repository's between.
    pub(super) fn run_with(&mut self, before: &'static str, word: &Word, after: &'static str) {
        let word = word.as_str();
        self.lines.push(format!("RUN {before}{word}{after}"));
    }

    /// `RUN` of words of ours with a version at the end.
    pub(super) fn run_version(&mut self, before: &'static str, version: &Version) {
        self.lines.push(format!("RUN {before}{version}"));
    }

    /// `RUN` of a command of the repository's, in JSON form: the image's shell reads it.
    pub(super) fn run(&mut self, command: &str) {
        let words = json(&["/bin/sh", "-c", command]);
        self.lines.push(format!("RUN {words}"));
    }

    /// `RUN` of a command of the repository's that builds the app, with the variables that it gets.
    /// They are declared this late because their values decide the cache from here on.
    pub(super) fn build(&mut self, command: &str, variables: &BTreeSet<EnvKey>) {
        for name in variables.iter().filter(|name| name.as_str() != "PORT") {
            self.lines.push(format!("ARG {name}"));
        }
        self.run(command);
    }

    /// What runs when the image is started.
    pub(super) fn start(&mut self, start: &Start) {
        let words = match start {
            Start::Shell(command) => json(&["/bin/sh", "-c", command]),
            Start::Program(words) => json(&words.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        self.lines.push(format!("CMD {words}"));
    }

    /// The working directory, which the app's user owns, and the port for whoever sets none.
    pub(super) fn app_folder(&mut self) {
        self.line("ENV PORT=3000");
        self.lines
            .push(format!("RUN mkdir -p /app && chown {USER} /app"));
        self.line("WORKDIR /app");
    }

    /// `COPY` of the whole source, for the app's user.
    pub(super) fn copy_all_owned(&mut self) {
        self.lines.push(format!("COPY --chown={USER} . ."));
    }

    /// `COPY` of a stage's folder, for the app's user.
    pub(super) fn copy_stage_owned(&mut self, stage: &'static str, folder: &'static str) {
        self.lines
            .push(format!("COPY --from={stage} --chown={USER} {folder} ./"));
    }

    /// From here on nothing is root, and the app's folder is its user's own.
    pub(super) fn app_user(&mut self) {
        self.line("ENV HOME=/app");
        self.user();
    }

    /// From here on nothing is root.
    pub(super) fn user(&mut self) {
        self.lines.push(format!("USER {USER}"));
    }

    /// The text. The first line is a comment of ours, after which the engine reads no directive.
    pub(super) fn into_text(self, recipe: &'static str) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# Written by TOSE's recipe `{recipe}`. `tose generate` saves it, to be changed."
        );
        for line in self.lines {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

/// An array of texts that fits on a line of a Dockerfile. `<<` would begin a document for some engines.
fn json(words: &[&str]) -> String {
    serde_json::to_string(words)
        .expect("texts are JSON")
        .replace("<<", "\\u003c\\u003c")
}

/// A command line that a user wrote: one line, no control characters, 1000 characters at most. It stands
/// in a Dockerfile as JSON only.
///
/// # Errors
/// `Invalid`, naming `place`.
pub(super) fn check_command(command: &str, place: &str) -> Result<String> {
    let command = command.trim();
    let is_good = !command.is_empty()
        && command.chars().count() <= 1000
        && !command.chars().any(char::is_control);
    if is_good {
        Ok(command.to_owned())
    } else {
        Err(Error::invalid(format!(
            "{place} must be one line of 1 to 1000 characters"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_plain_relative_path() {
        for good in ["a", "cmd/web", "my-app_2.0", ".output"] {
            assert!(Word::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", "-x", "/etc", "a/../b", "..", "a b", "a\nRUN x", "$A", "a\"", "é",
        ] {
            assert!(Word::parse(bad).is_none(), "{bad:?}");
        }
        assert!(Word::parse_name("a/b").is_none());
    }

    #[test]
    fn json_stays_on_its_line_and_begins_no_document() {
        let text = json(&["a\nRUN evil", "cat <<EOF", "\\", "\"]"]);
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains("<<"));
        let back: Vec<String> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, ["a\nRUN evil", "cat <<EOF", "\\", "\"]"]);
    }
}
