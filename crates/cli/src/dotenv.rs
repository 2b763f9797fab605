//! The `.env` format: `KEY=value` lines.
//!
//! Blank lines and lines that start with `#` are skipped, `export ` before a key is allowed.
//! A bare value ends with its line or at ` #`. Between single quotes everything stands for itself.
//! Between double quotes `\n`, `\r`, `\t`, `\\`, `\"`, `\$` and `` \` `` are escapes, any other
//! backslash stands for itself. Quoted values may span lines. Nothing is substituted.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use tose_api::EnvKey;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct ParseError {
    line: usize,
    reason: String,
}

/// Reads variables; a key that stands there twice is an error.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<EnvKey, String>, ParseError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut variables = BTreeMap::new();
    while reader.skip_to_key() {
        let line = reader.line;
        let (key, value) = reader.variable()?;
        if variables.contains_key(&key) {
            return Err(ParseError {
                line,
                reason: format!("{key} is set twice"),
            });
        }
        variables.insert(key, value);
    }
    Ok(variables)
}

/// Writes one variable, so that [`parse`] and shells read the same value back.
pub(crate) fn line(key: &EnvKey, value: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(is_bare) {
        return format!("{key}={value}\n");
    }
    if !value.contains(['\'', '\n', '\r']) {
        return format!("{key}='{value}'\n");
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    for c in value.chars() {
        match c {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\\' | '"' | '$' | '`' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    format!("{key}=\"{quoted}\"\n")
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Reader<'_> {
    /// Skips blanks and comments; `false` at the end of the text.
    fn skip_to_key(&mut self) -> bool {
        loop {
            match self.rest.peek() {
                None => return false,
                Some('#') => self.skip_line(),
                Some(c) if c.is_whitespace() => {
                    self.next();
                }
                Some(_) => return true,
            }
        }
    }

    fn variable(&mut self) -> Result<(EnvKey, String), ParseError> {
        let line = self.line;
        let fail = |reason: String| ParseError { line, reason };
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '=' | '\n')) {
            name.push(c);
        }
        let name = name.trim();
        let name = match name.strip_prefix("export") {
            Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
            _ => name,
        };
        if self.rest.next_if_eq(&'=').is_none() {
            return Err(fail("this is no KEY=value".to_owned()));
        }
        let key: EnvKey = name.parse().map_err(|error| fail(format!("{error}")))?;
        Ok((key, self.value(line)?))
    }

    fn value(&mut self, line: usize) -> Result<String, ParseError> {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match self.rest.next_if(|c| matches!(c, '\'' | '"')) {
            Some(quote) => self.quoted(quote, line),
            None => Ok(self.bare()),
        }
    }

    fn bare(&mut self) -> String {
        let mut value = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '\n') {
            if c == '#' && (value.is_empty() || value.ends_with(char::is_whitespace)) {
                self.skip_line();
                break;
            }
            value.push(c);
        }
        value.trim_end().to_owned()
    }

    fn quoted(&mut self, quote: char, line: usize) -> Result<String, ParseError> {
        let mut value = String::new();
        loop {
            match self.next() {
                None => {
                    let reason = format!("the value has no closing {quote}");
                    return Err(ParseError { line, reason });
                }
                Some(c) if c == quote => break,
                Some('\\') if quote == '"' => self.escape(&mut value),
                Some(c) => value.push(c),
            }
        }
        let mut after = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '\n') {
            after.push(c);
        }
        if after.trim().is_empty() || after.trim_start().starts_with('#') {
            return Ok(value);
        }
        let reason = format!("there is text after the closing {quote}");
        Err(ParseError {
            line: self.line,
            reason,
        })
    }

    fn escape(&mut self, value: &mut String) {
        let escaped = self
            .rest
            .next_if(|c| matches!(c, 'n' | 'r' | 't' | '\\' | '"' | '$' | '`'));
        value.push(match escaped {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c) => c,
            None => '\\',
        });
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|c| *c != '\n').is_some() {}
    }
}

#[cfg(test)]
mod tests;
