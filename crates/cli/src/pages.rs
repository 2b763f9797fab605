//! Lists that come page by page.

use tose_api::client::{self, Page, Paging};

/// All rows of a list.
pub(crate) async fn all<T>(
    mut get: impl AsyncFnMut(Paging) -> client::Result<Page<T>>,
) -> client::Result<Vec<T>> {
    let mut items = Vec::new();
    for number in 1..=Paging::MAX_PAGE {
        let paging = Paging::new(Some(number), Some(Paging::MAX_LIMIT)).expect("within the limits");
        let page = get(paging).await?;
        items.extend(page.items);
        if !page.meta.has_more {
            break;
        }
    }
    Ok(items)
}
