//! A terminal with a test at the keyboard.

use std::fs::{File, OpenOptions};
use std::io::Read;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Both ends of a terminal: what a person has, and what a program has.
pub(crate) fn terminal() -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&person).expect("a terminal");
    unlockpt(&person).expect("a terminal");
    let path = ptsname(&person, Vec::new()).expect("a path");
    let path = path.to_str().expect("text");
    let program = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("a terminal");
    (person.into(), program)
}

/// Sets how many cells the terminal has.
pub(crate) fn resize(person: &File, cols: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(person, size).expect("a terminal");
}

/// Reads from the terminal until `text` has come.
pub(crate) fn read_until(person: &mut File, text: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        person.read_exact(&mut byte).expect("more text");
        seen.push(byte[0]);
    }
    String::from_utf8(seen).expect("text")
}
