//! Sheets of A4 that fill from the top: text at a place, rules, and page numbers at the end.
//!
//! Lengths are points, and count from the left margin and from the upper edge.

use pdf_writer::types::TextRenderingMode;
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::font::{Font, compressed};

const PAGE_WIDTH: f32 = 595.28;
const PAGE_HEIGHT: f32 = 841.89;
const MARGIN: f32 = 50.0;
/// Where text ends, so that the page's number has room.
const BOTTOM: f32 = PAGE_HEIGHT - 70.0;
const NUMBER_Y: f32 = PAGE_HEIGHT - 40.0;
const NUMBER_SIZE: f32 = 8.0;
/// Between the margins.
pub(super) const WIDTH: f32 = PAGE_WIDTH - 2.0 * MARGIN;
const FONT_NAME: Name<'static> = Name(b"F1");
/// Bold letters are drawn with an outline this wide, for each point of their size.
const BOLD_OUTLINE: f32 = 0.03;

/// Where a text begins or ends.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Left(f32),
    Right(f32),
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Style {
    size: f32,
    outline: f32,
}

impl Style {
    pub(super) const fn regular(size: f32) -> Self {
        Self { size, outline: 0.0 }
    }

    pub(super) const fn bold(size: f32) -> Self {
        Self {
            size,
            outline: BOLD_OUTLINE * size,
        }
    }
}

/// What is being written.
pub(super) struct Sheet {
    font: Font,
    pages: Vec<Content>,
    y: f32,
}

impl Sheet {
    pub(super) fn new() -> Self {
        Self {
            font: Font::new(),
            pages: vec![Content::new()],
            y: MARGIN,
        }
    }

    pub(super) fn y(&self) -> f32 {
        self.y
    }

    pub(super) fn set_y(&mut self, y: f32) {
        self.y = y;
    }

    pub(super) fn down(&mut self, by: f32) {
        self.y += by;
    }

    /// Begins a page if `height` has no room on this one; whether it did.
    pub(super) fn break_page(&mut self, height: f32) -> bool {
        let is_full = self.y + height > BOTTOM;
        if is_full {
            self.pages.push(Content::new());
            self.y = MARGIN;
        }
        is_full
    }

    /// Writes one line.
    pub(super) fn put(&mut self, place: Place, style: Style, text: &str) {
        let page = self.pages.len() - 1;
        self.put_on(page, self.y, place, style, text);
    }

    fn put_on(&mut self, page: usize, y: f32, place: Place, style: Style, text: &str) {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return;
        }
        let x = match place {
            Place::Left(x) => x,
            Place::Right(x) => x - self.font.width(&text, style.size),
        };
        let encoded = self.font.encode(&text);
        let mode = match style.outline > 0.0 {
            true => TextRenderingMode::FillStroke,
            false => TextRenderingMode::Fill,
        };
        self.pages[page]
            .begin_text()
            .set_font(FONT_NAME, style.size)
            .set_line_width(style.outline)
            .set_text_rendering_mode(mode)
            .next_line(MARGIN + x, PAGE_HEIGHT - y)
            .show(Str(&encoded))
            .end_text();
    }

    /// Draws a line from `left` to the right margin.
    pub(super) fn rule(&mut self, left: f32) {
        let y = PAGE_HEIGHT - self.y;
        let page = self.pages.last_mut().expect("there is always a page");
        page.set_line_width(0.5)
            .move_to(MARGIN + left, y)
            .line_to(MARGIN + WIDTH, y)
            .stroke();
    }

    /// Cuts a text into lines that are no wider than `width`: between words, and in those that are wider.
    pub(super) fn wrap(&self, style: Style, width: f32, text: &str) -> Vec<String> {
        let fits = |text: &str| self.font.width(text, style.size) <= width;
        let mut rows: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let joined = rows.last().map(|row| format!("{row} {word}"));
            match (joined.filter(|joined| fits(joined)), rows.last_mut()) {
                (Some(joined), Some(row)) => *row = joined,
                _ => rows.extend(cut(word, fits)),
            }
        }
        rows
    }

    fn number_pages(&mut self, title: &str) {
        let count = self.pages.len();
        for page in 0..count {
            let text = format!("{title} · page {} of {count}", page + 1);
            let style = Style::regular(NUMBER_SIZE);
            self.put_on(page, NUMBER_Y, Place::Right(WIDTH), style, &text);
        }
    }

    /// Numbers the pages and ends the document.
    pub(super) fn finish(mut self, title: &str, author: &str) -> Vec<u8> {
        self.number_pages(title);
        let count = self.pages.len();
        let mut next = 0;
        let mut take = || {
            next += 1;
            Ref::new(next)
        };
        let (catalog, tree, info, font) = (take(), take(), take(), take());
        let font_parts = [take(), take(), take(), take()];
        let pages: Vec<(Ref, Ref)> = (0..count).map(|_| (take(), take())).collect();

        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree)
            .kids(pages.iter().map(|(page, _)| *page))
            .count(i32::try_from(count).expect("no invoice has two thousand million pages"));
        pdf.document_info(info)
            .title(TextStr(title))
            .author(TextStr(author))
            .creator(TextStr("TOSE"));
        for ((id, content_id), content) in pages.into_iter().zip(self.pages) {
            let mut page = pdf.page(id);
            page.media_box(Rect::new(0.0, 0.0, PAGE_WIDTH, PAGE_HEIGHT))
                .parent(tree)
                .contents(content_id);
            page.resources().fonts().pair(FONT_NAME, font);
            page.finish();
            pdf.stream(content_id, &compressed(&content.finish()))
                .filter(Filter::FlateDecode);
        }
        self.font.write(&mut pdf, font, font_parts);
        pdf.finish()
    }
}

/// Cuts a word into parts that fit; a part has one character at least.
fn cut(word: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut parts = vec![String::new()];
    for character in word.chars() {
        let part = parts.last_mut().expect("there is always a part");
        part.push(character);
        if part.chars().count() > 1 && !fits(part) {
            part.pop();
            parts.push(character.to_string());
        }
    }
    parts
}
