//! Segments that are packed: smaller, with the same lines, whatever happens on the way.

use super::*;
use crate::frame::{self, FrameHeader};

/// Lines like those of a web server.
fn access_lines(count: u64) -> Vec<LogLine> {
    let id = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = |n: u64| format!("GET /orders/{n} 200 {} ms id={:016x}", n % 97, id(n));
    (0..count)
        .map(|n| line(n as i64 * 1_000_000, "web", &text(n)))
        .collect()
}

async fn filled(segment_bytes: u64, count: u64) -> Fixture {
    let fixture = Fixture::with_segments(segment_bytes);
    for batch in access_lines(count).chunks(50) {
        let batch = batch.to_vec();
        fixture.store.append(stream(), batch).await.expect("stored");
    }
    fixture
}

fn extensions(fixture: &Fixture) -> Vec<String> {
    let extension = |path: &PathBuf| path.extension().and_then(|e| e.to_str()).map(str::to_owned);
    fixture.segments().iter().filter_map(extension).collect()
}

async fn compact(fixture: &Fixture, idle_since: i64) {
    let packed = fixture.store.compact(stream(), time(idle_since)).await;
    packed.expect("packed");
}

/// The stream's files with what is in them.
fn contents(fixture: &Fixture) -> Vec<(String, Vec<u8>)> {
    let paths = fixture.segments();
    let content = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let bytes = std::fs::read(path).expect("a segment");
        (name.expect("a name").to_owned(), bytes)
    };
    paths.iter().map(content).collect()
}

/// A store whose stream has these files.
fn with_files(segment_bytes: u64, files: &[(String, Vec<u8>)]) -> Fixture {
    let mut fixture = Fixture::with_segments(segment_bytes);
    for (name, bytes) in files {
        write_file(&fixture, name, bytes);
    }
    fixture.reopen();
    fixture
}

fn write_file(fixture: &Fixture, name: &str, bytes: &[u8]) {
    let dir = fixture.dir.path().join(stream().to_string());
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join(name), bytes).expect("written");
}

#[tokio::test]
async fn full_segments_become_small_and_keep_their_lines() {
    let mut fixture = filled(64 << 10, 6000).await;
    let lines = fixture.read_all().await;
    let before = fixture.store.stats(stream()).await.expect("stats");
    compact(&fixture, 0).await;
    let after = fixture.store.stats(stream()).await.expect("stats");
    assert!(after.bytes * 2 < before.bytes, "{after:?} of {before:?}");
    let bytes = before.bytes;
    assert_eq!(Stats { bytes, ..after }, before);
    let kinds = extensions(&fixture);
    let (newest, others) = kinds.split_last().expect("segments");
    assert_eq!(newest, "tlog");
    assert!(others.len() > 3 && others.iter().all(|kind| kind == "tpack"));
    assert_eq!(fixture.read_all().await, lines);
    fixture.reopen();
    assert_eq!(fixture.read_all().await, lines);
    assert_eq!(fixture.store.stats(stream()).await.expect("stats"), after);
}

#[tokio::test]
async fn the_newest_segment_is_packed_when_its_stream_rests_and_the_next_line_begins_another() {
    let mut fixture = filled(64 << 10, 200).await;
    compact(&fixture, 199_000_000).await;
    assert_eq!(extensions(&fixture), ["tlog"], "its last line is not older");
    compact(&fixture, 199_000_001).await;
    assert_eq!(extensions(&fixture), ["tpack"]);
    fixture.reopen();
    fixture.append(&["after"]).await;
    assert_eq!(extensions(&fixture), ["tpack", "tlog"]);
    let records = fixture.read_all().await;
    assert_eq!(seqs(&records), (1..=201).collect::<Vec<_>>());
    fixture.reopen();
    assert_eq!(fixture.read_all().await, records);
}

#[tokio::test]
async fn a_finished_stream_stays_finished_when_it_is_packed() {
    let mut fixture = filled(64 << 10, 200).await;
    fixture.store.finish(stream()).await.expect("finished");
    compact(&fixture, 0).await;
    assert_eq!(extensions(&fixture), ["tpack"]);
    for _ in 0..2 {
        let is_finished = fixture.store.is_finished(stream()).await;
        assert!(is_finished.expect("an answer"));
        assert_eq!(fixture.read_all().await.len(), 200);
        fixture.reopen();
    }
}

/// What a process leaves that is killed at any moment of packing.
#[tokio::test]
async fn whatever_packing_leaves_behind_no_line_is_lost_or_doubled() {
    let fixture = filled(8 << 10, 400).await;
    let lines = fixture.read_all().await;
    let plain = contents(&fixture);
    compact(&fixture, 0).await;
    let packed = contents(&fixture).remove(0).1;
    let lens = [
        0,
        10,
        frame::SEGMENT_HEADER_LEN,
        packed.len() / 2,
        packed.len(),
    ];
    for len in lens {
        // Killed while it wrote: the unfinished file has another name.
        let mut killed = with_files(8 << 10, &plain);
        write_file(&killed, "00000001.new", &packed[..len]);
        killed.reopen();
        assert_eq!(killed.read_all().await, lines, "{len} bytes");
        compact(&killed, 0).await;
        assert_eq!(killed.read_all().await, lines, "{len} bytes, then packed");
        // Killed before the plain one went.
        let (name, bytes) = &plain[0];
        write_file(&killed, name, bytes);
        killed.reopen();
        assert_eq!(killed.read_all().await, lines, "both are there");
        killed.append(&["after"]).await;
        assert_eq!(killed.read_all().await.len(), lines.len() + 1);
        assert!(contents(&killed).iter().all(|(other, _)| other != name));
    }
}

#[tokio::test]
async fn changing_any_byte_of_a_packed_segment_costs_at_most_its_lines() {
    let fixture = filled(2 << 10, 200).await;
    let lines = fixture.read_all().await;
    compact(&fixture, 0).await;
    let files = contents(&fixture);
    assert!(files.len() > 2);
    let first = FrameHeader::decode(&files[0].1[frame::SEGMENT_HEADER_LEN..]).expect("a frame");
    let (_, others) = lines.split_at(first.count as usize);
    for offset in 0..files[0].1.len() {
        let mut files = files.clone();
        files[0].1[offset] ^= 0x40;
        let damaged = with_files(2 << 10, &files);
        let found = damaged.read_all().await;
        let is_header = offset < frame::SEGMENT_HEADER_LEN;
        let expected = if is_header { &lines[..] } else { others };
        assert_eq!(found, expected, "byte {offset}");
    }
}

/// As the version before left it: the texts as one, in a segment of version 2.
fn packed_before(packed: &[u8]) -> Vec<u8> {
    let (header, frame) = packed.split_at(frame::SEGMENT_HEADER_LEN);
    let (content, _) = header.split_at(header.len() - 4);
    let mut old = content.to_vec();
    old[7] = 2;
    old.extend(crc32fast::hash(&old).to_le_bytes());
    let header = FrameHeader::decode(frame).expect("a frame");
    let end = frame::FRAME_HEADER_LEN + header.payload_len();
    let block = frame::decode(&header, &frame[frame::FRAME_HEADER_LEN..end]).expect("a block");
    old.extend(crate::pack::whole::encode(&block));
    old
}

#[tokio::test]
async fn what_an_older_version_packed_is_read_and_found() {
    let fixture = filled(8 << 10, 400).await;
    let lines = fixture.read_all().await;
    compact(&fixture, 0).await;
    let mut files = contents(&fixture);
    files[0].1 = packed_before(&files[0].1);
    let older = with_files(8 << 10, &files);
    assert_eq!(older.read_all().await, lines);
    for search in ["orders 12", "*id=9e37*", "nothing", "\"GET /orders/3 200\""] {
        let query = Query {
            search: tose_model::log::Search::parse(search).expect("a search"),
            direction: Direction::Forward,
            limit: 1000,
            ..Query::default()
        };
        let expected: Vec<_> = lines
            .iter()
            .filter(|line| query.finds(line))
            .cloned()
            .collect();
        let found = older.store.find(stream(), query).await.expect("a page");
        assert_eq!(found.records, expected, "{search}");
    }
}

/// The follower's place is in a file that is replaced by a smaller one.
#[tokio::test]
async fn a_follower_goes_on_in_a_segment_that_is_packed_meanwhile() {
    let fixture = filled(1 << 20, 3000).await;
    let mut follower = fixture.store.follow(stream(), FollowFrom::Start);
    let mut seen = Vec::new();
    for idle_since in [0, i64::MAX] {
        let Event::Records(records) = follower.next().await.expect("an event") else {
            panic!("lines are there");
        };
        seen.extend(seqs(&records));
        compact(&fixture, idle_since).await;
    }
    assert_eq!(extensions(&fixture), ["tpack"]);
    while let Some(event) = follower.next_ready().await.expect("an event") {
        let Event::Records(records) = event else {
            panic!("{event:?}");
        };
        seen.extend(seqs(&records));
    }
    assert_eq!(seen, (1..=3000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_block_ends_where_its_text_is_enough() {
    let fixture = Fixture::with_segments(8 << 20);
    let long = |n: u8| LogLine {
        text: vec![n; 700 << 10],
        ..line(i64::from(n), "web", "")
    };
    let lines: Vec<_> = (0..6).map(long).collect();
    let stored = fixture.store.append(stream(), lines.clone()).await;
    stored.expect("stored");
    compact(&fixture, i64::MAX).await;
    assert_eq!(extensions(&fixture), ["tpack"]);
    let read = fixture.read_all().await.into_iter();
    assert!(read.map(|record| record.line).eq(lines));
}

#[tokio::test]
async fn each_day_is_counted_whether_it_is_packed_or_not() {
    const DAY: i64 = 86_400_000_000_000;
    let fixture = Fixture::with_segments(4 << 10);
    for batch in 0..4_i64 {
        let text = |n: i64| if n % 10 == 0 { "ERROR no" } else { "fine" };
        let lines = (batch * 50..(batch + 1) * 50).map(|n| line(n * DAY / 50, "web", text(n)));
        let stored = fixture.store.append(stream(), lines.collect()).await;
        stored.expect("stored");
    }
    for _ in 0..2 {
        let days = fixture.store.daily(stream()).await.expect("days");
        let starts: Vec<_> = days.iter().map(|day| day.start.as_nanos() / DAY).collect();
        assert_eq!(starts, [0, 1, 2, 3]);
        for day in days {
            assert_eq!((day.lines, day.errors, day.bytes), (50, 5, 45 * 4 + 5 * 8));
        }
        compact(&fixture, i64::MAX).await;
    }
}
