//! Opening a log stream again without showing a line twice.
//!
//! A stream that broke off begins anew with lines that were shown. Lines come in the order of their
//! times, so those up to the newest shown time are skipped; of the lines that carry exactly that
//! time, as many as were shown.

use tose_api::Timestamp;

/// What was shown of a stream.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    newest: Option<Timestamp>,
    shown_at_newest: usize,
    /// While the stream repeats itself: how many more lines of the newest time to skip.
    to_skip: Option<usize>,
}

impl Replay {
    /// The time of the newest line that was shown.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// The stream begins anew.
    pub(crate) fn restart(&mut self) {
        self.to_skip = Some(self.shown_at_newest);
    }

    /// Whether a line of this time is to be shown; if so, it counts as shown.
    pub(crate) fn is_new(&mut self, time: Option<Timestamp>) -> bool {
        let Some(time) = time else { return true };
        if let (Some(to_skip), Some(newest)) = (&mut self.to_skip, self.newest) {
            if time < newest {
                return false;
            }
            if time == newest && *to_skip > 0 {
                *to_skip -= 1;
                return false;
            }
            self.to_skip = None;
        }
        if self.newest == Some(time) {
            self.shown_at_newest += 1;
        } else if self.newest < Some(time) {
            self.newest = Some(time);
            self.shown_at_newest = 1;
        }
        true
    }
}

/// The time and the text of a frame; a frame without a time is text as a whole.
pub(crate) fn split_frame(frame: &str) -> (Option<Timestamp>, &str) {
    let (time, text) = frame.split_once(' ').unwrap_or((frame, ""));
    match time.parse() {
        Ok(time) => (Some(time), text),
        Err(_) => (None, frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(replay: &mut Replay, times: &[i64]) -> Vec<i64> {
        let is_new = |nanos: &&i64| replay.is_new(Some(Timestamp::from_nanos(**nanos)));
        times.iter().filter(is_new).copied().collect()
    }

    #[test]
    fn a_repeated_stream_shows_only_what_is_new() {
        let mut replay = Replay::default();
        assert_eq!(shown(&mut replay, &[1, 2, 2]), [1, 2, 2]);
        replay.restart();
        assert_eq!(shown(&mut replay, &[1, 2, 2, 2, 3]), [2, 3]);
        replay.restart();
        assert_eq!(shown(&mut replay, &[1, 2, 2, 2, 3, 4]), [4]);
    }

    #[test]
    fn lines_out_of_order_are_shown_while_nothing_repeats() {
        let mut replay = Replay::default();
        assert_eq!(shown(&mut replay, &[5, 4, 6]), [5, 4, 6]);
        assert_eq!(replay.newest(), Some(Timestamp::from_nanos(6)));
    }

    #[test]
    fn a_frame_is_a_time_and_a_text() {
        let time = Some(Timestamp::from_nanos(0));
        assert_eq!(split_frame("1970-01-01T00:00:00Z a b"), (time, "a b"));
        assert_eq!(split_frame("1970-01-01T00:00:00Z "), (time, ""));
        assert_eq!(split_frame("1970-01-01T00:00:00Z"), (time, ""));
        assert_eq!(split_frame("a b"), (None, "a b"));
    }

    #[test]
    fn a_stream_that_broke_before_its_first_line_repeats_nothing() {
        let mut replay = Replay::default();
        replay.restart();
        assert_eq!(shown(&mut replay, &[1, 1, 2]), [1, 1, 2]);
    }
}
