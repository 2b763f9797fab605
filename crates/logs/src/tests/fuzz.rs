//! Files that anything may have happened to.
//!
//! `make fuzz` runs this with many more cases (`PROPTEST_CASES`).

use proptest::prelude::*;
use proptest::sample::Index;
use tose_model::log::Search;

use super::*;

/// What happens to a file.
#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// A piece of it stands elsewhere as well.
    Repeat(Index, Index, Index),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        1 => (index(), proptest::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (index(), index()).prop_map(|(a, b)| Edit::Remove(a, b)),
        2 => (index(), index(), index()).prop_map(|(a, b, to)| Edit::Repeat(a, b, to)),
    ]
}

fn piece(len: usize, a: Index, b: Index) -> std::ops::Range<usize> {
    let (a, b) = (a.index(len), b.index(len));
    a.min(b)..a.max(b)
}

fn apply(edit: Edit, bytes: &mut Vec<u8>) {
    let len = bytes.len();
    if len == 0 {
        return;
    }
    match edit {
        Edit::Set(at, byte) => bytes[at.index(len)] = byte,
        Edit::Insert(at, new) => {
            let at = at.index(len);
            bytes.splice(at..at, new);
        }
        Edit::Remove(a, b) => {
            bytes.drain(piece(len, a, b));
        }
        Edit::Repeat(a, b, to) => {
            let copy = bytes[piece(len, a, b)].to_vec();
            let to = to.index(len);
            bytes.splice(to..to, copy);
        }
    }
}

/// Everything that readers do. What comes out has to be what was stored.
async fn read_everything(store: &LogStore, stored: &[Record]) {
    let mut found = Vec::new();
    found.extend(
        store
            .read(stream(), None, usize::MAX)
            .await
            .unwrap_or_default(),
    );
    found.extend(store.tail(stream(), 10).await.unwrap_or_default());
    for search in ["", "line", "seven", "n:7"] {
        let query = Query {
            search: Search::parse(search).expect("a search"),
            limit: 1000,
            ..Query::default()
        };
        let page = store.find(stream(), query).await.unwrap_or_default();
        assert!(page.records.is_sorted_by(|a, b| a.seq > b.seq), "{search}");
        found.extend(page.records);
    }
    for record in found {
        let original = usize::try_from(record.seq - 1).ok();
        let original = original.and_then(|index| stored.get(index));
        assert_eq!(Some(&record), original);
    }
    let _ = store.daily(stream()).await;
    let _ = store.stats(stream()).await;
    let _ = store.last_position(stream(), "web").await;
}

/// As many cases as `PROPTEST_CASES` says; otherwise a few.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    let is_asked = config.cases != 256;
    ProptestConfig {
        cases: if is_asked { config.cases } else { 48 },
        ..config
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_to_the_files_nothing_comes_out_that_was_not_stored(
        is_packed in any::<bool>(),
        edits in proptest::collection::vec((any::<Index>(), any_edit()), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut fixture = Fixture::with_segments(600);
            for n in 0..12 {
                fixture.append(&[&format!("line {n}"), "seven", "n=7"]).await;
            }
            let stored = fixture.read_all().await;
            if is_packed {
                fixture.store.compact(stream(), time(1)).await.expect("packed");
            }
            let files = fixture.segments();
            for (file, edit) in edits {
                let path = file.get(&files);
                let mut bytes = std::fs::read(path).expect("a segment");
                apply(edit, &mut bytes);
                std::fs::write(path, bytes).expect("written");
            }
            fixture.reopen();
            read_everything(&fixture.store, &stored).await;
            // It goes on: what is added comes back, and what is left can be packed.
            if fixture.store.append(stream(), vec![line(1, "web", "after")]).await.is_ok() {
                let tail = fixture.store.tail(stream(), 1).await.expect("a line");
                assert_eq!(texts(&tail), ["after"]);
            }
            let _ = fixture.store.compact(stream(), time(100)).await;
        });
    }
}
