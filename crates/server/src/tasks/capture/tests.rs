//! Lines that come in pieces.

use futures_util::stream;

use super::*;
use tose_api::log::LogSource;

fn line(text: &str) -> DriverResult<LogLine> {
    Ok(LogLine {
        time: Timestamp::from_nanos(1),
        source: LogSource::Stderr,
        pod: "web-1".into(),
        text: text.as_bytes().to_vec(),
    })
}

async fn batches(chunks: &[&[&str]]) -> Vec<usize> {
    let chunks: Vec<Vec<_>> = chunks
        .iter()
        .map(|chunk| chunk.iter().map(|text| line(text)).collect())
        .collect();
    let mut stream = stream::iter(chunks).fuse();
    let mut lens = Vec::new();
    while let Some(batch) = next_batch(&mut stream).await {
        lens.push(batch.len());
    }
    lens
}

#[tokio::test]
async fn a_stack_trace_that_comes_in_pieces_is_stored_at_once() {
    let trace: [&[&str]; 4] = [
        &["started", "Error: no"],
        &["    at a", "    at b"],
        &["    at c", "ready"],
        &["GET /"],
    ];
    assert_eq!(batches(&trace).await, [6, 1]);
    assert_eq!(batches(&[&["a"], &["b"]]).await, [1, 1]);
    assert_eq!(batches(&[&["Error: no"]]).await, [1]);
}

#[tokio::test]
async fn a_trace_without_an_end_is_not_waited_for_for_ever() {
    let frame: &[&str] = &["    at a"; 100];
    let chunks = [frame; 25];
    assert_eq!(batches(&chunks).await, [1000, 1000, 500]);
    let never = stream::iter([vec![line("Error: no")]]).chain(stream::pending());
    let mut never = Box::pin(never);
    assert_eq!(
        next_batch(&mut never).await.map(|batch| batch.len()),
        Some(1)
    );
}
