//! Which of a replica's lines are stored already.
//!
//! Caveat: where the last lines are in the bucket for old ones and that does not answer, their place has
//! to do. A line that came out of order in the moment before, and was not stored by then, is not
//! stored any more.

use std::collections::HashMap;

use tose_api::Timestamp;
use tose_logs::{Direction, LogStore, Position, Query, Result, StreamId};
use tose_model::driver::ReplicaName;
use tose_model::log::LogLine;

/// How many lines are read at once.
const PAGE: usize = 5000;

/// What is stored of a replica's last lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// These, each so many times.
    Lines(HashMap<LogLine, usize>),
    /// All that were written before, and so many of that very time.
    Until(Position),
}

impl Known {
    /// What is stored from `since` on, of a replica whose last line is there.
    pub(super) async fn find(
        logs: &LogStore,
        stream: StreamId,
        name: &ReplicaName,
        position: Position,
        since: Timestamp,
    ) -> Result<Self> {
        let mut lines = HashMap::new();
        let mut query = Query {
            direction: Direction::Forward,
            start: Some(since),
            pod: Some(name.to_string()),
            limit: PAGE,
            ..Query::default()
        };
        loop {
            let page = match logs.find(stream, query.clone()).await {
                Err(error) if error.is_far() => return Ok(Self::Until(position)),
                other => other?,
            };
            for record in page.records {
                *lines.entry(record.line).or_default() += 1;
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                return Ok(Self::Lines(lines));
            }
        }
    }

    /// Nothing.
    pub(super) fn nothing() -> Self {
        Self::Lines(HashMap::new())
    }

    /// Whether this line, which comes again from the engine, is one of them; each counts once.
    pub(super) fn takes(&mut self, line: &LogLine) -> bool {
        let count = match self {
            Self::Lines(lines) => lines.get_mut(line),
            Self::Until(position) if line.time < position.time => return true,
            Self::Until(position) if line.time == position.time => Some(&mut position.count),
            Self::Until(_) => None,
        };
        let Some(count) = count.filter(|count| **count > 0) else {
            return false;
        };
        *count -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tose_api::log::LogSource;

    fn line(nanos: i64, text: &str) -> LogLine {
        LogLine {
            time: Timestamp::from_nanos(nanos),
            source: LogSource::Stdout,
            pod: "web-1".into(),
            text: text.into(),
        }
    }

    #[test]
    fn each_stored_line_is_known_as_often_as_it_is_stored() {
        let lines = [(line(1, "a"), 2), (line(2, "b"), 1)];
        let mut known = Known::Lines(HashMap::from(lines));
        let seen = [
            line(1, "a"),
            line(1, "a"),
            line(1, "a"),
            line(2, "b"),
            line(2, "c"),
        ];
        let taken = seen.map(|line| known.takes(&line));
        assert_eq!(taken, [true, true, false, true, false]);
    }

    #[test]
    fn a_place_tells_what_came_before_it() {
        let mut known = Known::Until(Position {
            time: Timestamp::from_nanos(5),
            count: 2,
        });
        let seen = [
            line(4, "a"),
            line(5, "b"),
            line(5, "c"),
            line(5, "d"),
            line(6, "e"),
        ];
        let taken = seen.map(|line| known.takes(&line));
        assert_eq!(taken, [true, true, true, false, false]);
    }
}
