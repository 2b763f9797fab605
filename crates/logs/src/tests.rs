//! The store as its callers see it, on a real directory.

mod damage;
mod far;
mod follow;
mod fuzz;
mod model;
mod packing;

use std::path::PathBuf;

use tempfile::TempDir;
use tose_api::log::LogSource;

use super::*;
use far::FakeFar;

/// A store in a directory of its own.
struct Fixture {
    dir: TempDir,
    store: LogStore,
    segment_bytes: u64,
    /// Its second tier, with the size of the cache.
    far: Option<(Arc<FakeFar>, u64)>,
}

impl Fixture {
    fn new() -> Self {
        Self::with_segments(SEGMENT_BYTES)
    }

    /// With segments of another size.
    fn with_segments(segment_bytes: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store =
            LogStore::open_with(dir.path(), segment_bytes, Packing::OnRequest).expect("a store");
        Self {
            dir,
            store,
            segment_bytes,
            far: None,
        }
    }

    /// The same with a second tier.
    fn with_far(segment_bytes: u64, cache_bytes: u64) -> Self {
        let mut fixture = Self::with_segments(segment_bytes);
        fixture.far = Some((Arc::default(), cache_bytes));
        fixture.attach();
        fixture
    }

    fn attach(&self) {
        if let Some((far, cache_bytes)) = self.far.clone() {
            let attached = self.store.attach_far_store(far, cache_bytes);
            attached.expect("attached");
        }
    }

    fn far(&self) -> &FakeFar {
        &self.far.as_ref().expect("a second tier").0
    }

    /// Opens the directory anew, as after a restart.
    fn reopen(&mut self) {
        self.store = LogStore::open_with(self.dir.path(), self.segment_bytes, Packing::OnRequest)
            .expect("a store");
        self.attach();
    }

    async fn append(&self, texts: &[&str]) {
        let lines = texts.iter().map(|text| line(0, "web", text)).collect();
        self.store.append(stream(), lines).await.expect("appended");
    }

    async fn read_all(&self) -> Vec<Record> {
        self.store
            .read(stream(), None, usize::MAX)
            .await
            .expect("lines")
    }

    async fn texts(&self) -> Vec<String> {
        texts(&self.read_all().await)
    }

    /// The stream's files, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join(stream().to_string())).expect("a dir");
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.sort();
        paths
    }
}

fn stream() -> StreamId {
    StreamId::Project(
        "01890a5d-ac96-774b-bcce-b302099a8057"
            .parse()
            .expect("an id"),
    )
}

fn build() -> StreamId {
    StreamId::Build(
        "01890a5d-ac96-774b-bcce-b302099a8058"
            .parse()
            .expect("an id"),
    )
}

fn time(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn line(nanos: i64, pod: &str, text: &str) -> LogLine {
    LogLine {
        time: time(nanos),
        source: LogSource::Stdout,
        pod: pod.into(),
        text: text.into(),
    }
}

fn texts(records: &[Record]) -> Vec<String> {
    let text = |record: &Record| String::from_utf8_lossy(&record.line.text).into_owned();
    records.iter().map(text).collect()
}

fn seqs(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.seq).collect()
}

#[tokio::test]
async fn lines_come_back_in_order_with_their_numbers() {
    let fixture = Fixture::new();
    fixture.append(&["a", "b"]).await;
    fixture.append(&[]).await;
    fixture.append(&["c", "d"]).await;

    let store = &fixture.store;
    assert_eq!(fixture.texts().await, ["a", "b", "c", "d"]);
    assert_eq!(seqs(&fixture.read_all().await), [1, 2, 3, 4]);
    assert_eq!(
        seqs(&store.read(stream(), Some(1), 2).await.expect("lines")),
        [2, 3]
    );
    assert_eq!(
        seqs(&store.read(stream(), Some(4), 2).await.expect("lines")),
        Vec::<u64>::new()
    );
    assert_eq!(
        seqs(
            &store
                .read(stream(), Some(u64::MAX), 2)
                .await
                .expect("lines")
        ),
        Vec::<u64>::new()
    );
    assert_eq!(
        seqs(&store.tail(stream(), 3).await.expect("lines")),
        [2, 3, 4]
    );
    assert_eq!(
        seqs(&store.tail(stream(), usize::MAX).await.expect("lines")),
        [1, 2, 3, 4]
    );
    assert_eq!(
        seqs(&store.tail(stream(), 0).await.expect("lines")),
        Vec::<u64>::new()
    );
}

#[tokio::test]
async fn asking_about_an_unknown_stream_makes_nothing() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    assert_eq!(fixture.read_all().await, []);
    assert_eq!(store.tail(stream(), 5).await.expect("lines"), []);
    assert!(!store.is_finished(stream()).await.expect("an answer"));
    assert_eq!(
        store
            .last_position(stream(), "web")
            .await
            .expect("an answer"),
        None
    );
    assert_eq!(
        store
            .enforce_retention(stream(), 0, time(9))
            .await
            .expect("an answer"),
        0
    );
    let stats = Stats {
        lines: 0,
        bytes: 0,
        oldest: None,
        newest: None,
    };
    assert_eq!(store.stats(stream()).await.expect("stats"), stats);
    store.remove(stream()).await.expect("removed");
    store.flush().await.expect("flushed");
    assert_eq!(store.list_streams().await.expect("streams"), []);
}

#[tokio::test]
async fn a_finished_stream_stays_finished_and_takes_no_line() {
    let mut fixture = Fixture::new();
    fixture.append(&["a"]).await;
    for _ in 0..3 {
        fixture.store.finish(stream()).await.expect("finished");
        assert!(
            fixture
                .store
                .is_finished(stream())
                .await
                .expect("an answer")
        );
        let refused = fixture
            .store
            .append(stream(), vec![line(0, "web", "b")])
            .await;
        assert!(matches!(refused, Err(Error::Finished(id)) if id == stream()));
        assert_eq!(fixture.texts().await, ["a"]);
        fixture.reopen();
    }
    // Finishing again did not write again.
    let size = std::fs::metadata(&fixture.segments()[0])
        .expect("a segment")
        .len();
    assert_eq!(
        fixture.store.stats(stream()).await.expect("stats").bytes,
        size
    );
    let once = frame::encode_end(2).len() as u64;
    let content = std::fs::read(&fixture.segments()[0]).expect("a segment");
    let end = frame::encode_end(2);
    assert_eq!(
        content
            .windows(end.len())
            .filter(|bytes| *bytes == end)
            .count() as u64,
        1
    );
    assert!(size > once);
}

#[tokio::test]
async fn an_empty_stream_can_be_finished() {
    let mut fixture = Fixture::new();
    fixture.store.finish(build()).await.expect("finished");
    fixture.reopen();
    assert!(fixture.store.is_finished(build()).await.expect("an answer"));
    assert_eq!(
        fixture.store.list_streams().await.expect("streams"),
        [build()]
    );
}

#[tokio::test]
async fn numbers_go_on_when_only_the_newest_segment_is_left() {
    let mut fixture = Fixture::with_segments(200);
    for _ in 0..20 {
        fixture
            .append(&["some text that fills the segment", "and some more"])
            .await;
    }
    let segments = fixture.segments().len();
    assert!(segments > 5, "{segments}");
    let removed = fixture
        .store
        .enforce_retention(stream(), 0, time(0))
        .await
        .expect("removed");
    assert_eq!(fixture.segments().len(), 1);
    let left = fixture.read_all().await;
    assert_eq!(left.len() as u64 + removed, 40);
    assert_eq!(left.last().map(|record| record.seq), Some(40));

    fixture.reopen();
    fixture.append(&["next"]).await;
    assert_eq!(
        seqs(&fixture.store.tail(stream(), 1).await.expect("a line")),
        [41]
    );
    let stats = fixture.store.stats(stream()).await.expect("stats");
    assert_eq!(stats.lines, fixture.read_all().await.len() as u64);
}

#[tokio::test]
async fn retention_goes_by_age_and_by_size_and_takes_whole_segments() {
    let mut fixture = Fixture::with_segments(100);
    for nanos in 0..10 {
        let lines = vec![line(nanos, "web", "a line that fills more than half of it")];
        fixture
            .store
            .append(stream(), lines)
            .await
            .expect("appended");
    }
    assert_eq!(fixture.segments().len(), 10);
    // What the headers say about the segments before has to do.
    fixture.reopen();
    let store = &fixture.store;
    assert_eq!(
        store
            .enforce_retention(stream(), u64::MAX, time(0))
            .await
            .expect("removed"),
        0
    );
    assert_eq!(
        store
            .enforce_retention(stream(), u64::MAX, time(3))
            .await
            .expect("removed"),
        3
    );
    let stats = store.stats(stream()).await.expect("stats");
    assert_eq!(
        (stats.lines, stats.oldest, stats.newest),
        (7, Some(time(3)), Some(time(9)))
    );

    let most = stats.bytes - 1;
    assert_eq!(
        store
            .enforce_retention(stream(), most, time(0))
            .await
            .expect("removed"),
        1
    );
    assert!(store.stats(stream()).await.expect("stats").bytes <= most);
    assert_eq!(
        seqs(&fixture.read_all().await),
        (5..=10).collect::<Vec<_>>()
    );

    let everything = store.enforce_retention(stream(), 0, time(i64::MAX)).await;
    assert_eq!(everything.expect("removed"), 5);
}

#[tokio::test]
async fn a_pods_last_position_survives_a_restart_and_counts_across_segments() {
    let mut fixture = Fixture::with_segments(150);
    let system = LogLine {
        source: LogSource::System,
        ..line(9, "web-1", "restarted")
    };
    let error = LogLine {
        source: LogSource::Stderr,
        ..line(5, "web-1", "b")
    };
    let batches = [
        vec![
            line(4, "web-1", "a"),
            line(5, "web-1", "a"),
            line(5, "web-2", "a"),
        ],
        vec![error],
        vec![line(5, "web-1", "c"), line(6, "web-2", "d")],
        vec![system],
        vec![line(7, "web-2", "e"), line(8, "web-3", "f")],
    ];
    for lines in batches {
        fixture
            .store
            .append(stream(), lines)
            .await
            .expect("appended");
    }
    assert!(fixture.segments().len() > 2);
    for _ in 0..2 {
        let store = &fixture.store;
        let position = async |pod| store.last_position(stream(), pod).await.expect("an answer");
        let expected = |nanos, count| {
            Some(Position {
                time: time(nanos),
                count,
            })
        };
        assert_eq!(position("web-1").await, expected(5, 3));
        assert_eq!(position("web-2").await, expected(7, 1));
        assert_eq!(position("web-3").await, expected(8, 1));
        assert_eq!(position("web").await, None);
        fixture.reopen();
    }
}

#[tokio::test]
async fn removing_a_stream_leaves_the_others_and_lets_it_begin_anew() {
    let mut fixture = Fixture::new();
    fixture.append(&["a", "b"]).await;
    fixture
        .store
        .append(build(), vec![line(0, "b", "other")])
        .await
        .expect("appended");
    fixture.store.remove(stream()).await.expect("removed");
    assert_eq!(
        fixture.store.list_streams().await.expect("streams"),
        [build()]
    );
    fixture.append(&["new"]).await;
    assert_eq!(seqs(&fixture.read_all().await), [1]);

    // As a crash in the middle of a removal leaves it.
    let dir = fixture.dir.path().join(stream().to_string());
    std::fs::rename(&dir, dir.with_extension(stream::REMOVED)).expect("renamed");
    fixture.reopen();
    assert_eq!(
        fixture.store.list_streams().await.expect("streams"),
        [build()]
    );
    assert!(!dir.with_extension(stream::REMOVED).exists());
}

#[tokio::test]
async fn a_line_that_cannot_be_stored_refuses_its_batch() {
    let fixture = Fixture::new();
    let lines = vec![line(0, "web", "a"), line(0, &"p".repeat(256), "b")];
    let refused = fixture.store.append(stream(), lines).await;
    assert!(matches!(refused, Err(Error::PodTooLong(256))));
    assert_eq!(fixture.texts().await, [""; 0]);
}

#[tokio::test]
async fn a_failed_write_is_told_and_leaves_the_stream_as_it_was() {
    let mut fixture = Fixture::new();
    // A file where the directory should come.
    let path = fixture.dir.path().join(stream().to_string());
    std::fs::write(&path, "in the way").expect("written");
    let refused = fixture
        .store
        .append(stream(), vec![line(0, "web", "a")])
        .await;
    assert!(matches!(refused, Err(Error::Io { .. })));
    std::fs::remove_file(&path).expect("removed");
    fixture.append(&["b"]).await;
    fixture.reopen();
    assert_eq!(fixture.texts().await, ["b"]);
}

#[tokio::test]
async fn batches_larger_than_a_segment_are_stored_whole() {
    let segment_bytes = 8 << 20;
    let mut fixture = Fixture::with_segments(segment_bytes);
    let text = "x".repeat(1 << 19);
    let lines: Vec<_> = (0..40).map(|nanos| line(nanos, "web", &text)).collect();
    fixture
        .store
        .append(stream(), lines.clone())
        .await
        .expect("appended");
    fixture.reopen();
    let stored = fixture.read_all().await;
    assert!(stored.into_iter().map(|record| record.line).eq(lines));
    assert!(fixture.segments().len() > 2);
    for path in fixture.segments() {
        assert!(std::fs::metadata(path).expect("a segment").len() <= segment_bytes);
    }
}

#[tokio::test]
async fn a_stream_that_rests_closes_its_file_and_goes_on_later() {
    let fixture = Fixture::new();
    fixture.append(&["a"]).await;
    let handle = fixture.store.streams.get(stream());
    fixture.store.flush().await.expect("flushed");
    // The first look may find it used, by the append above or by the store's own thread's absence.
    handle.rest();
    assert!(handle.rest());
    fixture.append(&["b"]).await;
    assert_eq!(fixture.texts().await, ["a", "b"]);
}
