//! The fake engine passes the suite that real ones pass, and its hooks do what they say.

mod conformance;
mod hooks;
