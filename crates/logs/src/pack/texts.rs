//! The texts of a block's lines, split by shape (see `shape`).
//!
//! They are two parts. The outline says which shapes there are, what their values look like, and how much text
//! has no shape; it is small, and for most searches it is enough to see that there is nothing to find. The
//! body says which line has which shape, and has the text without a shape and the columns of values.
//!
//! Invariant: whatever the bytes are, reading does not panic, and needs not more than a small multiple of
//! the length that the texts are said to have.

use std::io;

use memchr::memmem::Finder;

use super::column::{self, Column, Kind};
use super::numbers;
use super::shape::{Chance, Form, MAX_SHAPES, SLOT, Shapes};
use super::zip::{Unzip, Zip};
use crate::block::Block;
use crate::bytes::{Input, put_varint};

/// How hard text without a shape is compressed. Level 6 takes twice the time for a twentieth less.
const TEXT_LEVEL: i32 = 4;
const OUTLINE_LEVEL: i32 = 3;
const ORDER_LEVEL: i32 = 1;

/// What can be said of the texts without reading them.
#[derive(Debug)]
pub(crate) struct Outline {
    forms: Vec<Form>,
    /// How long the texts without a shape are together.
    loose_len: usize,
}

/// Writes the outline and the body.
pub(crate) fn encode(
    shapes: &Shapes,
    block: &Block,
    zip: &mut Zip,
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut body = Vec::with_capacity(block.text.len() / 4);
    zip.put(&mut body, &shapes.of_line, ORDER_LEVEL)?;
    let (mut lens, mut loose) = (Vec::new(), Vec::new());
    for (index, _) in shapes
        .of_line
        .iter()
        .enumerate()
        .filter(|(_, of)| **of == 0)
    {
        loose.extend_from_slice(block.text_of(index));
        lens.push(block.range(index).len() as u64);
    }
    numbers::put(&mut body, &lens, zip)?;
    zip.put(&mut body, &loose, TEXT_LEVEL)?;

    let mut outline = Vec::new();
    put_varint(&mut outline, loose.len() as u64);
    put_varint(&mut outline, shapes.shapes.len() as u64);
    for shape in &shapes.shapes {
        put_varint(&mut outline, shape.key.len() as u64);
        outline.extend(&shape.key);
        for slot in 0..shape.slots() {
            let mut column = Vec::new();
            let kind = column::put(&mut column, shape.column(slot, &block.text), zip)?;
            outline.push(kind.code());
            put_varint(&mut body, column.len() as u64);
            body.extend(column);
        }
    }
    let mut packed = Vec::new();
    put_varint(&mut packed, outline.len() as u64);
    zip.put(&mut packed, &outline, OUTLINE_LEVEL)?;
    Ok((packed, body))
}

impl Outline {
    /// Reads an outline of texts that have this length.
    pub(crate) fn decode(bytes: &[u8], text_len: usize, unzip: &mut Unzip) -> Option<Self> {
        let mut input = Input(bytes);
        let len = usize::try_from(input.varint()?).ok()?;
        // Each shape has several lines, and takes a few bytes more than its text.
        if len > text_len.saturating_mul(2).saturating_add(1 << 16) {
            return None;
        }
        let outline = unzip.take(&mut input, len)?;
        let mut input = Input(&outline);
        let loose_len = usize::try_from(input.varint()?).ok()?;
        let count = usize::try_from(input.varint()?).ok()?;
        if loose_len > text_len || count > MAX_SHAPES {
            return None;
        }
        let forms = (0..count).map(|_| take_form(&mut input));
        Some(Self {
            forms: forms.collect::<Option<_>>()?,
            loose_len,
        })
    }

    /// Whether a line may have this text, which is in lower case.
    pub(crate) fn may_have(&self, text: &Finder<'_>) -> bool {
        let may_have = |form: &Form| match form.chance(text) {
            Chance::Anywhere => true,
            // Nearly every block has some number that is looked for, but to know it one has to look.
            Chance::InValues => true,
            Chance::Nowhere => false,
        };
        self.loose_len >= text.needle().len() || self.forms.iter().any(may_have)
    }
}

fn take_form(input: &mut Input<'_>) -> Option<Form> {
    let len = usize::try_from(input.varint()?).ok()?;
    let key = input.take(len)?.to_vec();
    let slots = key.iter().filter(|byte| **byte == SLOT).count();
    let kinds = input.take(slots)?.iter().map(|code| Kind::from_code(*code));
    Some(Form {
        kinds: kinds.collect::<Option<_>>()?,
        key,
    })
}

/// Which texts are read.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    All,
    /// Those that have this text, which is in lower case. Others may be left empty.
    With(&'a Finder<'a>),
}

/// The texts that were read, and where each ends.
pub(crate) struct Texts {
    pub(crate) text: Vec<u8>,
    pub(crate) ends: Vec<usize>,
}

/// Reads the texts of this many lines. `None` if the bytes are not what [`encode`] makes.
pub(crate) fn decode(
    outline: &Outline,
    body: &[u8],
    count: usize,
    text_len: usize,
    wanted: Wanted<'_>,
    unzip: &mut Unzip,
) -> Option<Texts> {
    let mut input = Input(body);
    let of_line = unzip.take(&mut input, count)?;
    let mut lines = [0_usize; MAX_SHAPES + 1];
    for of in of_line.iter() {
        lines[usize::from(*of)] += 1;
    }
    let is_known = |of: &u8| usize::from(*of) <= outline.forms.len();
    if !of_line.iter().all(is_known) {
        return None;
    }
    let mut room = text_len.checked_sub(outline.loose_len)?;
    let loose = take_loose(&mut input, lines[0], outline.loose_len, wanted, unzip)?;
    let mut sources = vec![loose];
    for (form, lines) in outline.forms.iter().zip(&lines[1..]) {
        let source = take_shaped(form, &mut input, *lines, &mut room, wanted, unzip)?;
        sources.push(source);
    }
    if !input.0.is_empty() {
        return None;
    }
    assemble(&of_line, &mut sources, text_len)
}

/// Where the texts of lines come from: those without a shape, or those of one shape.
enum Source<'a> {
    /// They are not wanted.
    Left,
    Loose {
        ends: Vec<usize>,
        text: Vec<u8>,
        next: usize,
    },
    Shaped {
        /// What stands before, between and after the values.
        pieces: Vec<&'a [u8]>,
        columns: Vec<Column>,
        /// Which lines are wanted, if not all.
        marks: Option<Vec<bool>>,
        next: usize,
    },
}

impl Source<'_> {
    /// Adds the next line's text.
    fn push_next(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Left => {}
            Self::Loose { ends, text, next } => {
                let start = next.checked_sub(1).map_or(0, |before| ends[before]);
                out.extend_from_slice(&text[start..ends[*next]]);
                *next += 1;
            }
            Self::Shaped {
                pieces,
                columns,
                marks,
                next,
            } => {
                let row = *next;
                *next += 1;
                if marks.as_ref().is_some_and(|marks| !marks[row]) {
                    return;
                }
                out.extend_from_slice(pieces[0]);
                for (column, piece) in columns.iter().zip(&pieces[1..]) {
                    column.push_value(row, out);
                    out.extend_from_slice(piece);
                }
            }
        }
    }
}

fn assemble(of_line: &[u8], sources: &mut [Source<'_>], text_len: usize) -> Option<Texts> {
    let is_needed = sources.iter().any(|source| !matches!(source, Source::Left));
    let mut text = Vec::new();
    if is_needed {
        text.reserve(text_len);
    }
    let mut ends = Vec::with_capacity(of_line.len());
    for of in of_line {
        sources[usize::from(*of)].push_next(&mut text);
        ends.push(text.len());
        if text.len() > text_len {
            return None;
        }
    }
    Some(Texts { text, ends })
}

fn take_loose(
    input: &mut Input<'_>,
    lines: usize,
    len: usize,
    wanted: Wanted<'_>,
    unzip: &mut Unzip,
) -> Option<Source<'static>> {
    let lens = numbers::take(input, lines, unzip)?;
    let text = unzip.take(input, len)?.into_owned();
    let ends = column::ends_of(&lens, text.len())?;
    let is_wanted = match wanted {
        Wanted::All => true,
        Wanted::With(finder) => finder.find(&text.to_ascii_lowercase()).is_some(),
    };
    Some(match is_wanted {
        true => Source::Loose {
            ends,
            text,
            next: 0,
        },
        false => Source::Left,
    })
}

fn take_shaped<'a>(
    form: &'a Form,
    input: &mut Input<'_>,
    lines: usize,
    room: &mut usize,
    wanted: Wanted<'_>,
    unzip: &mut Unzip,
) -> Option<Source<'a>> {
    let columns: Option<Vec<_>> = form.kinds.iter().map(|_| take_bytes(input)).collect();
    let columns = columns?;
    let mut read = |index: usize| {
        let mut bytes = Input(columns[index]);
        let column = Column::take(form.kinds[index], &mut bytes, lines, room, unzip)?;
        bytes.0.is_empty().then_some(column)
    };
    let mut known: Vec<Option<Column>> = Vec::new();
    known.resize_with(columns.len(), || None);
    let mut marks = None;
    if let Wanted::With(finder) = wanted {
        match form.chance(finder) {
            Chance::Nowhere => return Some(Source::Left),
            Chance::Anywhere => {}
            Chance::InValues => {
                let mut found = vec![false; lines];
                let can_have = |kind: Kind| finder.needle().iter().all(|byte| kind.can_have(*byte));
                for (index, kind) in form.kinds.iter().enumerate() {
                    if can_have(*kind) {
                        let column = read(index)?;
                        column.mark_rows_with(finder, &mut found);
                        known[index] = Some(column);
                    }
                }
                if !found.contains(&true) {
                    return Some(Source::Left);
                }
                marks = Some(found);
            }
        }
    }
    let columns = known.into_iter().enumerate();
    let columns = columns.map(|(index, column)| column.or_else(|| read(index)));
    Some(Source::Shaped {
        pieces: form.key.split(|byte| *byte == SLOT).collect(),
        columns: columns.collect::<Option<_>>()?,
        marks,
        next: 0,
    })
}

fn take_bytes<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let len = usize::try_from(input.varint()?).ok()?;
    input.take(len)
}
