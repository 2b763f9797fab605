//! The audit log of a workspace.

use tose_api::envelope::{Meta, Paging};
use tose_api::event::EventView;
use tose_model::access::Access;
use tose_model::error::Result;

use crate::app::Platform;

impl Platform {
    pub(crate) async fn list_events(
        &self,
        access: &Access,
        paging: Paging,
    ) -> Result<(Vec<EventView>, Meta)> {
        let (events, total) = self.store.list_events(access.scope(), paging).await?;
        Ok((events, paging.meta(total)))
    }
}
