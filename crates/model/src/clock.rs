//! Where time and randomness come in. Only `tose-server`'s `main.rs` and the test kit implement these.

use tose_api::Timestamp;
use uuid::Uuid;

use crate::meter::Uptime;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time, to the millisecond, as the machine's clock has it.
    fn now(&self) -> Timestamp;

    /// How long the machine has run, by a clock that is never set.
    fn uptime(&self) -> Uptime;
}

/// Makes ids and random bytes.
pub trait IdGen: Send + Sync {
    /// A fresh UUIDv7.
    fn uuid(&self) -> Uuid;

    /// Fills `bytes` from a source that is fit for keys.
    fn fill(&self, bytes: &mut [u8]);
}
