//! What tests stand on: a fake engine, a clock that is set, ids that repeat, and the suite that
//! every driver must pass.
//!
//! Invariant: the fake behaves as a real engine does as far as the suite in [`conformance`] can
//! tell; whoever teaches it something new adds the case that a real engine passes.
//! For tests only; nothing that is shipped depends on it.

pub mod clock;
pub mod conformance;
pub mod context;
pub mod fake;
pub mod gate;
pub mod ids;
pub mod program;

pub use clock::ManualClock;
pub use fake::{FakeDriver, Fault};
pub use gate::{Gate, When};
pub use ids::SeededIds;
pub use program::{Act, Program};
