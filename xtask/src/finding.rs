//! What a rule has found.

use std::fmt;

use crate::tree::TextFile;

/// A place that breaks a rule. Ordered as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    advice: String,
}

impl Finding {
    /// A finding on a line (from 1) of a file; `advice` says what to do.
    pub(crate) fn new(
        file: &TextFile,
        line: usize,
        rule: &'static str,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            path: file.path.clone(),
            line,
            rule,
            advice: advice.into(),
        }
    }

    /// The same on the line that holds the byte at `offset`.
    pub(crate) fn at(
        file: &TextFile,
        offset: usize,
        rule: &'static str,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(file, file.line_of(offset), rule, advice)
    }

    /// The rule that was broken.
    #[cfg(test)]
    pub(crate) fn rule(&self) -> &'static str {
        self.rule
    }

    /// The line, from 1.
    #[cfg(test)]
    pub(crate) fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            advice,
        } = self;
        write!(f, "{path}:{line}: {rule}: {advice}")
    }
}
