//! Reading Dockerfiles as the engine's builder does, and refusing what it must not be asked for.
//!
//! Guarantee: what [`check_sources`] lets pass names images by names: never by ids, of which the engine takes
//! the beginning and any tenant's image has one, nor by names of the platform's own; and the engine fetches
//! no address for it.

use std::collections::{BTreeMap, BTreeSet};

use tose_api::EnvKey;

use crate::error::{Error, Result};

/// An instruction as it stands, and as one line.
pub(crate) struct Instruction {
    /// Its lines, with comments and blank lines before them.
    pub(crate) source: String,
    /// The same as one line.
    pub(crate) text: String,
}

impl Instruction {
    /// Whether it has this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        let word = self.text.split_whitespace().next().unwrap_or_default();
        word.eq_ignore_ascii_case(name)
    }

    /// What follows its name.
    pub(crate) fn arguments(&self) -> &str {
        let text = self.text.trim_start();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        text[end..].trim()
    }
}

/// Whether a directive at the top takes another character for continued lines.
pub(crate) fn has_escape_directive(dockerfile: &str) -> bool {
    let top = dockerfile.trim_start_matches('\u{feff}').lines();
    top.map(str::trim)
        .take_while(|line| line.starts_with('#'))
        .any(|line| {
            let (name, _) = line
                .trim_start_matches('#')
                .split_once('=')
                .unwrap_or_default();
            name.trim().eq_ignore_ascii_case("escape")
        })
}

/// Instructions with the comments and blank lines before them. Lines that are continued become one, as
/// engines read them.
pub(crate) fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut all = Vec::new();
    let (mut source, mut text) = (String::new(), String::new());
    for line in dockerfile.trim_start_matches('\u{feff}').lines() {
        source.push_str(line);
        source.push('\n');
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        // Blanks and tabs only: after any other space the line is not continued.
        match line.trim_end_matches([' ', '\t']).strip_suffix('\\') {
            Some(part) => text.push_str(part),
            None => {
                text.push_str(line);
                let (source, text) = (std::mem::take(&mut source), std::mem::take(&mut text));
                all.push(Instruction { source, text });
            }
        }
    }
    if !source.is_empty() {
        all.push(Instruction { source, text });
    }
    all
}

/// The names that a Dockerfile declares with `ARG`. Values are passed for these only: the engine
/// warns about any other, and a value that no step uses would spoil no cache but help nobody.
pub fn declared_args(dockerfile: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for one in instructions(dockerfile).iter().filter(|one| one.is("ARG")) {
        let words = one.arguments().split_whitespace();
        let written = words.map(|word| word.split('=').next().unwrap_or(word));
        let is_name = |name: &&str| name.parse::<EnvKey>().is_ok();
        names.extend(written.filter(is_name).map(str::to_owned));
    }
    names
}

/// Checks where a Dockerfile takes files from, given the values of its arguments.
///
/// # Errors
/// `Invalid` in words for its author.
pub fn check_sources(dockerfile: &str, given: &BTreeMap<String, String>) -> Result<()> {
    if has_escape_directive(dockerfile) {
        return refuse("its directive `escape` is not known here; continue lines with a backslash");
    }
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<String> = Vec::new();
    for one in instructions(dockerfile) {
        let words: Vec<&str> = one.arguments().split_whitespace().collect();
        if one.is("ARG") && stages.is_empty() {
            for word in words {
                let (name, default) = word.split_once('=').unwrap_or((word, ""));
                let value = given.get(name).cloned();
                let default = || expand(default.trim_matches(['"', '\'']), &arguments);
                let value = value.or_else(default).unwrap_or_default();
                arguments.insert(name.to_owned(), value);
            }
        } else if one.is("FROM") {
            let mut words = words.iter().filter(|word| !word.starts_with("--"));
            let written = words.next().copied().unwrap_or_default();
            let image = expand(written, &arguments);
            let image = image.ok_or_else(|| {
                invalid(&format!(
                    "FROM {written} cannot be read here; use plain variables such as ${{VERSION}}"
                ))
            })?;
            check_image(&image, &stages)?;
            let has_name = words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("AS"));
            let name = words
                .next()
                .filter(|_| has_name)
                .copied()
                .unwrap_or_default();
            stages.push(name.to_ascii_lowercase());
        } else {
            check_step(&one, &words, &stages)?;
        }
    }
    Ok(())
}

fn check_step(one: &Instruction, words: &[&str], stages: &[String]) -> Result<()> {
    if one.is("ONBUILD") {
        let begins = |word: &&str| word.starts_with("--from") || is_address(word);
        if words
            .iter()
            .any(|word| begins(&word.trim_matches(['[', '"', ','])))
        {
            return refuse("ONBUILD with --from or an address is not known here");
        }
    }
    let flags = words.iter().take_while(|word| word.starts_with("--"));
    if one.is("COPY") || one.is("ADD") {
        for image in flags
            .clone()
            .filter_map(|flag| flag.strip_prefix("--from="))
        {
            check_image(image.trim_matches('"'), stages)?;
        }
    }
    if one.is("ADD") {
        let mut sources = words
            .iter()
            .map(|word| word.trim_matches(['[', ']', '"', ',', '\'']));
        if sources.any(|word| is_address(word) || word.contains('$')) {
            return refuse(
                "ADD of an address, or of a variable, is not known here; fetch it in a step, with curl or git, or COPY a file",
            );
        }
    }
    Ok(())
}

fn is_address(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.contains("://") || word.starts_with("git@") || word.starts_with("github.com/")
}

fn check_image(image: &str, stages: &[String]) -> Result<()> {
    let is_stage = stages
        .iter()
        .any(|stage| !stage.is_empty() && image.eq_ignore_ascii_case(stage))
        || image
            .parse::<usize>()
            .is_ok_and(|number| number < stages.len());
    if is_stage {
        return Ok(());
    }
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if image.to_ascii_lowercase().starts_with("sha256:") || is_hex(image) {
        return refuse(&format!(
            "`{image}` may be the beginning of an image's id; name the image with its tag, such as {image}:latest"
        ));
    }
    let is_own = image
        .split_once('/')
        .is_some_and(|(first, _)| first == "tose" || first.starts_with("tose-"));
    if is_own {
        return refuse(&format!(
            "`{image}`: this name is reserved for images that the platform builds"
        ));
    }
    Ok(())
}

/// Puts values in place of `$NAME`, `${NAME}` and `${NAME:-default}`; `None` for any other use of `$`.
fn expand(text: &str, values: &BTreeMap<String, String>) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    if text.contains('\\') {
        return None;
    }
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, default);
        if let Some(inside) = after.strip_prefix('{') {
            let (inside, after) = inside.split_once('}')?;
            (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
            if default.contains('$') || !name.chars().all(is_name) {
                return None;
            }
            rest = after;
        } else {
            let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
            (name, default) = (&after[..end], "");
            rest = &after[end..];
        }
        if name.is_empty() {
            return None;
        }
        let value = values.get(name).filter(|value| !value.is_empty());
        out.push_str(value.map_or(default, String::as_str));
    }
    out.push_str(rest);
    Some(out.replace(['"', '\''], ""))
}

fn invalid(problem: &str) -> Error {
    Error::invalid(format!("the Dockerfile: {problem}"))
}

fn refuse<T>(problem: &str) -> Result<T> {
    Err(invalid(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> std::result::Result<(), String> {
        let given = BTreeMap::from([("GIVEN".to_owned(), "cafe".to_owned())]);
        check_sources(text, &given).map_err(|error| error.to_string())
    }

    #[test]
    fn declared_arguments_are_found() {
        let text = "# ARG NOT\nARG A\narg B=1\nFROM x\nARG C=\"x y\" \\\n  D\nRUN echo ARG E\n";
        let names: Vec<_> = declared_args(text).into_iter().collect();
        assert_eq!(names, ["A", "B", "C", "D"]);
    }

    #[test]
    fn images_by_name_and_stages_pass() {
        for text in [
            "FROM node:22 AS cafe\nFROM cafe\nCOPY --from=cafe /a /b\nCOPY --from=0 a b\nADD a.tar.gz /x\n",
            "ARG V=22\nFROM node:${V}-slim\n",
            "ARG V\nFROM node:${V:-22}\n",
            "FROM --platform=linux/amd64 \\\n # why\n ghcr.io/a/b@sha256:0123\n",
            "# syntax=docker/dockerfile:1\nFROM scratch\n",
            "ARG GIVEN\nFROM x/$GIVEN\n",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn ids_own_names_and_addresses_are_refused() {
        for (text, words) in [
            ("FROM 0123abcd", "beginning of an image's id"),
            ("from\tDEADBEEF", "beginning of an image's id"),
            ("FROM sha256:00", "beginning of an image's id"),
            ("ARG GIVEN=node\nFROM $GIVEN", "beginning of an image's id"),
            (
                "ARG A=de\nARG B=${A}ad\nFROM $B",
                "beginning of an image's id",
            ),
            ("FROM \"cafe\"", "beginning of an image's id"),
            (
                "FROM x\nCOPY --from=abc123 / /",
                "beginning of an image's id",
            ),
            (
                "FROM x\nCOPY --chown=1 --from=abc123 / /",
                "beginning of an image's id",
            ),
            ("FROM x\nCOPY --from=7 / /", "beginning of an image's id"),
            (
                "\u{feff}FROM x\nRUN a \\\u{a0}\nFROM abc",
                "beginning of an image's id",
            ),
            ("FROM tose-0123/a:b", "reserved"),
            ("FROM ${A:+b}", "cannot be read here"),
            ("FROM a$", "cannot be read here"),
            (
                "FROM x\nADD http://169.254.169.254/ /x",
                "ADD of an address",
            ),
            ("FROM x\nADD [\"HTTPS://a/b\", \"/x\"]", "ADD of an address"),
            ("FROM x\nADD $WHERE /x", "ADD of an address"),
            ("FROM x\nADD git@github.com:a/b.git /x", "ADD of an address"),
            ("FROM x\nONBUILD COPY --from=abc / /", "ONBUILD"),
            ("#escape=`\nFROM x", "escape"),
        ] {
            let problem = check(text).expect_err(text);
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }
}
