//! QR codes in a terminal: two modules in each character.

use qrcodegen::{QrCode, QrCodeEcc};

/// The white rim that readers need, in modules.
const RIM: i32 = 4;

/// Which modules are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// The dark ones, on what is painted white.
    Dark,
    /// The light ones, on a terminal that is dark.
    Light,
}

/// A code.
pub(crate) struct Code(QrCode);

impl Code {
    /// The code that has this text; `None` if it is too long for one.
    pub(crate) fn of(text: &str) -> Option<Self> {
        QrCode::encode_text(text, QrCodeEcc::Low).ok().map(Self)
    }

    /// How many characters its lines have.
    pub(crate) fn width(&self) -> usize {
        usize::try_from(self.0.size() + 2 * RIM).expect("a code has at most 177 modules in a row")
    }

    /// Its lines, with the rim.
    pub(crate) fn lines(&self, ink: Ink) -> Vec<String> {
        let range = -RIM..self.0.size() + RIM;
        let is_drawn = |x, y| {
            // Below an odd number of rows nothing is left to be drawn.
            range.contains(&y) && self.0.get_module(x, y) == (ink == Ink::Dark)
        };
        let block = |x, y| match (is_drawn(x, y), is_drawn(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        let rows = range.clone().step_by(2);
        rows.map(|y| range.clone().map(|x| block(x, y)).collect())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: usize = 3;

    /// Looks at the lines as a camera does, where each block has this colour.
    fn read(lines: &[String], block: u8) -> String {
        let halves = |block: char| match block {
            '█' => [true, true],
            '▀' => [true, false],
            '▄' => [false, true],
            _ => [false, false],
        };
        let lines: Vec<Vec<_>> = lines
            .iter()
            .map(|line| line.chars().map(halves).collect())
            .collect();
        let side = lines[0].len() * SCALE;
        let pixel = |x: usize, y: usize| match lines[y / SCALE / 2][x / SCALE][y / SCALE % 2] {
            true => block,
            false => 255 - block,
        };
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, pixel);
        let grids = picture.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().expect("a code").1
    }

    #[test]
    fn a_reader_finds_the_text_in_the_code() {
        for text in ["1", "https://pay.example/p?q=tiền", &"VIETQR".repeat(40)] {
            let code = Code::of(text).expect("a code");
            assert_eq!(read(&code.lines(Ink::Dark), 0), text);
            assert_eq!(read(&code.lines(Ink::Light), 255), text);
        }
    }

    #[test]
    fn a_code_is_drawn_with_its_rim_either_way() {
        let code = Code::of("1").expect("a code");
        assert_eq!(code.width(), 21 + 8);
        let dark = code.lines(Ink::Dark);
        assert_eq!(dark.len(), 15);
        assert!(dark.iter().all(|line| line.chars().count() == code.width()));
        assert!(dark[..2].iter().all(|line| line.trim().is_empty()));
        // The upper edge of a finder, and what is inside it.
        assert!(dark[2].starts_with("    █▀▀▀▀▀█ "), "{}", dark[2]);
        let light = code.lines(Ink::Light);
        assert!(light[2].starts_with("████ ▄▄▄▄▄ █"), "{}", light[2]);
        assert_eq!(light[14], "▀".repeat(code.width()));
    }

    #[test]
    fn a_text_that_is_too_long_has_no_code() {
        assert!(Code::of(&"x".repeat(3_000)).is_none());
    }
}
