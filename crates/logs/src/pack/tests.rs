//! Packed frames: what comes back of what was packed, and of bytes that are damaged.

use proptest::prelude::*;

use super::*;
use crate::Record;

type Line = (i64, u32, usize, usize, Vec<u8>);

fn block(lines: &[Line]) -> Block {
    let sources = [
        LogSource::Stdout,
        LogSource::Stderr,
        LogSource::Build,
        LogSource::System,
    ];
    let levels = [
        None,
        Some(LogLevel::Debug),
        Some(LogLevel::Warn),
        Some(LogLevel::Error),
    ];
    let mut block = Block::new(7);
    block.pods = vec!["a".into(), "b".into(), "c".into()];
    for (time, pod, source, level, text) in lines {
        block.text.extend(text);
        block.lines.push(LineMeta {
            time: Timestamp::from_nanos(*time),
            pod: *pod,
            source: sources[*source],
            level: levels[*level],
            end: u32::try_from(block.text.len()).expect("short"),
        });
    }
    block
}

fn records(block: &Block) -> Vec<Record> {
    (0..block.lines.len())
        .map(|index| block.record(index))
        .collect()
}

/// Texts of all kinds: any bytes, and lines of a few shapes with values that are nearly all of one kind.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let shaped = prop_oneof![
        "GET /(a|B)/[0-9]{1,4} id=[0-9a-f]{8}",
        "took [0-9]{3}ms, \u{1b}\\[3[12]m[A-F0-9]{4}\u{1b}\\[0m é[0-9]",
        "[0-9]{17,20}x?",
        "v(1|2b|3C)",
    ];
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..30),
        4 => shaped.prop_map(String::into_bytes),
    ]
}

fn any_lines() -> impl Strategy<Value = Vec<Line>> {
    let time = prop_oneof![any::<i64>(), (0..9_i64).prop_map(|ms| ms * 1_000_000)];
    proptest::collection::vec((time, 0..3_u32, 0..4_usize, 0..4_usize, any_text()), 1..120)
}

fn packed(block: &Block) -> Vec<u8> {
    encode(block, &mut Zip::default()).expect("packed")
}

/// A piece of a line, in lower case.
fn needle_of(block: &Block, line: prop::sample::Index, from: prop::sample::Index) -> Vec<u8> {
    let text = block
        .text_of(line.index(block.lines.len()))
        .to_ascii_lowercase();
    let from = from.index(text.len() + 1);
    text[from..text.len().min(from + 9)].to_vec()
}

fn may_have_words(payload: &[u8], index: &Index, lower: &[u8]) -> bool {
    tose_model::log::words(lower).all(|word| {
        let hash = filter::hash(word);
        match index.words() {
            Words::Known(filter) => filter::may_have(filter, hash),
            Words::Pages { blocks_len, start } => {
                filter::page_of(hash, blocks_len).is_some_and(|page| {
                    let page = &payload[start + page.start..start + page.end];
                    filter::page_may_have(page, hash, blocks_len)
                })
            }
        }
    })
}

proptest! {
    #[test]
    fn what_was_packed_comes_back(lines in any_lines(), is_old in any::<bool>()) {
        let block = block(&lines);
        let frame = if is_old { whole::encode(&block) } else { packed(&block) };
        let header = FrameHeader::decode(&frame).expect("a header");
        let payload = &frame[frame::FRAME_HEADER_LEN..];
        let unpacked = frame::decode(&header, payload).expect("a block");
        prop_assert_eq!(records(&unpacked), records(&block));
        let index = decode_index(&header, payload).expect("an index");
        for (index_of_line, line) in block.lines.iter().enumerate() {
            prop_assert!(index.has_pod(block.pod_of(index_of_line)));
            prop_assert!(index.has_source(line.source));
            prop_assert!(line.level.is_none_or(|level| index.has_level(level)));
            let lower = block.text_of(index_of_line).to_ascii_lowercase();
            prop_assert!(may_have_words(payload, &index, &lower));
        }
    }

    #[test]
    fn a_text_is_found_in_all_lines_that_have_it(
        lines in any_lines(),
        line in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
    ) {
        let block = block(&lines);
        let needle = needle_of(&block, line, from);
        prop_assume!(!needle.is_empty());
        let finder = Finder::new(&needle);
        let frame = packed(&block);
        let header = FrameHeader::decode(&frame).expect("a header");
        let payload = &frame[frame::FRAME_HEADER_LEN..];
        let unzip = &mut Unzip::default();
        let index = decode_index(&header, payload).expect("an index");
        prop_assert!(index.may_have_text(&finder, unzip));
        let found = frame::decode_wanted(&header, payload, Wanted::With(&finder), unzip);
        let found = found.expect("a block");
        prop_assert_eq!(found.lines.len(), block.lines.len());
        for index in 0..block.lines.len() {
            let has_it = finder.find(&block.text_of(index).to_ascii_lowercase()).is_some();
            if has_it || !found.text_of(index).is_empty() {
                prop_assert_eq!(found.record(index), block.record(index));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        lines in any_lines(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        is_old in any::<bool>(),
    ) {
        let block = block(&lines);
        let frame = if is_old { whole::encode(&block) } else { packed(&block) };
        let header = FrameHeader::decode(&frame).expect("a header");
        let mut payload = frame[frame::FRAME_HEADER_LEN..].to_vec();
        for (at, byte) in edits {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        let index_len = u32::from_le_bytes(payload[..4].try_into().expect("four bytes")) as usize;
        // Without the checksums, which would find it.
        if let Some(index) = payload.get(PREFIX_LEN..PREFIX_LEN + index_len) {
            let crc = crc32fast::hash(index);
            payload[4..PREFIX_LEN].copy_from_slice(&crc.to_le_bytes());
        }
        let unzip = &mut Unzip::default();
        if let Some(block) = decode(&header, &payload, Wanted::All, unzip) {
            prop_assert_eq!(block.lines.len(), header.count as usize);
        }
        let finder = Finder::new("1");
        if let Some(block) = decode(&header, &payload, Wanted::With(&finder), unzip) {
            prop_assert!([0, header.count as usize].contains(&block.lines.len()));
        }
    }
}

/// Lines that nothing can be made of, next to lines that are all alike.
#[test]
fn long_and_odd_lines_come_back() {
    let mut lines: Vec<Line> = Vec::new();
    for n in 0..300_u32 {
        lines.push((
            i64::from(n),
            0,
            0,
            0,
            format!("GET /orders/{n} 200").into_bytes(),
        ));
        lines.push((
            i64::MIN + i64::from(n),
            1,
            0,
            0,
            format!("{n} ").repeat(n as usize % 90).into_bytes(),
        ));
        lines.push((
            i64::MAX,
            2,
            3,
            3,
            format!("shape {} of its own 1", "x".repeat(n as usize)).into_bytes(),
        ));
    }
    lines.push((0, 0, 0, 0, vec![0; 700]));
    lines.push((0, 0, 0, 0, vec![0xff; 1 << 20]));
    let block = block(&lines);
    let frame = packed(&block);
    let header = FrameHeader::decode(&frame).expect("a header");
    let unpacked = frame::decode(&header, &frame[frame::FRAME_HEADER_LEN..]);
    assert!(unpacked.is_some_and(|unpacked| unpacked == block));
}

/// The texts are what takes the space, so what they have in common has to be kept once.
#[test]
fn lines_that_differ_in_ids_take_little_more_than_the_ids() {
    let id = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = |n: u64| format!("level=info msg=\"job done\" queue=mail id={:016x}", id(n));
    let lines: Vec<Line> = (0..4000)
        .map(|n| (n as i64, 0, 0, 0, text(n).into_bytes()))
        .collect();
    let frame = packed(&block(&lines));
    assert!(frame.len() < 4000 * 10, "{} bytes", frame.len());
}

/// What lies on disks has to be read by all later versions. (Which bytes are written may change.)
#[test]
fn a_frame_that_was_written_once_stays_readable() {
    const FRAME: &str = "\
        060100004f02e7ee070000000000000007000000040000000500000000000000c0e1e400000000009902cf89\
        3100000074c7294103016101620163090000000601d801402d1e3c0601175741524e200020746f6f6b200020\
        6f6620002069643d00020000013820950a1520e3410755d0082ca74230850533b082ee23008d50120fe03244\
        22b684240a1e69778476482d48d9d370c09910eaecc0910717e06ace097311080d843e453d0e303030303030\
        4301000e000000000000020103050e7bbbfb3b7bbb000e96d81a5d9fe1000e98a7b7c6d5e4000e0101010101\
        010000060cff00206f64641c000418307631307876313178763132787631337876313478763135780a030146\
        0c00070e151c23120002904e0c00e8d0b8a0880c0003070b0f130f080ca0b0c0d0e0f00c0a0b0c0d0e0f";
    let bytes: Vec<u8> = (0..FRAME.len() / 2)
        .map(|at| u8::from_str_radix(&FRAME[at * 2..at * 2 + 2], 16).expect("hex"))
        .collect();
    let header = FrameHeader::decode(&bytes).expect("a header");
    let unpacked = frame::decode(&header, &bytes[frame::FRAME_HEADER_LEN..]).expect("a block");
    assert!(unpacked == block(&golden_lines()));
}

/// Each kind of column, and a line without a shape.
fn golden_lines() -> Vec<Line> {
    let text = |n: i64| {
        let (took, of, id) = (n * 7, n * 1000, n * 4097);
        format!("WARN v{n}x took {took:03} of {of} id={id:04x}")
    };
    let mut lines: Vec<Line> = (10..16)
        .map(|n| (n * 1_000_000, 0, 0, 2, text(n).into_bytes()))
        .collect();
    lines.push((5, 2, 3, 3, b"\xff\x00 odd".to_vec()));
    lines
}
