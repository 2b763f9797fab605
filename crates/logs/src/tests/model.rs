//! Random histories, compared with a list in memory.

use std::collections::HashMap;

use proptest::prelude::*;

use tose_api::log::LogLevel;
use tose_model::log::{Search, detect_level, is_continuation};

use super::*;

/// What the store should hold.
#[derive(Default)]
struct Model {
    records: Vec<Record>,
    last_seq: u64,
    is_finished: bool,
    /// The level of each output's last line, since the store was opened.
    before: HashMap<(Box<str>, LogSource), LogLevel>,
}

impl Model {
    fn append(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            let before = self.before.remove(&(line.pod.clone(), line.source));
            let inherited = before.filter(|_| is_continuation(&line.text));
            let level = inherited.or_else(|| detect_level(&line.text));
            if let Some(level) = level {
                self.before.insert((line.pod.clone(), line.source), level);
            }
            self.last_seq += 1;
            self.records.push(Record {
                seq: self.last_seq,
                level,
                line,
            });
        }
    }

    fn find(&self, query: &Query) -> Vec<Record> {
        let fits = |record: &&Record| {
            let line = &record.line;
            query.start.is_none_or(|start| line.time >= start)
                && query.end.is_none_or(|end| line.time < end)
                && query.source.is_none_or(|source| line.source == source)
                && query.pod.as_ref().is_none_or(|pod| *line.pod == **pod)
                && query
                    .level
                    .is_none_or(|level| record.level.unwrap_or(LogLevel::Info) >= level)
                && query
                    .search
                    .finds(&line.text, &line.text.to_ascii_lowercase())
        };
        let found = self.records.iter().filter(fits).cloned();
        match query.direction {
            Direction::Forward => found.collect(),
            Direction::Backward => found.rev().collect(),
        }
    }

    /// All lines are of one day.
    fn daily(&self) -> Vec<Day> {
        let errors = self.records.iter();
        let errors = errors.filter(|record| record.level == Some(LogLevel::Error));
        let bytes = self.records.iter().map(|record| record.line.text.len());
        let day = Day {
            start: time(0),
            lines: self.records.len() as u64,
            bytes: bytes.sum::<usize>() as u64,
            errors: errors.count() as u64,
        };
        Some(day).filter(|day| day.lines > 0).into_iter().collect()
    }

    fn last_position(&self, pod: &str) -> Option<Position> {
        let lines = self.records.iter().map(|record| &record.line);
        let is_output = |line: &&LogLine| {
            &*line.pod == pod && matches!(line.source, LogSource::Stdout | LogSource::Stderr)
        };
        let times: Vec<_> = lines.filter(is_output).map(|line| line.time).collect();
        let time = *times.last()?;
        let count = times.iter().filter(|&&other| other == time).count();
        Some(Position { time, count })
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<LogLine>),
    Reopen,
    Flush,
    Read(Option<u64>, usize),
    Tail(usize),
    LastPosition(String),
    Retain(u64, i64),
    Since(i64),
    Compact(i64),
    MoveFar(i64),
    DeleteUnwanted,
    Daily,
    Find(Query),
    Finish,
}

fn any_line() -> impl Strategy<Value = LogLine> {
    let sources = [
        LogSource::Stdout,
        LogSource::Stderr,
        LogSource::Build,
        LogSource::System,
    ];
    let source = proptest::sample::select(sources.to_vec());
    let pieces = [
        "error",
        "Warn:",
        " ",
        "a1",
        "ERROR",
        "\tat x",
        "{\"level\":\"warn\",\"n\":1}",
        "aa",
        "a",
        "k=7",
        "id=0f3a",
        "id=9C4B ",
        "took 12ms",
    ];
    let text = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..5)
            .prop_map(|pieces| pieces.concat().into_bytes()),
    ];
    (0..50_i64, source, "web-[1-3]", text).prop_map(|(nanos, source, pod, text)| LogLine {
        time: time(nanos),
        source,
        pod: pod.into(),
        text,
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let searches = [
        "",
        "error",
        "-error",
        "aa",
        "a1 error",
        "warn*",
        "*a*",
        "level:warn",
        "n:>0",
        "k:7",
        "\"a1 \"",
        "-k:*",
        "*0f*",
        "id:9c4b",
        "\"id=0f3a\"",
        "12ms",
        "*k 12*",
    ];
    let time_range = (0..50_i64, proptest::option::of(0..50_i64));
    let levels = [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
    ];
    (
        any::<bool>(),
        time_range,
        proptest::sample::select(searches.to_vec()),
        proptest::option::of(proptest::sample::select(levels.to_vec())),
        proptest::option::of(Just(LogSource::Stderr)),
        proptest::option::of("web-[1-3]"),
        1..10_usize,
    )
        .prop_map(
            |(is_forward, (start, end), search, level, source, pod, limit)| Query {
                direction: if is_forward {
                    Direction::Forward
                } else {
                    Direction::Backward
                },
                cursor: None,
                start: (start > 10).then(|| time(start)),
                end: end.map(time),
                search: Search::parse(search).expect("a search"),
                level,
                source,
                pod,
                limit,
            },
        )
}

/// All pages of a query, each of which has at most its limit of lines.
async fn find_all(store: &LogStore, mut query: Query) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let page = store.find(stream(), query.clone()).await.expect("a page");
        assert!(page.records.len() <= query.limit);
        records.extend(page.records);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return records;
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(any_line(), 0..6).prop_map(Step::Append),
        2 => Just(Step::Reopen),
        1 => Just(Step::Flush),
        2 => (proptest::option::of(0..60_u64), 0..40_usize)
            .prop_map(|(after, limit)| Step::Read(after, limit)),
        2 => (0..40_usize).prop_map(Step::Tail),
        2 => "web-[1-4]".prop_map(Step::LastPosition),
        1 => (0..2000_u64, 0..20_i64).prop_map(|(bytes, nanos)| Step::Retain(bytes, nanos)),
        1 => (0..60_i64).prop_map(Step::Since),
        2 => (0..60_i64).prop_map(Step::Compact),
        3 => (0..60_i64).prop_map(Step::MoveFar),
        1 => Just(Step::DeleteUnwanted),
        1 => Just(Step::Daily),
        4 => any_query().prop_map(Step::Find),
    ]
}

/// Takes a step in both, and compares what they say.
async fn take(step: Step, fixture: &mut Fixture, model: &mut Model) {
    let store = fixture.store.clone();
    match step {
        Step::Append(lines) => {
            store
                .append(stream(), lines.clone())
                .await
                .expect("appended");
            model.append(lines);
        }
        Step::Reopen => {
            fixture.reopen();
            model.before.clear();
        }
        Step::Flush => store.flush().await.expect("flushed"),
        Step::Read(after, limit) => {
            let read = store.read(stream(), after, limit).await.expect("lines");
            let is_after = |record: &&Record| after.is_none_or(|after| record.seq > after);
            let expected = model.records.iter().filter(is_after).take(limit);
            assert!(read.iter().eq(expected), "{read:?}");
        }
        Step::Tail(n) => {
            let tail = store.tail(stream(), n).await.expect("lines");
            assert_eq!(tail, model.records[model.records.len().saturating_sub(n)..]);
        }
        Step::LastPosition(pod) => {
            let position = store
                .last_position(stream(), &pod)
                .await
                .expect("a position");
            assert_eq!(position, model.last_position(&pod));
        }
        Step::Retain(max_bytes, nanos) => {
            let removed = store
                .enforce_retention(stream(), max_bytes, time(nanos))
                .await;
            model.records.drain(..removed.expect("removed") as usize);
            let stats = store.stats(stream()).await.expect("stats");
            assert!(stats.bytes <= max_bytes || fixture.segments().len() == 1);
            assert_eq!(stats.lines, model.records.len() as u64);
        }
        Step::Since(nanos) => {
            let lines = drain(&store, FollowFrom::Since(time(nanos))).await;
            let is_older = |record: &&Record| record.line.time < time(nanos);
            assert!(
                lines.iter().eq(model.records.iter().skip_while(is_older)),
                "{lines:?}"
            );
        }
        Step::Compact(nanos) => {
            store.compact(stream(), time(nanos)).await.expect("packed");
        }
        Step::MoveFar(nanos) => {
            store.compact(stream(), time(nanos)).await.expect("packed");
            store.move_far(stream(), time(nanos)).await.expect("moved");
        }
        Step::DeleteUnwanted => store.delete_unwanted().await.expect("deleted"),
        Step::Daily => assert_eq!(store.daily(stream()).await.expect("days"), model.daily()),
        Step::Find(query) => {
            assert_eq!(
                find_all(&store, query.clone()).await,
                model.find(&query),
                "{query:?}"
            );
        }
        Step::Finish => {
            store.finish(stream()).await.expect("finished");
            model.is_finished = true;
        }
    }
    let (_, cache_bytes) = fixture.far.as_ref().expect("a second tier");
    assert!(far::cached_bytes(fixture) <= *cache_bytes);
}

/// What a follower gives without waiting.
async fn drain(store: &LogStore, from: FollowFrom) -> Vec<Record> {
    let mut follower = store.follow(stream(), from);
    let mut records = Vec::new();
    while let Some(event) = follower.next_ready().await.expect("an event") {
        match event {
            Event::Records(batch) => records.extend(batch.iter().cloned()),
            Event::Missed(n) => panic!("{n} lines missed"),
            Event::End => break,
        }
    }
    assert!(follower.is_caught_up());
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_store_does_what_a_list_would_do(
        steps in proptest::collection::vec(any_step(), 1..40),
        segment_bytes in 40..600_u64,
        cache_bytes in 0..2000_u64,
        ends in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut fixture = Fixture::with_far(segment_bytes, cache_bytes);
            let mut model = Model::default();
            for step in steps {
                take(step, &mut fixture, &mut model).await;
            }
            if ends {
                take(Step::Finish, &mut fixture, &mut model).await;
            }
            for _ in 0..2 {
                assert_eq!(fixture.read_all().await, model.records);
                assert_eq!(drain(&fixture.store, FollowFrom::Start).await, model.records);
                let is_finished = fixture.store.is_finished(stream()).await.expect("an answer");
                assert_eq!(is_finished, model.is_finished);
                fixture.store.compact(stream(), time(100)).await.expect("packed");
                fixture.reopen();
            }
            fixture.store.delete_unwanted().await.expect("deleted");
            fixture.store.move_far(stream(), time(100)).await.expect("moved");
            assert_eq!(fixture.read_all().await, model.records);
            assert_eq!(fixture.far().names(), far::marked(&fixture));
        });
    }
}
