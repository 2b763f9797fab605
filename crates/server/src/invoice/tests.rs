//! Reads the documents back: their table of objects, their pages, and the text on them.

use std::collections::BTreeMap;
use std::io::Read;

use super::*;

fn example(lines: usize) -> Invoice {
    let line = |number: usize| InvoiceLine {
        text: format!("Compute của dự án shop-{number} (Đà Nẵng)"),
        quantity: format!("{number} vCPU-hour"),
        amount: format!("{number}.500"),
    };
    Invoice {
        title: "Invoice".to_owned(),
        number: "TOSE-2026-0042".to_owned(),
        date: "2026-11-30".to_owned(),
        period: Some("2026-11".to_owned()),
        seller: Party {
            name: "Công ty TNHH Máy Chủ Việt".to_owned(),
            address: "12 Nguyễn Huệ\nQuận 1, TP. Hồ Chí Minh".to_owned(),
            tax_id: Some("0312345678".to_owned()),
            email: None,
        },
        buyer: Party {
            name: "Đặng Thị Ánh Tuyết".to_owned(),
            email: Some("tuyet@example.com".to_owned()),
            ..Party::default()
        },
        currency: "VND".to_owned(),
        lines: (1..=lines).map(line).collect(),
        totals: vec![
            ("Subtotal".to_owned(), "90.909".to_owned()),
            ("VAT 10 %".to_owned(), "9.091".to_owned()),
            ("Total".to_owned(), "100.000".to_owned()),
        ],
        notes: vec!["Paid from the wallet. Cảm ơn quý khách! €, ₫, ẵ, ữ".to_owned()],
    }
}

/// A document's objects, by number.
fn objects(pdf: &[u8]) -> BTreeMap<usize, &[u8]> {
    let text = String::from_utf8_lossy(pdf);
    let start = text.rsplit("startxref\n").next().expect("a start");
    let start: usize = start
        .lines()
        .next()
        .expect("a line")
        .parse()
        .expect("a number");
    let table = std::str::from_utf8(&pdf[start..]).expect("text");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("xref"));
    let head = lines.next().expect("a head");
    let count: usize = head
        .strip_prefix("0 ")
        .expect("from 0")
        .parse()
        .expect("a number");
    let mut found = BTreeMap::new();
    for (number, line) in lines.take(count).enumerate().skip(1) {
        let offset: usize = line[..10].parse().expect("an offset");
        let head = format!("{number} 0 obj\n");
        let body = pdf[offset..]
            .strip_prefix(head.as_bytes())
            .expect("an object");
        let end = body
            .windows(7)
            .position(|bytes| bytes == b"\nendobj")
            .expect("its end");
        found.insert(number, &body[..end]);
    }
    found
}

/// What is in an object's stream; empty if it has none.
fn stream(object: &[u8]) -> Vec<u8> {
    let Some(begin) = object.windows(8).position(|bytes| bytes == b"\nstream\n") else {
        return Vec::new();
    };
    let stream = object[begin + 8..]
        .strip_suffix(b"\nendstream")
        .expect("its end");
    if !has(&object[..begin], "FlateDecode") {
        return stream.to_vec();
    }
    let mut plain = Vec::new();
    let mut decoder = flate2::read::ZlibDecoder::new(stream);
    decoder.read_to_end(&mut plain).expect("compressed");
    plain
}

fn has(object: &[u8], words: &str) -> bool {
    object
        .windows(words.len())
        .any(|bytes| bytes == words.as_bytes())
}

/// Which character a number of a glyph stands for.
fn letters(objects: &BTreeMap<usize, &[u8]>) -> BTreeMap<u16, char> {
    let cmap = objects
        .values()
        .find(|object| has(object, "beginbfchar"))
        .expect("a map");
    let cmap = String::from_utf8(stream(cmap)).expect("text");
    let pairs = cmap.lines().filter_map(|line| {
        let (glyph, code) = line
            .strip_prefix('<')?
            .strip_suffix('>')?
            .split_once("> <")?;
        let glyph = u16::from_str_radix(glyph, 16).ok()?;
        let units = hex::decode(code).ok()?;
        let units = units
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        Some((glyph, char::decode_utf16(units).next()?.ok()?))
    });
    pairs.collect()
}

/// The bytes of a string, of which the writer makes hex digits or escaped text.
fn string(written: &[u8]) -> Vec<u8> {
    if let Some(digits) = written.strip_prefix(b"<") {
        return hex::decode(digits.strip_suffix(b">").expect("its end")).expect("hex");
    }
    let text = written
        .strip_prefix(b"(")
        .and_then(|text| text.strip_suffix(b")"));
    let mut bytes = text.expect("a string").iter().copied();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next().expect("what is escaped") {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'f' => 12,
                first @ b'0'..=b'7' => {
                    let digits = [Some(first), bytes.next(), bytes.next()];
                    let digits = digits.map(|digit| digit.expect("three digits") - b'0');
                    digits.iter().fold(0, |byte, digit| byte * 8 + digit)
                }
                other => other,
            },
            other => other,
        });
    }
    plain
}

/// The texts of each page.
fn pages(pdf: &[u8]) -> Vec<Vec<String>> {
    let objects = objects(pdf);
    let letters = letters(&objects);
    let streams = objects.values().map(|object| stream(object));
    let contents = streams.filter(|stream| stream.starts_with(b"BT\n"));
    contents.map(|content| texts(&content, &letters)).collect()
}

fn texts(mut content: &[u8], letters: &BTreeMap<u16, char>) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(end) = content.windows(4).position(|bytes| bytes == b" Tj\n") {
        let place = content[..end]
            .windows(4)
            .rposition(|bytes| bytes == b" Td\n");
        let bytes = string(&content[place.expect("a place") + 4..end]);
        let glyphs = bytes
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        texts.push(glyphs.map(|glyph| letters[&glyph]).collect());
        content = &content[end + 4..];
    }
    texts
}

#[test]
fn everything_stands_in_the_document_and_can_be_read() {
    let invoice = example(2);
    let pages = pages(&invoice.to_pdf());
    assert_eq!(pages.len(), 1);
    for text in [
        "Invoice",
        "Number: TOSE-2026-0042",
        "Period: 2026-11",
        "Công ty TNHH Máy Chủ Việt",
        "Quận 1, TP. Hồ Chí Minh",
        "Tax ID: 0312345678",
        "Đặng Thị Ánh Tuyết",
        "tuyet@example.com",
        "Compute của dự án shop-2 (Đà Nẵng)",
        "2 vCPU-hour",
        "2.500",
        "Amount (VND)",
        "100.000 VND",
        "Paid from the wallet. Cảm ơn quý khách! €, ₫, ẵ, ữ",
        "Invoice TOSE-2026-0042 · page 1 of 1",
    ] {
        assert!(
            pages[0].iter().any(|found| found == text),
            "{text}: {pages:?}"
        );
    }
}

#[test]
fn many_lines_make_more_pages_and_none_is_lost() {
    let pages = pages(&example(120).to_pdf());
    assert_eq!(pages.len(), 3);
    for page in &pages {
        assert!(page.iter().any(|text| text == "Description"));
    }
    let all: Vec<&String> = pages.iter().flatten().collect();
    for number in 1..=120 {
        let amount = format!("{number}.500");
        assert_eq!(all.iter().filter(|text| ***text == amount).count(), 1);
    }
    let last = pages[2].last().expect("a number");
    assert_eq!(last, "Invoice TOSE-2026-0042 · page 3 of 3");
}

#[test]
fn long_texts_are_wrapped_and_strange_ones_do_no_harm() {
    let mut invoice = example(1);
    invoice.lines[0].text = format!("{} {}", "word ".repeat(40), "x".repeat(200));
    invoice.notes = vec!["\u{0}\n(\\)\u{1F600}漢".to_owned(), String::new()];
    let pages = pages(&invoice.to_pdf());
    let of_x: usize = pages[0]
        .iter()
        .filter(|text| text.starts_with('x'))
        .map(|text| text.len())
        .sum();
    assert_eq!(of_x, 200);
    let note = pages[0].iter().find(|text| text.contains("(\\)"));
    assert!(
        note.is_some_and(|text| text.ends_with("\u{1F600}\u{FFFD}")),
        "{note:?}"
    );
    let empty = Invoice::default().to_pdf();
    assert_eq!(objects(&empty).len(), 10);
}

#[test]
fn equal_input_makes_equal_bytes_and_the_font_is_cut_down() {
    let pdf = example(3).to_pdf();
    assert_eq!(pdf, example(3).to_pdf());
    assert!(pdf.len() < 40_000, "{}", pdf.len());
    let objects = objects(&pdf);
    let is_font = |object: &&[u8]| stream(object).starts_with(&[0, 1, 0, 0]);
    assert_eq!(objects.values().copied().filter(is_font).count(), 1);
}
