//! The font of documents: DejaVu Sans, of which a document carries the letters that it uses.
//!
//! Not here: right-to-left writing, and letters that are put together from several characters.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Filter, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId};

/// Its licence lies beside it.
static FILE: &[u8] = include_bytes!("../../assets/DejaVuSans.ttf");
/// Six letters and a plus say that it is a part of the font.
const BASE_NAME: Name<'static> = Name(b"TOSEAA+DejaVuSans");
const SYSTEM_INFO: SystemInfo<'static> = SystemInfo {
    registry: Str(b"Adobe"),
    ordering: Str(b"Identity"),
    supplement: 0,
};
/// What a font's own measures are given in.
const EM: f32 = 1000.0;
/// How strong its stems are; PDF wants to know, and the font does not say.
const STEM: f32 = 90.0;

pub(super) struct Font {
    face: Face<'static>,
    glyphs: GlyphRemapper,
    /// What each glyph of the document stands for, and its width.
    used: BTreeMap<u16, (char, f32)>,
}

impl Font {
    pub(super) fn new() -> Self {
        Self {
            face: Face::parse(FILE, 0).expect("the font that is built in can be read"),
            glyphs: GlyphRemapper::new(),
            used: BTreeMap::new(),
        }
    }

    /// How wide a text is at this size.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        let advance = |character| self.advance(self.glyph(character));
        text.chars().map(advance).sum::<f32>() * size / EM
    }

    /// The text in the document's own numbers of glyphs, two bytes each.
    pub(super) fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(2 * text.len());
        for character in text.chars() {
            let glyph = self.glyph(character);
            let number = self.glyphs.remap(glyph.0);
            let advance = self.advance(glyph);
            let shown = match glyph.0 {
                0 => char::REPLACEMENT_CHARACTER,
                _ => character,
            };
            self.used.entry(number).or_insert((shown, advance));
            encoded.extend(number.to_be_bytes());
        }
        encoded
    }

    /// What the font does not have is shown as an empty box.
    fn glyph(&self, character: char) -> GlyphId {
        self.face.glyph_index(character).unwrap_or_default()
    }

    fn advance(&self, glyph: GlyphId) -> f32 {
        let advance = self.face.glyph_hor_advance(glyph).unwrap_or_default();
        self.to_em(f32::from(advance))
    }

    fn to_em(&self, units: f32) -> f32 {
        units * EM / f32::from(self.face.units_per_em())
    }

    /// Writes the font as `id`, and its parts.
    pub(super) fn write(&self, pdf: &mut Pdf, id: Ref, parts: [Ref; 4]) {
        let [cid_font, descriptor, to_unicode, file] = parts;
        pdf.type0_font(id)
            .base_font(BASE_NAME)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(cid_font)
            .to_unicode(to_unicode);
        self.write_cid_font(pdf, cid_font, descriptor);
        self.write_descriptor(pdf, descriptor, file);
        let mut letters = UnicodeCmap::new(Name(b"TOSE-Letters"), SYSTEM_INFO);
        for (number, (character, _)) in &self.used {
            letters.pair(*number, *character);
        }
        pdf.cmap(to_unicode, &letters.finish());
        let subset = subsetter::subset(FILE, 0, &self.glyphs)
            .expect("the font that is built in can be cut down");
        pdf.stream(file, &compressed(&subset))
            .filter(Filter::FlateDecode);
    }

    fn write_cid_font(&self, pdf: &mut Pdf, id: Ref, descriptor: Ref) {
        let mut font = pdf.cid_font(id);
        font.subtype(CidFontType::Type2)
            .base_font(BASE_NAME)
            .system_info(SYSTEM_INFO)
            .font_descriptor(descriptor)
            .default_width(0.0)
            .cid_to_gid_map_predefined(Name(b"Identity"));
        let mut widths = font.widths();
        for (number, (_, width)) in &self.used {
            widths.same(*number, *number, *width);
        }
    }

    fn write_descriptor(&self, pdf: &mut Pdf, id: Ref, file: Ref) {
        let face = &self.face;
        let to_em = |units: i16| self.to_em(f32::from(units));
        let bounds = face.global_bounding_box();
        let bounds = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(to_em);
        let [left, bottom, right, top] = bounds;
        let capital = face.capital_height().unwrap_or(face.ascender());
        pdf.font_descriptor(id)
            .name(BASE_NAME)
            .flags(FontFlags::SYMBOLIC)
            .bbox(Rect::new(left, bottom, right, top))
            .italic_angle(0.0)
            .ascent(to_em(face.ascender()))
            .descent(to_em(face.descender()))
            .cap_height(to_em(capital))
            .stem_v(STEM)
            .font_file2(file);
    }
}

/// What a stream with the filter `FlateDecode` holds.
pub(super) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory takes everything")
}
