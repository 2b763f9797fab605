//! Frames: what comes back of what was written.

use proptest::prelude::*;

use super::*;

fn line(time: i64, source: LogSource, pod: &str, text: &[u8]) -> LogLine {
    LogLine {
        time: Timestamp::from_nanos(time),
        source,
        pod: pod.into(),
        text: text.to_vec(),
    }
}

fn any_line() -> impl Strategy<Value = LogLine> {
    let sources = [
        LogSource::Stdout,
        LogSource::Stderr,
        LogSource::Build,
        LogSource::System,
    ];
    let text = proptest::collection::vec(any::<u8>(), 0..60);
    (
        any::<i64>(),
        proptest::sample::select(sources.to_vec()),
        "[a-cé]{0,3}",
        text,
    )
        .prop_map(|(time, source, pod, text)| line(time, source, &pod, &text))
}

fn numbered(records: &[Record]) -> Vec<(u64, LogLine)> {
    let pair = |record: &Record| (record.seq, record.line.clone());
    records.iter().map(pair).collect()
}

#[test]
fn a_line_has_the_level_it_names_or_that_of_the_line_it_goes_on_with() {
    use LogSource::{Stderr, Stdout};
    let error = Some(LogLevel::Error);
    let expected = [
        ("a", Stdout, "Error: no", error),
        ("a", Stdout, "    at main", error),
        ("b", Stdout, "    at other", None),
        ("a", Stderr, "    of the other output", None),
        ("a", Stdout, "    at what is left of it", error),
        ("a", Stdout, "ready", None),
        ("a", Stdout, "    more", None),
    ];
    // Each comes with a batch of its own.
    let mut last_levels = LastLevels::default();
    for (pod, source, text, level) in expected {
        let mut lines = [line(0, source, pod, text.as_bytes())].into_iter();
        let encoded = encode(&mut lines, 1, MAX_LINE, &mut last_levels).expect("a line");
        assert_eq!(decode_all(&encoded.bytes)[0].level, level, "{text}");
    }
}

#[test]
fn a_batch_is_split_into_frames_and_writes() {
    let total = 2 * MAX_FRAME_LINES + 1;
    let batch: Vec<_> = (0..total)
        .map(|i| line(i as i64, LogSource::Build, "b", &[b'x'; 400]))
        .collect();
    let mut lines = batch.clone().into_iter();
    let mut next_seq = 7;
    let mut writes = 0;
    let mut records = Vec::new();
    while let Some(encoded) = encode(&mut lines, next_seq, 300 << 10, &mut LastLevels::default()) {
        records.extend(decode_all(&encoded.bytes));
        next_seq += encoded.count;
        writes += 1;
    }
    assert!(writes > 1, "one write took more than it was allowed to");
    assert_eq!(next_seq, 7 + total as u64);
    assert_eq!(numbered(&records), (7..).zip(batch).collect::<Vec<_>>());
}

#[test]
fn a_long_line_is_cut_and_says_so() {
    assert_eq!(cut(vec![b'x'; MAX_LINE]).len(), MAX_LINE);

    let text = cut(vec![b'x'; MAX_LINE + 5]);
    assert!(text.len() <= MAX_LINE);
    assert!(text.ends_with(b"xxx [cut: 45 bytes more]"));

    // Two bytes each: the cut would be in the middle of a character at every second offset.
    for text in ["é".repeat(MAX_LINE), format!("x{}", "é".repeat(MAX_LINE))] {
        let len = text.len();
        let text = String::from_utf8(cut(text.into_bytes())).expect("whole characters");
        let (kept, note) = text.split_once(" [cut: ").expect("a note");
        assert_eq!(note, format!("{} bytes more]", len - kept.len()));
    }

    let text = cut(vec![0x80; MAX_LINE * 2]);
    assert!(text.len() <= MAX_LINE);
}

#[test]
fn a_name_too_long_for_a_pod_is_refused() {
    let long = |len| vec![line(0, LogSource::Stdout, &"p".repeat(len), b"")];
    assert!(check(&long(255)).is_ok());
    assert!(matches!(check(&long(256)), Err(Error::PodTooLong(256))));
}

#[test]
fn a_segment_of_another_version_is_told_from_a_damaged_one() {
    let header = SegmentHeader {
        first_seq: 9,
        previous: None,
    };
    let mut bytes = header.encode();
    assert_eq!(bytes.len(), SEGMENT_HEADER_LEN);
    assert_eq!(SegmentHeader::decode(&bytes), SegmentStart::Header(header));

    bytes[7] = VERSION + 1;
    assert_eq!(SegmentHeader::decode(&bytes), SegmentStart::Damaged);
    let crc = crc32fast::hash(&bytes[..SEGMENT_HEADER_LEN - 4]).to_le_bytes();
    bytes[SEGMENT_HEADER_LEN - 4..].copy_from_slice(&crc);
    assert_eq!(
        SegmentHeader::decode(&bytes),
        SegmentStart::UnknownVersion(VERSION + 1)
    );
}

#[test]
fn a_segment_of_the_first_version_is_read() {
    let header = SegmentHeader {
        first_seq: 9,
        previous: None,
    };
    let mut bytes = header.encode();
    bytes[7] = 1;
    let crc = crc32fast::hash(&bytes[..SEGMENT_HEADER_LEN - 4]).to_le_bytes();
    bytes[SEGMENT_HEADER_LEN - 4..].copy_from_slice(&crc);
    assert_eq!(SegmentHeader::decode(&bytes), SegmentStart::Header(header));
}

#[test]
fn the_end_record_has_no_lines() {
    let bytes = encode_end(12);
    let header = FrameHeader::decode(&bytes).expect("a header");
    assert!(header.is_end());
    assert_eq!(
        (header.first_seq, header.next_seq(), header.payload_len()),
        (12, 12, 0)
    );
    let block = decode(&header, &[]).expect("a block");
    assert!(block.lines.is_empty());
}

proptest! {
    #[test]
    fn lines_survive_the_way_to_bytes_and_back(
        batch in proptest::collection::vec(any_line(), 1..40),
        first_seq in 1..u64::from(u32::MAX),
    ) {
        let encoded = encode(&mut batch.clone().into_iter(), first_seq, MAX_LINE, &mut LastLevels::default()).expect("lines");
        prop_assert_eq!(encoded.count, batch.len() as u64);
        let span = encoded.span.expect("lines have times");
        prop_assert_eq!(Some(span.earliest), batch.iter().map(|line| line.time).min());
        prop_assert_eq!(Some(span.latest), batch.iter().map(|line| line.time).max());
        let records = decode_all(&encoded.bytes);
        prop_assert_eq!(numbered(&records), (first_seq..).zip(batch).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        count in 0..5_u32,
    ) {
        let _ = SegmentHeader::decode(&bytes);
        let _ = FrameHeader::decode(&bytes);
        // With a right checksum too, which lets the bytes through to the inner decoder.
        let header = FrameHeader {
            payload_len: bytes.len() as u32,
            payload_crc: crc32fast::hash(&bytes),
            first_seq: u64::MAX - 1,
            count,
            flags: 0,
            span: None,
        };
        let _ = decode(&header, &bytes);
        for flags in [FLAG_PACKED_WHOLE, FLAG_SPLIT] {
        let _ = decode(&FrameHeader { flags, ..header }, &bytes);
        }
    }
}
