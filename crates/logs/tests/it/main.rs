//! The store in a process that gets killed.

#![expect(
    clippy::disallowed_methods,
    reason = "the test starts itself as the process that is killed, and tells it where to write"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tose_api::Timestamp;
use tose_api::log::LogSource;
use tose_logs::{LogStore, Record, StreamId};
use tose_model::log::LogLine;

/// In the child's environment: the store's directory.
const CHILD_DIR: &str = "TOSE_LOGS_TEST_CHILD_DIR";
const ROUNDS: u64 = 200;

fn stream() -> StreamId {
    StreamId::Project(
        "01890a5d-ac96-774b-bcce-b302099a8057"
            .parse()
            .expect("an id"),
    )
}

/// The line with this number. Its text is from nothing to some kilobytes, so that a kill can hit
/// short writes and long ones.
fn line(seq: u64) -> LogLine {
    let filler = "x".repeat((seq.wrapping_mul(7919) % 2500) as usize);
    LogLine {
        time: Timestamp::from_nanos(seq as i64),
        source: LogSource::Stdout,
        pod: "web-1".into(),
        text: format!("{seq} {filler}").into_bytes(),
    }
}

#[test]
fn killing_the_process_loses_and_doubles_no_acknowledged_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut stored = 0;
    for round in 0..ROUNDS {
        // Some live until another segment is packed.
        let is_long = round % 10 == 9;
        let (batches, packed) = ((round * round * 37) % 101, count_packed(dir.path()));
        let acknowledged = run_and_kill(dir.path(), |seen| {
            seen >= batches && (!is_long || count_packed(dir.path()) > packed)
        });
        let records = read_after(dir.path(), stored);
        for (record, seq) in records.iter().zip(stored + 1..) {
            assert_eq!(record.seq, seq, "round {round}");
            assert_eq!(record.line, line(seq), "round {round}");
        }
        stored += records.len() as u64;
        assert!(
            stored >= acknowledged,
            "round {round}: {stored} of {acknowledged}"
        );
    }
    let records = read_after(dir.path(), 0);
    assert!(records.iter().map(|record| record.seq).eq(1..=stored));
    assert!(records.iter().all(|record| record.line == line(record.seq)));
    assert!(count_packed(dir.path()) > 10, "nothing was packed");
}

/// How many segments are packed.
fn count_packed(dir: &Path) -> usize {
    let Ok(files) = std::fs::read_dir(dir.join(stream().to_string())) else {
        return 0;
    };
    let names = files.map(|file| file.expect("a file").file_name());
    let packed = names.filter(|name| name.to_string_lossy().ends_with(".tpack"));
    packed.count()
}

/// Starts a child, kills it once it acknowledged enough batches, and answers the number of the last
/// line that it acknowledged.
fn run_and_kill(dir: &Path, is_enough: impl Fn(u64) -> bool) -> u64 {
    let mut child = spawn_child(dir);
    let stdout = child.stdout.take().expect("a pipe");
    let mut last = 0;
    let mut seen = 0;
    let mut is_killed = false;
    // Reading on after the kill gives what the child wrote between its last batch and its end.
    for text in BufReader::new(stdout).lines() {
        let text = text.expect("a line");
        // A line that the kill tore has no full stop.
        let number = text
            .split_once("acknowledged ")
            .and_then(|(_, rest)| rest.strip_suffix('.'));
        let Some(number) = number else { continue };
        last = number.parse().expect("a number");
        if !is_killed && is_enough(seen) {
            child.kill().expect("killed");
            is_killed = true;
        }
        seen += 1;
    }
    let status = child.wait().expect("a status");
    assert!(!status.success(), "the child was not killed: {status}");
    assert!(is_killed, "the child ended by itself");
    last
}

fn spawn_child(dir: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this binary"))
        .args([
            "--exact",
            "appends_until_killed_if_it_is_the_child",
            "--nocapture",
        ])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child")
}

#[test]
fn appends_until_killed_if_it_is_the_child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let store = LogStore::open(dir.as_ref()).expect("a store");
    let packer = store.clone();
    std::thread::spawn(move || {
        // So often that many a kill hits it.
        let forever = async {
            while packer
                .compact(stream(), Timestamp::from_nanos(0))
                .await
                .is_ok()
            {}
        };
        runtime().block_on(forever);
    });
    runtime().block_on(async {
        let last = store.tail(stream(), 1).await.expect("a line");
        let mut next_seq = last.first().map_or(1, |record| record.seq + 1);
        let mut stdout = std::io::stdout();
        loop {
            let end = next_seq + 1 + next_seq % 13;
            let lines = (next_seq..end).map(line).collect();
            store.append(stream(), lines).await.expect("appended");
            next_seq = end;
            // Once the parent is gone there is nobody left who would kill this.
            writeln!(stdout, "acknowledged {}.", end - 1).expect("the parent reads");
        }
    });
}

fn read_after(dir: &Path, seq: u64) -> Vec<Record> {
    let store = LogStore::open(dir).expect("a store");
    let read = store.read(stream(), Some(seq), usize::MAX);
    runtime().block_on(read).expect("lines")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
}
