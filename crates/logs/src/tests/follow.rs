//! Following a stream that grows, shrinks, ends or goes.

#![expect(
    clippy::disallowed_methods,
    reason = "a follower and a writer have to run side by side"
)]

use super::*;

/// Follows to the end, and answers what came on the way.
async fn follow_to_end(store: LogStore, from: FollowFrom) -> Vec<Record> {
    let mut follower = store.follow(stream(), from);
    let mut records = Vec::new();
    loop {
        match follower.next().await.expect("an event") {
            Event::Records(batch) => {
                assert!((1..=1000).contains(&batch.len()));
                records.extend(batch.iter().cloned());
            }
            Event::Missed(n) => panic!("{n} lines missed"),
            Event::End => return records,
        }
    }
}

/// The numbers of the lines that are ready.
async fn ready(follower: &mut Follower) -> Vec<u64> {
    match follower.next_ready().await.expect("an event") {
        Some(Event::Records(records)) => seqs(&records),
        None => Vec::new(),
        Some(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn followers_lose_and_double_nothing_while_lines_come() {
    const BATCHES: u64 = 600;
    let fixture = Fixture::with_segments(4000);
    let mut followers = Vec::new();
    let mut written = 0;
    for batch in 0..BATCHES {
        if batch % 40 == 0 {
            let froms = [
                FollowFrom::Start,
                FollowFrom::After(written / 2),
                FollowFrom::Tail(7),
            ];
            for (from, first) in froms
                .into_iter()
                .zip([Some(1), Some(written / 2 + 1), None])
            {
                let follow = follow_to_end(fixture.store.clone(), from);
                followers.push((first, tokio::spawn(follow)));
            }
        }
        let lines = (0..=batch % 5).map(|i| line(0, "web", &(written + i + 1).to_string()));
        let lines: Vec<_> = lines.collect();
        written += lines.len() as u64;
        fixture
            .store
            .append(stream(), lines)
            .await
            .expect("appended");
    }
    fixture.store.finish(stream()).await.expect("finished");
    for (first, follower) in followers {
        let records = follower.await.expect("a follower");
        let first = first.unwrap_or(records[0].seq);
        assert!(
            records.iter().map(|record| record.seq).eq(first..=written),
            "from {first}"
        );
        for record in records {
            assert_eq!(record.line.text, record.seq.to_string().as_bytes());
        }
    }
}

#[tokio::test]
async fn dropping_the_future_of_next_loses_nothing() {
    const LINES: u64 = 300;
    let fixture = Fixture::with_segments(2000);
    let store = fixture.store.clone();
    let writer = tokio::spawn(async move {
        for seq in 1..=LINES {
            let lines = vec![line(0, "web", &seq.to_string())];
            store.append(stream(), lines).await.expect("appended");
        }
        store.finish(stream()).await.expect("finished");
    });
    let mut follower = fixture.store.follow(stream(), FollowFrom::Start);
    let mut seen = Vec::new();
    let mut dropped = 0;
    loop {
        tokio::select! {
            biased;
            event = follower.next() => match event.expect("an event") {
                Event::Records(records) => seen.extend(seqs(&records)),
                Event::Missed(n) => panic!("{n} lines missed"),
                Event::End => break,
            },
            () = yield_some(dropped % 7) => dropped += 1,
        }
    }
    writer.await.expect("the writer");
    assert!(seen.into_iter().eq(1..=LINES));
    assert!(dropped > 0);
}

async fn yield_some(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_follower_begins_where_it_is_told() {
    let fixture = Fixture::with_segments(150);
    for nanos in 1..=6 {
        let lines = vec![
            line(nanos * 10, "web", "text"),
            line(nanos * 10 + 1, "web", "text"),
        ];
        fixture
            .store
            .append(stream(), lines)
            .await
            .expect("appended");
    }
    let mut followers = Vec::new();
    for (from, expected) in [
        (FollowFrom::Start, 1..13),
        (FollowFrom::Tail(0), 13..13),
        (FollowFrom::Tail(3), 10..13),
        (FollowFrom::Tail(usize::MAX), 1..13),
        (FollowFrom::After(0), 1..13),
        (FollowFrom::After(5), 6..13),
        (FollowFrom::After(12), 13..13),
        (FollowFrom::After(u64::MAX), 13..13),
        (FollowFrom::Since(time(0)), 1..13),
        (FollowFrom::Since(time(31)), 6..13),
        (FollowFrom::Since(time(32)), 7..13),
        (FollowFrom::Since(time(99)), 13..13),
    ] {
        let mut follower = fixture.store.follow(stream(), from);
        let seen = ready(&mut follower).await;
        assert!(seen.into_iter().eq(expected), "{from:?}");
        assert!(follower.is_caught_up(), "{from:?}");
        assert!(ready(&mut follower).await.is_empty(), "{from:?}");
        followers.push(follower);
    }
    fixture.append(&["later"]).await;
    for mut follower in followers {
        assert_eq!(ready(&mut follower).await, [13]);
    }
}

#[tokio::test]
async fn a_follower_says_when_it_caught_up() {
    let fixture = Fixture::new();
    let mut follower = fixture.store.follow(stream(), FollowFrom::Start);
    assert!(!follower.is_caught_up());
    assert!(ready(&mut follower).await.is_empty());
    assert!(follower.is_caught_up());

    let lines = (0..1500).map(|nanos| line(nanos, "web", "text")).collect();
    fixture
        .store
        .append(stream(), lines)
        .await
        .expect("appended");
    assert_eq!(ready(&mut follower).await.len(), 1000);
    assert!(!follower.is_caught_up());
    assert_eq!(ready(&mut follower).await.len(), 500);
    assert!(follower.is_caught_up());
    assert!(ready(&mut follower).await.is_empty());
}

#[tokio::test]
async fn a_batch_of_long_lines_is_small() {
    let fixture = Fixture::new();
    let text = "x".repeat(1 << 20);
    let lines = (0..5).map(|nanos| line(nanos, "web", &text)).collect();
    fixture
        .store
        .append(stream(), lines)
        .await
        .expect("appended");
    let mut follower = fixture.store.follow(stream(), FollowFrom::Start);
    for seq in 1..=5 {
        assert_eq!(ready(&mut follower).await, [seq]);
    }
}

#[tokio::test]
async fn a_slow_follower_is_told_what_retention_took() {
    let fixture = Fixture::with_segments(100);
    // Five of them are more than memory keeps for followers.
    let text = "x".repeat(200 << 10);
    for _ in 0..3 {
        fixture.append(&[&text]).await;
    }
    let mut follower = fixture.store.follow(stream(), FollowFrom::Start);
    let mut late = fixture.store.follow(stream(), FollowFrom::After(1));
    assert_eq!(ready(&mut follower).await, [1, 2, 3]);
    for _ in 0..5 {
        fixture.append(&[&text]).await;
    }
    let removed = fixture
        .store
        .enforce_retention(stream(), 0, time(0))
        .await
        .expect("removed");
    assert_eq!(removed, 7);
    assert_eq!(follower.next().await.expect("an event"), Event::Missed(4));
    assert_eq!(ready(&mut follower).await, [8]);
    assert_eq!(late.next().await.expect("an event"), Event::Missed(6));
    assert_eq!(ready(&mut late).await, [8]);

    // What is gone before a follower begins at the start, it did not miss.
    let mut new = fixture.store.follow(stream(), FollowFrom::Start);
    assert_eq!(ready(&mut new).await, [8]);
}

#[tokio::test]
async fn following_a_finished_stream_replays_it_and_ends() {
    let mut fixture = Fixture::new();
    fixture.append(&["a", "b"]).await;
    fixture.store.finish(stream()).await.expect("finished");
    fixture.reopen();
    let records = follow_to_end(fixture.store.clone(), FollowFrom::Start).await;
    assert_eq!(texts(&records), ["a", "b"]);
    let mut follower = fixture.store.follow(stream(), FollowFrom::After(2));
    for _ in 0..2 {
        assert_eq!(
            follower.next_ready().await.expect("an event"),
            Some(Event::End)
        );
        assert_eq!(follower.next().await.expect("an event"), Event::End);
    }
    assert!(follower.is_caught_up());
}

#[tokio::test]
async fn a_waiting_follower_is_woken_by_the_end() {
    let fixture = Fixture::new();
    fixture.append(&["a"]).await;
    let mut follower = fixture.store.follow(stream(), FollowFrom::Tail(0));
    assert!(ready(&mut follower).await.is_empty());
    let (event, finished) = tokio::join!(follower.next(), fixture.store.finish(stream()));
    finished.expect("finished");
    assert_eq!(event.expect("an event"), Event::End);
}

#[tokio::test]
async fn the_followers_of_a_removed_stream_end() {
    let fixture = Fixture::new();
    fixture.append(&["a"]).await;
    let mut follower = fixture.store.follow(stream(), FollowFrom::Start);
    assert_eq!(ready(&mut follower).await, [1]);
    let (event, removed) = tokio::join!(follower.next(), fixture.store.remove(stream()));
    removed.expect("removed");
    assert_eq!(event.expect("an event"), Event::End);
    fixture.append(&["of another stream"]).await;
    assert_eq!(follower.next().await.expect("an event"), Event::End);
}
