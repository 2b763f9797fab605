//! The first form of a packed frame, in which the texts are compressed as one. It is read, but not written any more.
//!
//! After what every index says come the lengths of the columns and the words in one piece; see
//! `docs/decisions/0023-packed-segments.md`.

use tose_api::Timestamp;

use super::zip::Unzip;
use super::{Index, MAX_LINES};
use crate::block::{Block, LineMeta};
use crate::bytes::{Input, unzigzag};
use crate::frame::{self, FrameHeader};

/// The most that the numbers of a line take.
const MAX_META: usize = 1 + 5 + 10 + 5;

/// What the index says of the two parts.
#[derive(Debug)]
pub(super) struct Whole {
    columns_len: usize,
    packed_columns_len: usize,
    pub(super) filter: Vec<u8>,
}

impl Whole {
    /// Reads the end of an index.
    pub(super) fn take(input: &mut Input<'_>) -> Option<Self> {
        let mut len = || usize::try_from(input.varint()?).ok();
        let (columns_len, packed_columns_len, filter_len) = (len()?, len()?, len()?);
        let filter = input.take(filter_len)?.to_vec();
        (columns_len <= MAX_LINES * MAX_META).then_some(Self {
            columns_len,
            packed_columns_len,
            filter,
        })
    }

    /// Unpacks what follows the index.
    pub(super) fn decode(
        &self,
        header: &FrameHeader,
        index: &Index,
        rest: &[u8],
        unzip: &mut Unzip,
    ) -> Option<Block> {
        let (columns, text) = rest.split_at_checked(self.packed_columns_len)?;
        let columns = unzip.decompress(columns, self.columns_len)?;
        let mut block = Block::new(header.first_seq);
        block.pods = index.pods.clone();
        block.text = unzip.decompress(text, index.text_len)?;
        block.lines = decode_columns(&columns, header.count as usize, block.pods.len())?;
        let len = block.lines.last().map_or(0, |line| line.end as usize);
        (len == block.text.len()).then_some(block)
    }
}

/// Sources with levels, pods, the unit of the times, the steps between the times, lengths.
fn decode_columns(columns: &[u8], count: usize, pods: usize) -> Option<Vec<LineMeta>> {
    let mut input = Input(columns);
    let kinds = input.take(count)?;
    let mut lines = Vec::with_capacity(count);
    for kind in kinds {
        let (source, level) = frame::kind_from(*kind)?;
        let pod = input.varint()?;
        if pod >= pods as u64 {
            return None;
        }
        lines.push(LineMeta {
            time: Timestamp::from_nanos(0),
            pod: u32::try_from(pod).ok()?,
            source,
            level,
            end: 0,
        });
    }
    let unit = input.varint()?.cast_signed();
    let mut time = 0_i64;
    for line in &mut lines {
        time = time.wrapping_add(unzigzag(input.varint()?));
        line.time = Timestamp::from_nanos(time.wrapping_mul(unit));
    }
    let mut end = 0_u64;
    for line in &mut lines {
        end = end.checked_add(input.varint()?)?;
        line.end = u32::try_from(end).ok()?;
    }
    input.0.is_empty().then_some(lines)
}

/// Packs a block as the first version did, for tests of reading what it left.
#[cfg(test)]
pub(crate) fn encode(block: &Block) -> Vec<u8> {
    use crate::bytes::{put_varint, zigzag};

    let mut columns = Vec::new();
    columns.extend(
        block
            .lines
            .iter()
            .map(|line| frame::kind_code(line.source, line.level)),
    );
    for line in &block.lines {
        put_varint(&mut columns, u64::from(line.pod));
    }
    put_varint(&mut columns, 1);
    let mut last = 0;
    for line in &block.lines {
        let time = line.time.as_nanos();
        put_varint(&mut columns, zigzag(time.wrapping_sub(last)));
        last = time;
    }
    for index in 0..block.lines.len() {
        put_varint(&mut columns, block.range(index).len() as u64);
    }
    let packed_columns = zstd::bulk::compress(&columns, 3).expect("memory");
    let mut filter = crate::filter::FilterBuilder::new();
    for index in 0..block.lines.len() {
        filter.add_text(&block.text_of(index).to_ascii_lowercase());
    }
    let filter = filter.finish();
    let mut index = Vec::new();
    super::put_common(block, &mut index);
    for len in [columns.len(), packed_columns.len(), filter.len()] {
        put_varint(&mut index, len as u64);
    }
    index.extend(filter);
    let text = zstd::bulk::compress(&block.text, 4).expect("memory");
    let payload = [super::with_checksum(&index), packed_columns, text].concat();
    let header = super::header_of(block, &payload, frame::FLAG_PACKED_WHOLE);
    [header.encode(), payload].concat()
}
