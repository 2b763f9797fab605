//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use tose_api::Timestamp;

/// The time as this machine's clock has it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the time comes from"
)]
pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_nanos(0).saturating_add(since_1970)
}
