//! QR codes as SVG.
//!
//! Not here: what stands in them (`tose_model::payment::vietqr`).

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};
use tose_model::error::{Error, Result};

/// The white rim that readers need, in modules.
const RIM: i32 = 4;

/// A code that has this text, black on white and as large as the page wants it.
///
/// # Errors
/// When the text is too long for a code.
pub(crate) fn qr_svg(text: &str) -> Result<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)
        .map_err(|_| Error::invalid("the text is too long for a QR code"))?;
    let size = code.size() + 2 * RIM;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{size}v{size}H0z\"/><path fill=\"#000\" d=\"{}\"/></svg>",
        dark_runs(&code)
    ))
}

/// A rectangle for each run of dark modules in a row.
fn dark_runs(code: &QrCode) -> String {
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let length = (x..code.size())
                .take_while(|x| code.get_module(*x, y))
                .count();
            let length = i32::try_from(length).expect("a code has at most 177 modules in a row");
            if length > 0 {
                write!(path, "M{} {}h{length}v1h-{length}z", x + RIM, y + RIM)
                    .expect("a String takes everything");
            }
            x += length.max(1);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: usize = 3;

    /// Draws the SVG and reads the code in the picture.
    fn read(svg: &str) -> String {
        let size = svg.split("viewBox=\"0 0 ").nth(1).expect("a size");
        let size: usize = size
            .split(' ')
            .next()
            .expect("a size")
            .parse()
            .expect("a number");
        let path = svg.rsplit("d=\"").next().expect("a path");
        let path = path.split('"').next().expect("a path");
        let mut dark = vec![false; size * size];
        for run in path.split('M').skip(1) {
            let numbers: Vec<usize> = run
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            let [x, y, length, ..] = numbers[..] else {
                unreachable!("a run has three numbers");
            };
            dark[y * size + x..][..length].fill(true);
        }
        let pixel = |x: usize, y: usize| match dark[y / SCALE * size + x / SCALE] {
            true => 0,
            false => 255,
        };
        let side = size * SCALE;
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, pixel);
        let grids = picture.detect_grids();
        assert_eq!(grids.len(), 1);
        grids[0].decode().expect("a code").1
    }

    #[test]
    fn a_reader_finds_the_text_in_the_picture() {
        for text in [
            "00020101021238570010A00000072701270006970403011300110123456780208QRIBFTTA530370454061800005802VN62340107NPS68690819thanh toan don hang63042E2E",
            "https://pay.example/p?q=tiền",
            "1",
        ] {
            assert_eq!(read(&qr_svg(text).expect("a code")), text);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        assert!(qr_svg(&"x".repeat(3_000)).is_err());
    }
}
