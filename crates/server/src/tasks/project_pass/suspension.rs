//! What becomes of a version that is on its way when the workspace is suspended.
//!
//! Not here: what runs, which a pass takes for stopped (`scene.rs`), and when a workspace is suspended
//! (`tose_model::wallet`).

use tose_model::deployment::state::Event;
use tose_model::error::Result;

use crate::tasks::project_pass::Pass;

impl Pass<'_> {
    /// Gives a version up that was to take over: without a replica it could never show that it works. Answers
    /// whether there was one.
    pub(super) async fn give_up_if_suspended(&self) -> Result<bool> {
        let (Some(suspended), Some(target)) = (self.scene.facts.suspended, &self.scene.target)
        else {
            return Ok(false);
        };
        let reason = format!("{}; deploy again when that has changed", suspended.reason());
        self.platform
            .settle(target, Event::Failure, Some(&reason))
            .await?;
        Ok(true)
    }
}
