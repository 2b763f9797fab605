//! A page of a query, with segments of the far store fetched as it needs them.
//!
//! Guarantees: who waits for the far store holds no turn, so that readers of what is here do not wait
//! for it as well. A page fetches a limited amount, and looks at something new. One that has lines
//! when the far store does not give more ends there, and who goes on after it is told.

use std::sync::Arc;

use crate::error::Result;
use crate::find::{self, Found, MAX_PAGE, Page, Query};
use crate::stream::{self, Stream, Turn};

pub(crate) async fn find_page<T: Future>(
    stream: &Arc<Stream>,
    mut query: Query,
    turn: impl Fn() -> T,
) -> Result<Page> {
    let mut records = Vec::new();
    let (mut text, mut fetched_bytes) = (0, 0);
    let mut fetched = None;
    loop {
        let found = {
            let _turn = turn().await;
            look(stream, query.clone(), fetched).await
        };
        let found = match found {
            Err(error) if error.is_far() && !records.is_empty() => break,
            other => other?,
        };
        let page = found.page;
        query.cursor = page.cursor;
        query.limit = query.limit.saturating_sub(page.records.len());
        text += page
            .records
            .iter()
            .map(|record| record.line.text.len())
            .sum::<usize>();
        records.extend(page.records);
        let Some(segment) = found.wanted else { break };
        let has_fetched_enough = fetched.is_some() && fetched_bytes >= stream.tier.page_bytes();
        if query.limit == 0 || text >= MAX_PAGE || has_fetched_enough {
            break;
        }
        fetched = Some(segment.number);
        fetched_bytes += segment.bytes;
        let this = Arc::clone(stream);
        match stream::blocking(move || this.fetch(&segment)).await {
            Err(error) if error.is_far() && !records.is_empty() => break,
            other => other?,
        }
    }
    Ok(Page {
        records,
        cursor: query.cursor,
    })
}

async fn look(stream: &Arc<Stream>, query: Query, fetched: Option<u32>) -> Result<Found> {
    let look = move |stream: &Stream, turn: Turn<'_>| {
        let view = turn.view(stream)?;
        find::find(stream, &view, &query, fetched)
    };
    Arc::clone(stream).run(look).await
}
