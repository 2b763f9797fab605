//! The driver against a real engine, and against engines that only pretend.
//!
//! With `TOSE_TEST_ENGINE=required`, or where there is a socket, an engine that does not answer
//! fails these tests; elsewhere they say that they were skipped.

mod building;
mod conformance;
mod connection;
mod engine;
mod exec;
mod firewall;
mod hardening;
mod ownership;
mod pulling;
mod rotation;
