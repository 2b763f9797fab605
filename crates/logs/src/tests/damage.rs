//! What is left of a stream whose files were torn off or changed.

use std::fs;

use super::*;

/// A stream of a few small batches, and the texts and end offsets of the batches in each file.
struct Original {
    files: Vec<(String, Vec<u8>)>,
    batches: Vec<Batch>,
}

struct Batch {
    file: usize,
    end: usize,
    lines: Vec<Record>,
}

impl Original {
    async fn new(segment_bytes: u64) -> Self {
        let fixture = Fixture::with_segments(segment_bytes);
        let mut batches = Vec::new();
        for (first, count) in [(1, 1), (2, 3), (5, 2), (7, 1), (8, 2)] {
            let seqs = first..first + count;
            let lines = seqs
                .map(|seq| line(seq, "web", &format!("line {seq}")))
                .collect();
            fixture
                .store
                .append(stream(), lines)
                .await
                .expect("appended");
            let segments = fixture.segments();
            let newest = segments.last().expect("a segment");
            batches.push(Batch {
                file: segments.len() - 1,
                end: fs::read(newest).expect("a segment").len(),
                lines: fixture
                    .store
                    .tail(stream(), count as usize)
                    .await
                    .expect("lines"),
            });
        }
        fixture.store.finish(stream()).await.expect("finished");
        let file = |path: PathBuf| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(path).expect("a segment"))
        };
        Self {
            files: fixture.segments().into_iter().map(file).collect(),
            batches,
        }
    }

    /// A store with these files, of which the one at `index` has another content.
    fn with(&self, index: usize, content: &[u8]) -> Fixture {
        let fixture = Fixture::new();
        let dir = fixture.dir.path().join(stream().to_string());
        fs::create_dir(&dir).expect("a directory");
        for (other, (name, original)) in self.files.iter().enumerate() {
            let content = if other == index { content } else { original };
            fs::write(dir.join(name), content).expect("written");
        }
        fixture
    }

    fn lines(&self) -> Vec<Record> {
        self.batches
            .iter()
            .flat_map(|batch| batch.lines.clone())
            .collect()
    }
}

#[tokio::test]
async fn tearing_off_the_end_at_any_byte_keeps_what_was_whole() {
    for segment_bytes in [SEGMENT_BYTES, 200] {
        let original = Original::new(segment_bytes).await;
        let last = original.files.len() - 1;
        let content = &original.files[last].1;
        for len in 0..content.len() {
            let mut fixture = original.with(last, &content[..len]);
            let is_whole = |batch: &&Batch| batch.file < last || batch.end <= len;
            let whole = original.batches.iter().filter(is_whole);
            let mut expected: Vec<_> = whole.flat_map(|batch| batch.lines.clone()).collect();
            assert_eq!(fixture.read_all().await, expected, "{len} bytes");
            assert!(
                !fixture
                    .store
                    .is_finished(stream())
                    .await
                    .expect("an answer")
            );

            fixture.append(&["after"]).await;
            expected.push(Record {
                seq: expected.len() as u64 + 1,
                level: None,
                line: line(0, "web", "after"),
            });
            assert_eq!(
                fixture.read_all().await,
                expected,
                "{len} bytes, then a line"
            );
            fixture.reopen();
            assert_eq!(
                fixture.read_all().await,
                expected,
                "{len} bytes, then a restart"
            );
        }
    }
}

#[tokio::test]
async fn changing_any_byte_costs_at_most_the_frame_it_is_in() {
    for segment_bytes in [SEGMENT_BYTES, 200] {
        let original = Original::new(segment_bytes).await;
        for (index, (_, content)) in original.files.iter().enumerate() {
            for offset in 0..content.len() {
                for bits in [0x01, 0xff] {
                    let mut content = content.clone();
                    content[offset] ^= bits;
                    check_damaged(&original, index, offset, &content).await;
                }
            }
        }
    }
}

async fn check_damaged(original: &Original, file: usize, offset: usize, content: &[u8]) {
    let context = format!("file {file}, offset {offset}");
    let mut fixture = original.with(file, content);
    let is_hit = |batch: &&Batch| batch.file == file && batch.end > offset;
    let hit = original
        .batches
        .iter()
        .find(is_hit)
        .map(|batch| batch.lines.as_slice());
    let is_first = |lines: &&[Record]| offset < frame::SEGMENT_HEADER_LEN && !lines.is_empty();
    let lost = hit.filter(|lines| !is_first(lines)).unwrap_or_default();
    let mut expected = original.lines();
    expected.retain(|record| !lost.contains(record));

    let read = fixture.read_all().await;
    assert_eq!(read, expected, "{context}");
    let store = &fixture.store;
    for record in store.tail(stream(), 4).await.expect("lines") {
        assert!(expected.contains(&record), "{context}");
    }
    store.stats(stream()).await.expect("stats");
    store
        .last_position(stream(), "web")
        .await
        .expect("a position");
    store
        .follow(stream(), FollowFrom::Since(time(4)))
        .next_ready()
        .await
        .expect("an event");
    check_follower(store, &expected, &context).await;

    // Damage to the end record opens the stream again.
    if store.is_finished(stream()).await.expect("an answer") {
        return;
    }
    let before = read.last().map_or(0, |record| record.seq);
    fixture.append(&["after"]).await;
    fixture.reopen();
    let read = fixture.read_all().await;
    let (last, others) = read.split_last().expect("a line");
    assert_eq!(others, expected, "{context}");
    assert_eq!(last.line.text, b"after", "{context}");
    assert!(last.seq > before, "{context}");
}

/// A follower gives what is there, and says how much is not.
async fn check_follower(store: &LogStore, expected: &[Record], context: &str) {
    let mut follower = store.follow(stream(), FollowFrom::After(0));
    let mut next_seq = 1;
    let mut found = Vec::new();
    while let Some(event) = follower.next_ready().await.expect("an event") {
        match event {
            Event::Records(records) => {
                assert!(
                    records
                        .iter()
                        .map(|record| record.seq)
                        .eq(next_seq..next_seq + records.len() as u64)
                );
                next_seq += records.len() as u64;
                found.extend(records.iter().cloned());
            }
            Event::Missed(n) => next_seq += n,
            Event::End => break,
        }
    }
    assert_eq!(found, expected, "{context}");
}

#[tokio::test]
async fn a_file_of_zeros_or_noise_is_no_stream_but_no_obstacle() {
    let noise: Vec<u8> = (0..5000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for content in [vec![0; 5000], noise, vec![0xff; 5000]] {
        let original = Original {
            files: vec![("00000003.tlog".to_owned(), Vec::new())],
            batches: Vec::new(),
        };
        let mut fixture = original.with(0, &content);
        assert_eq!(fixture.read_all().await, []);
        fixture.append(&["a"]).await;
        fixture.reopen();
        assert_eq!(fixture.texts().await, ["a"]);
    }
}

#[tokio::test]
async fn a_segment_of_a_later_version_is_refused() {
    let original = Original::new(SEGMENT_BYTES).await;
    let mut content = original.files[0].1.clone();
    content[7] = 4;
    let header = frame::SEGMENT_HEADER_LEN - 4;
    let crc = crc32fast::hash(&content[..header]);
    content[header..frame::SEGMENT_HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    let fixture = original.with(0, &content);
    let refused = fixture.store.read(stream(), None, 1).await;
    assert!(matches!(refused, Err(Error::Version { version: 4, .. })));
}

#[tokio::test]
async fn a_missing_segment_in_the_middle_is_a_gap() {
    let original = Original::new(200).await;
    assert!(original.files.len() > 2);
    let fixture = original.with(0, &original.files[0].1);
    fs::remove_file(&fixture.segments()[1]).expect("removed");
    let mut expected = Vec::new();
    for batch in original.batches.iter().filter(|batch| batch.file != 1) {
        expected.extend(batch.lines.clone());
    }
    assert_eq!(fixture.read_all().await, expected);
    check_follower(&fixture.store, &expected, "without the second segment").await;
}
