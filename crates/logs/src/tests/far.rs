//! The second tier: the same lines wherever they are, whatever fails and whenever it is killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::far::{FarError, FarStore, marker, name_of};

/// Each ticket goes with one content.
type Object = (Vec<u8>, Vec<u8>);
/// What a store looked like at some moment: its directory, and the objects.
type Moment = (TempDir, BTreeMap<String, Object>);

/// Keeps objects in memory.
#[derive(Default)]
pub(super) struct FakeFar {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    /// What was called, with the name.
    calls: Vec<(&'static str, String)>,
    tickets: u64,
    /// Whether the call with this number fails; all do if `is_away`.
    failing: Option<usize>,
    is_away: bool,
    /// The directory of which a copy is kept before and after each call.
    watched: Option<PathBuf>,
    moments: Vec<Moment>,
    /// How many turns are free whenever something is fetched.
    turns: Option<(Arc<tokio::sync::Semaphore>, usize)>,
}

impl State {
    fn call(&mut self, what: &'static str, name: &str) -> std::result::Result<(), FarError> {
        self.calls.push((what, name.to_owned()));
        match self.is_away || self.failing == Some(self.calls.len() - 1) {
            true => Err(FarError::Unavailable("it is away".into())),
            false => Ok(()),
        }
    }

    fn keep_moment(&mut self) {
        if let Some(dir) = &self.watched {
            let moment = (copy_of(dir), self.objects.clone());
            self.moments.push(moment);
        }
    }
}

impl FarStore for FakeFar {
    fn put(&self, name: &str, mut file: File) -> std::result::Result<Vec<u8>, FarError> {
        let mut state = self.state();
        state.keep_moment();
        state.call("put", name)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("read");
        state.tickets += 1;
        let ticket = state.tickets.to_le_bytes().to_vec();
        let object = (ticket.clone(), content);
        state.objects.insert(name.to_owned(), object);
        state.keep_moment();
        Ok(ticket)
    }

    fn get(
        &self,
        name: &str,
        ticket: &[u8],
        into: &mut dyn Write,
    ) -> std::result::Result<(), FarError> {
        let mut state = self.state();
        state.keep_moment();
        state.call("get", name)?;
        if let Some((turns, free)) = &state.turns {
            assert_eq!(turns.available_permits(), *free);
        }
        match state.objects.get(name) {
            Some((expected, content)) if expected == ticket => {
                let written = into.write_all(content);
                written.map_err(|error| FarError::Damaged(Box::new(error)))
            }
            _ => Err(FarError::Damaged("it is not there".into())),
        }
    }

    fn delete(&self, name: &str) -> std::result::Result<(), FarError> {
        let mut state = self.state();
        state.keep_moment();
        state.call("delete", name)?;
        state.objects.remove(name);
        state.keep_moment();
        Ok(())
    }
}

impl FakeFar {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// The names that have something.
    pub(super) fn names(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// How often this was called since the last time that was asked.
    fn take_calls(&self, what: &str) -> usize {
        let calls = std::mem::take(&mut self.state().calls);
        calls.iter().filter(|(call, _)| *call == what).count()
    }

    fn set_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }
}

/// The names that the fixture's markers have.
pub(super) fn marked(fixture: &Fixture) -> Vec<String> {
    let dir = fixture.dir.path().join(stream().to_string());
    let numbers = marker::list(&dir).expect("markers").into_iter();
    numbers.map(|number| name_of(stream(), number)).collect()
}

/// How much the fixture's cache takes.
pub(super) fn cached_bytes(fixture: &Fixture) -> u64 {
    let entries = std::fs::read_dir(fixture.dir.path().join("cache")).expect("a cache");
    let sizes = entries.map(|entry| entry.expect("an entry").metadata().expect("a file").len());
    sizes.sum()
}

fn copy_of(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    copy_into(dir, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            std::fs::create_dir(&target).expect("made");
            copy_into(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A store with six full segments that are packed and some lines after them: ten lines each, one a
/// second, of a pod for each segment.
async fn filled(cache_bytes: u64) -> Fixture {
    let fixture = Fixture::with_far(1000, cache_bytes);
    for batch in 0..7_i64 {
        let pod = format!("web-{batch}");
        let text =
            |n: i64| format!("line {n} of some length, so that ten of them fill it: {n:040}");
        let lines = (batch * 10..batch * 10 + 10)
            .map(|n| line(n * 1_000_000_000, &pod, &text(n)))
            .collect();
        fixture.store.append(stream(), lines).await.expect("stored");
    }
    let packed = fixture.store.compact(stream(), time(0)).await;
    packed.expect("packed");
    assert_eq!(
        extensions(&fixture),
        ["tpack"; 6]
            .iter()
            .chain(&["tlog"])
            .copied()
            .collect::<Vec<_>>()
    );
    fixture
}

fn extensions(fixture: &Fixture) -> Vec<String> {
    let extension = |path: &PathBuf| path.extension().and_then(|e| e.to_str()).map(str::to_owned);
    fixture.segments().iter().filter_map(extension).collect()
}

async fn move_all(fixture: &Fixture) -> Result<()> {
    fixture.store.delete_unwanted().await?;
    fixture.store.move_far(stream(), time(i64::MAX)).await
}

fn query(start: i64, end: i64) -> Query {
    Query {
        direction: Direction::Forward,
        start: Some(time(start * 1_000_000_000)),
        end: Some(time(end * 1_000_000_000)),
        limit: 1000,
        ..Query::default()
    }
}

#[tokio::test]
async fn what_is_old_goes_and_is_read_as_before() {
    let mut fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    let stats = fixture.store.stats(stream()).await.expect("stats");
    let days = fixture.store.daily(stream()).await.expect("days");
    // The lines of the first two segments are old.
    let moved = fixture.store.move_far(stream(), time(20_000_000_000)).await;
    moved.expect("moved");
    let both = ["tfar", "tpack"];
    let expected = ["tfar", "tfar"]
        .iter()
        .chain(&both)
        .chain(&both)
        .chain(&both);
    let expected: Vec<_> = expected.chain(&both).chain(&["tlog"]).copied().collect();
    assert_eq!(extensions(&fixture), expected);
    move_all(&fixture).await.expect("moved");
    for _ in 0..2 {
        let here: Vec<_> = ["tfar"; 6].iter().chain(&["tlog"]).copied().collect();
        assert_eq!(extensions(&fixture), here);
        assert_eq!(fixture.far().names(), marked(&fixture));
        fixture.far().take_calls("get");
        assert_eq!(fixture.store.stats(stream()).await.expect("stats"), stats);
        assert_eq!(fixture.store.daily(stream()).await.expect("days"), days);
        let tail = fixture.store.tail(stream(), 10).await.expect("lines");
        assert_eq!(tail, lines[60..]);
        assert_eq!(fixture.far().take_calls("get"), 0, "none of that needs one");
        assert_eq!(fixture.read_all().await, lines);
        assert_eq!(fixture.far().take_calls("get"), 6);
        fixture.reopen();
    }
    fixture.append(&["after"]).await;
    assert_eq!(fixture.read_all().await.len(), 71);
}

#[tokio::test]
async fn only_what_a_query_may_find_is_fetched_and_once() {
    let fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    move_all(&fixture).await.expect("moved");
    fixture.far().take_calls("get");
    let find = async |query| fixture.store.find(stream(), query).await.expect("a page");
    for (fetched, (start, end)) in [(0, (60, 99)), (1, (31, 39)), (0, (30, 32)), (2, (15, 32))] {
        let page = find(query(start, end)).await;
        let range = start as usize..end.min(70) as usize;
        assert_eq!(page.records, lines[range]);
        assert_eq!(fixture.far().take_calls("get"), fetched, "{start} to {end}");
    }
    let of_pod = Query {
        pod: Some("web-5".to_owned()),
        ..query(0, 99)
    };
    assert_eq!(find(of_pod).await.records, lines[50..60]);
    assert_eq!(fixture.far().take_calls("get"), 1);
    // How far a pod is stored is known here.
    let position = fixture.store.last_position(stream(), "web-0").await;
    let expected = Position {
        time: time(9_000_000_000),
        count: 1,
    };
    assert_eq!(position.expect("a position"), Some(expected));
    assert_eq!(fixture.far().take_calls("get"), 0);
}

#[tokio::test]
async fn a_page_reads_no_more_than_the_cache_holds_and_the_oldest_copies_go() {
    let fixture = filled(1).await;
    let bytes = std::fs::metadata(&fixture.segments()[0])
        .expect("a file")
        .len();
    for segments in [0, 2] {
        let mut fixture = filled(bytes * segments + bytes / 2).await;
        let lines = fixture.read_all().await;
        move_all(&fixture).await.expect("moved");
        for direction in [Direction::Forward, Direction::Backward] {
            let mut query = Query {
                direction,
                ..query(0, 99)
            };
            let (mut found, mut pages) = (Vec::new(), 0);
            loop {
                let page = fixture
                    .store
                    .find(stream(), query.clone())
                    .await
                    .expect("a page");
                found.extend(page.records);
                pages += 1;
                query.cursor = page.cursor;
                let (_, cap) = fixture.far.as_ref().expect("a second tier");
                assert!(cached_bytes(&fixture) <= *cap);
                if query.cursor.is_none() {
                    break;
                }
            }
            found.sort_by_key(|record| record.seq);
            assert_eq!(found, lines);
            assert!(pages > 1, "{pages}");
        }
        fixture.reopen();
        assert_eq!(
            cached_bytes(&fixture),
            0,
            "what a process left is not trusted"
        );
    }
}

#[tokio::test]
async fn a_far_store_that_is_away_is_said_and_harms_nothing_else() {
    let fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    let moved = fixture.store.move_far(stream(), time(30_000_000_000)).await;
    moved.expect("moved");
    fixture.far().set_away(true);
    let find = async |query| fixture.store.find(stream(), query).await;
    let refused = find(query(5, 99)).await.expect_err("it is away");
    let Error::Far {
        oldest,
        newest,
        source: FarError::Unavailable(_),
        ..
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((oldest, newest), (Some(time(0)), Some(time(9_000_000_000))));
    // Backwards, what is here is given, and who goes on is told.
    let mut backward = Query {
        direction: Direction::Backward,
        ..query(0, 99)
    };
    let page = find(backward.clone()).await.expect("a page");
    assert_eq!(seqs(&page.records), (31..=70).rev().collect::<Vec<_>>());
    backward.cursor = page.cursor;
    let refused = find(backward.clone()).await.expect_err("it is away");
    assert!(refused.is_far(), "{refused:?}");
    // What is not in the far store alone needs none.
    assert_eq!(
        find(query(30, 99)).await.expect("a page").records,
        lines[30..]
    );
    let position = fixture.store.last_position(stream(), "web-0").await;
    assert!(position.expect("a position").is_some());
    fixture.append(&["taken"]).await;
    let refused = move_all(&fixture).await;
    assert!(refused.is_ok(), "there is nothing to do: {refused:?}");

    fixture.far().set_away(false);
    let page = find(backward).await.expect("a page");
    assert_eq!(seqs(&page.records), (1..=30).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_call_that_fails_is_made_again_and_no_line_is_missing_meanwhile() {
    for failing in 0.. {
        let mut fixture = filled(1 << 20).await;
        let lines = fixture.read_all().await;
        fixture.far().state().failing = Some(failing);
        let is_over = move_all(&fixture).await.is_ok();
        fixture.far().state().failing = None;
        assert_eq!(fixture.read_all().await, lines, "call {failing}");
        if failing % 2 == 0 {
            fixture.reopen();
        }
        move_all(&fixture).await.expect("moved");
        assert_eq!(fixture.read_all().await, lines, "call {failing}, again");
        assert_eq!(fixture.far().names().len(), 6);
        assert_eq!(fixture.far().names(), marked(&fixture));
        if is_over {
            assert!(failing > 10, "{failing}");
            return;
        }
    }
}

#[tokio::test]
async fn whenever_it_is_killed_no_line_and_no_object_is_lost() {
    let fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    fixture.far().state().watched = Some(fixture.dir.path().to_owned());
    move_all(&fixture).await.expect("moved");
    let removed = fixture
        .store
        .enforce_retention(stream(), u64::MAX, time(20_000_000_000));
    assert_eq!(removed.await.expect("removed"), 20);
    fixture.store.delete_unwanted().await.expect("deleted");
    let moments = std::mem::take(&mut fixture.far().state().moments);
    assert!(moments.len() > 15, "{}", moments.len());
    for (number, (dir, objects)) in moments.into_iter().enumerate() {
        let killed = after(dir, objects, 1000);
        let found = killed.read_all().await;
        assert!(found == lines || found == lines[20..], "moment {number}");
        move_all(&killed).await.expect("moved");
        assert_eq!(
            killed.read_all().await,
            found,
            "moment {number}, then moved"
        );
        assert_eq!(killed.far().names(), marked(&killed), "moment {number}");
        killed.store.remove(stream()).await.expect("removed");
        killed.store.delete_unwanted().await.expect("deleted");
        assert!(killed.far().names().is_empty(), "moment {number}");
    }
}

/// A store on what a process left.
fn after(dir: TempDir, objects: BTreeMap<String, Object>, segment_bytes: u64) -> Fixture {
    let far = FakeFar::default();
    far.state().objects = objects;
    far.state().tickets = 1 << 32;
    let store = LogStore::open_with(dir.path(), segment_bytes, Packing::OnRequest);
    let fixture = Fixture {
        store: store.expect("a store"),
        dir,
        segment_bytes,
        far: Some((Arc::new(far), 1 << 20)),
    };
    fixture.attach();
    fixture
}

/// Between two changes of files, where no call of the far store is.
#[tokio::test]
async fn what_a_kill_leaves_between_two_files_is_repaired() {
    let fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    // Everything was copied, nothing dropped.
    fixture
        .store
        .move_far(stream(), time(0))
        .await
        .expect("copied");
    let note = |fixture: &Fixture, number: u32| {
        let name = format!("unwanted/{}.{number:08}", stream());
        std::fs::write(fixture.dir.path().join(name), "").expect("written");
    };
    let file = |fixture: &Fixture, name: &str| {
        let dir = fixture.dir.path().join(stream().to_string());
        dir.join(name)
    };
    let moment = || {
        let objects = fixture.far().state().objects.clone();
        after(copy_of(fixture.dir.path()), objects, 1000)
    };
    // The marker has its name, and the note is still there.
    let mut killed = moment();
    note(&killed, 1);
    killed.reopen();
    killed.store.delete_unwanted().await.expect("deleted");
    assert_eq!(killed.far().names().len(), 6);
    move_all(&killed).await.expect("moved");
    assert_eq!(killed.read_all().await, lines);
    // The marker has another name so far.
    let mut killed = moment();
    let marker = file(&killed, "00000001.tfar");
    std::fs::rename(&marker, marker.with_extension("new-tfar")).expect("renamed");
    note(&killed, 1);
    killed.reopen();
    killed.store.delete_unwanted().await.expect("deleted");
    assert_eq!(killed.far().names().len(), 5);
    move_all(&killed).await.expect("moved");
    assert_eq!(killed.read_all().await, lines);
    assert_eq!(killed.far().names(), marked(&killed));
    // Retention gave the marker up, and the file is still there.
    let mut killed = moment();
    let gone = killed
        .dir
        .path()
        .join(format!("unwanted/{}.00000001", stream()));
    std::fs::rename(file(&killed, "00000001.tfar"), gone).expect("renamed");
    killed.reopen();
    move_all(&killed).await.expect("moved");
    assert_eq!(killed.read_all().await, lines);
    assert_eq!(killed.far().names(), marked(&killed));
    // A plain segment was left when its packed form had gone already.
    let mut killed = moment();
    move_all(&killed).await.expect("moved");
    std::fs::write(file(&killed, "00000002.tlog"), "whatever").expect("written");
    killed.reopen();
    assert_eq!(killed.read_all().await, lines);
    assert!(!file(&killed, "00000002.tlog").exists());
}

#[tokio::test]
async fn a_damaged_object_is_refused_and_said() {
    let mut fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    move_all(&fixture).await.expect("moved");
    let name = name_of(stream(), 2);
    let whole = fixture.far().state().objects[&name].1.clone();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let longer = [&whole[..], b"x"].concat();
    for damaged in [
        changed,
        longer,
        whole[..whole.len() - 1].to_vec(),
        Vec::new(),
    ] {
        let set = |content: &[u8]| {
            let mut state = fixture.far().state();
            state.objects.get_mut(&name).expect("there").1 = content.to_vec();
        };
        set(&damaged);
        let refused = fixture.store.find(stream(), query(12, 13)).await;
        let is_damaged = |error: &Error| {
            let Error::Far { source, newest, .. } = error else {
                return false;
            };
            matches!(source, FarError::Damaged(_)) && *newest == Some(time(19_000_000_000))
        };
        assert!(refused.as_ref().is_err_and(is_damaged), "{refused:?}");
        let others = fixture.store.find(stream(), query(20, 99)).await;
        assert_eq!(others.expect("a page").records, lines[20..]);
        set(&whole);
        assert_eq!(fixture.read_all().await, lines);
        fixture.reopen();
    }
}

#[tokio::test]
async fn a_damaged_copy_does_not_count() {
    struct Bad(FakeFar);
    impl FarStore for Bad {
        fn put(&self, name: &str, file: File) -> std::result::Result<Vec<u8>, FarError> {
            let ticket = self.0.put(name, file)?;
            self.0.state().objects.get_mut(name).expect("there").1[7] ^= 1;
            Ok(ticket)
        }
        fn get(
            &self,
            name: &str,
            ticket: &[u8],
            into: &mut dyn Write,
        ) -> std::result::Result<(), FarError> {
            self.0.get(name, ticket, into)
        }
        fn delete(&self, name: &str) -> std::result::Result<(), FarError> {
            self.0.delete(name)
        }
    }
    let mut fixture = filled(0).await;
    let lines = fixture.read_all().await;
    fixture.far = None;
    fixture.reopen();
    let bad = Arc::new(Bad(FakeFar::default()));
    let attached = fixture.store.attach_far_store(bad.clone(), 1 << 20);
    attached.expect("attached");
    let refused = move_all(&fixture).await;
    assert!(
        matches!(refused, Err(Error::FarWork(FarError::Damaged(_)))),
        "{refused:?}"
    );
    assert!(marked(&fixture).is_empty());
    assert_eq!(fixture.read_all().await, lines);
    fixture.store.delete_unwanted().await.expect("deleted");
    assert!(bad.0.names().is_empty());
}

#[tokio::test]
async fn retention_and_removal_delete_objects_once_the_far_store_is_there_again() {
    let mut fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    move_all(&fixture).await.expect("moved");
    // Copies are of old lines as well.
    assert_eq!(fixture.read_all().await, lines);
    let removed = fixture
        .store
        .enforce_retention(stream(), u64::MAX, time(20_000_000_000));
    assert_eq!(removed.await.expect("removed"), 20);
    assert_eq!(fixture.read_all().await, lines[20..]);
    fixture.far().set_away(true);
    let refused = fixture.store.delete_unwanted().await;
    assert!(matches!(refused, Err(Error::FarWork(_))), "{refused:?}");
    fixture.store.remove(stream()).await.expect("removed");
    assert_eq!(cached_bytes(&fixture), 0);
    assert_eq!(fixture.store.list_streams().await.expect("streams"), []);
    // The stream begins anew, with the same names.
    for _ in 0..3 {
        fixture.append(&["new".repeat(400).as_str()]).await;
    }
    fixture
        .store
        .compact(stream(), time(1))
        .await
        .expect("packed");
    let anew = fixture.read_all().await;
    fixture
        .store
        .move_far(stream(), time(1))
        .await
        .expect("what has the names goes first");
    assert_eq!(marked(&fixture), [""; 0]);
    fixture.reopen();
    fixture.far().set_away(false);
    move_all(&fixture).await.expect("moved");
    assert_eq!(fixture.read_all().await, anew);
    assert_eq!(fixture.far().names(), marked(&fixture));
    assert_eq!(fixture.far().names().len(), 2);
}

#[tokio::test]
async fn a_damaged_marker_costs_no_line_that_is_here_and_what_it_names_otherwise() {
    let mut fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    let moved = fixture.store.move_far(stream(), time(20_000_000_000)).await;
    moved.expect("moved");
    let dir = fixture.dir.path().join(stream().to_string());
    for number in [2, 5] {
        std::fs::write(marker::path(&dir, number), "damaged").expect("written");
    }
    fixture.reopen();
    let left = [&lines[..10], &lines[20..]].concat();
    assert_eq!(fixture.read_all().await, left);
    move_all(&fixture).await.expect("moved");
    assert_eq!(fixture.read_all().await, left);
    let names = fixture.far().names();
    assert!(names.contains(&name_of(stream(), 5)), "{names:?}");
}

#[tokio::test]
async fn what_is_far_is_said_to_be_so_when_there_is_no_far_store_any_more() {
    let mut fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    move_all(&fixture).await.expect("moved");
    let far = fixture.far.take();
    fixture.reopen();
    let refused = fixture.store.find(stream(), query(0, 99)).await;
    let is_said = |error: &Error| {
        let Error::Far { source, .. } = error else {
            return false;
        };
        matches!(source, FarError::NotConfigured)
    };
    assert!(refused.as_ref().is_err_and(is_said), "{refused:?}");
    let backward = Query {
        direction: Direction::Backward,
        ..query(0, 99)
    };
    let page = fixture
        .store
        .find(stream(), backward)
        .await
        .expect("a page");
    assert_eq!(page.cursor, Some(61));
    assert!(page.records.iter().rev().eq(&lines[60..]));
    fixture.store.remove(stream()).await.expect("removed");
    // Once there is one, what was there is deleted.
    fixture.far = far;
    fixture.reopen();
    fixture.store.delete_unwanted().await.expect("deleted");
    assert!(fixture.far().names().is_empty());
}

#[tokio::test]
async fn who_waits_for_the_far_store_holds_no_turn() {
    let fixture = filled(1 << 20).await;
    let lines = fixture.read_all().await;
    move_all(&fixture).await.expect("moved");
    let turns = Arc::new(tokio::sync::Semaphore::new(1));
    fixture.far().state().turns = Some((Arc::clone(&turns), 1));
    fixture.far().take_calls("get");
    let looks = std::cell::Cell::new(0);
    let turn = || {
        looks.set(looks.get() + 1);
        turns.acquire()
    };
    let query = query(0, 99);
    let page = fixture.store.find_in_turns(stream(), query, turn).await;
    assert_eq!(page.expect("a page").records, lines);
    assert_eq!((looks.get(), fixture.far().take_calls("get")), (7, 6));
}

/// Many readers, and a cache that holds one segment.
#[test]
fn many_readers_share_a_small_cache() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().expect("a runtime")
    };
    let (fixture, lines, bytes) = runtime().block_on(async {
        let small = filled(1).await;
        let segment = std::fs::metadata(&small.segments()[0]).expect("a file");
        let bytes = segment.len() + segment.len() / 4;
        let fixture = filled(bytes).await;
        let lines = fixture.read_all().await;
        move_all(&fixture).await.expect("moved");
        (fixture, lines, bytes)
    });
    let read = async |reader: usize| {
        for round in 0..20 {
            let at = (reader * 7 + round * 3) % 6 * 10;
            let query = query(at as i64, at as i64 + 10);
            let found = fixture.store.find(stream(), query).await;
            assert_eq!(found.expect("a page").records, lines[at..at + 10]);
        }
    };
    std::thread::scope(|scope| {
        for reader in 0..8 {
            scope.spawn(move || runtime().block_on(read(reader)));
        }
    });
    assert!(cached_bytes(&fixture) <= bytes);
}
