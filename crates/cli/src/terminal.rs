//! The terminal's modes and size. Whoever changes the modes gets a guard that puts them back.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tose_api::client::TerminalSize;

/// The modes that the terminal on stdin had before; they come back when this is dropped.
pub(crate) struct ChangedModes(Termios);

impl ChangedModes {
    /// Keys are handed over one by one and not shown, until the guard is dropped.
    pub(crate) fn hidden() -> io::Result<Self> {
        // Without ISIG, Ctrl-C arrives as a key and cannot end the process while the echo is off.
        Self::begin(|modes| {
            modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        })
    }

    /// Bytes pass both ways as they are, until the guard is dropped.
    pub(crate) fn raw() -> io::Result<Self> {
        Self::begin(Termios::make_raw)
    }

    fn begin(change: impl FnOnce(&mut Termios)) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut changed = before.clone();
        change(&mut changed);
        tcsetattr(io::stdin(), OptionalActions::Flush, &changed)?;
        Ok(Self(before))
    }
}

impl Drop for ChangedModes {
    fn drop(&mut self) {
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}

/// The size of the terminal on stdout; `None` where there is none, or none that a server takes.
pub(crate) fn size() -> Option<TerminalSize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    let (cols, rows) = (size.ws_col, size.ws_row);
    let is_usable = |count: u16| (1..=1000).contains(&count);
    (is_usable(cols) && is_usable(rows)).then_some(TerminalSize { cols, rows })
}
