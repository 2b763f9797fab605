//! What every driver must do, as cases that run against any of them.
//!
//! Guarantees: each case has an installation of its own and removes all that it made, also when it
//! fails, so cases run beside each other and beside other programs on one engine.
//! Assumptions: the engine has the subject's base image, with `sh`, `sleep`, `python3` and
//! what every system has.

mod exec;
mod image;
mod lab;
mod network;
mod output;
mod replica;
mod volume;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tose_model::driver::{Driver, InstallationId};

pub use lab::{App, Lab};

/// How many cases run at once.
const AT_ONCE: usize = 4;
/// How long a case may take; one that waits for ever fails with this.
const CASE_LIMIT: Duration = Duration::from_secs(180);

/// A driver under test.
pub struct Subject {
    /// Makes a driver for an installation. All of them reach one engine.
    pub connect: Box<dyn Fn(InstallationId) -> Arc<dyn Driver> + Send + Sync>,
    /// What images of the cases are made from.
    pub base_image: String,
}

/// Something that a driver must do; the name is a sentence about it.
pub struct Case {
    /// What is so when the case passes.
    pub name: &'static str,
    run: for<'a> fn(&'a Lab) -> BoxFuture<'a, ()>,
}

fn case(name: &'static str, run: for<'a> fn(&'a Lab) -> BoxFuture<'a, ()>) -> Case {
    Case { name, run }
}

/// The cases about replicas: starting, ending, crashing, fencing.
pub fn replica_cases() -> Vec<Case> {
    replica::cases()
}

/// The cases about what replicas print.
pub fn output_cases() -> Vec<Case> {
    output::cases()
}

/// The cases about images: building, pulling, removing.
pub fn image_cases() -> Vec<Case> {
    image::cases()
}

/// The cases about networks, and about installations that share an engine.
pub fn network_cases() -> Vec<Case> {
    network::cases()
}

/// The cases about volumes.
pub fn volume_cases() -> Vec<Case> {
    volume::cases()
}

/// The cases about commands beside a replica's process.
pub fn exec_cases() -> Vec<Case> {
    exec::cases()
}

/// Runs `cases` and panics with the names of those that fail. `nonce` tells this run from others
/// on the same engine.
pub async fn run(subject: &Subject, cases: Vec<Case>, nonce: u64) {
    let count = cases.len();
    let runs = cases
        .into_iter()
        .zip(nonce..)
        .map(|(case, seed)| run_case(subject, case, seed));
    let failures: Vec<_> = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failures.is_empty(),
        "{} of {count} cases failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Runs one case and cleans up; answers what went wrong.
async fn run_case(subject: &Subject, case: Case, seed: u64) -> Option<String> {
    let lab = Lab::new(subject, seed);
    let work = tokio::time::timeout(CASE_LIMIT, (case.run)(&lab));
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    let leftover = lab.clean_up().await;
    match (outcome, leftover) {
        (Err(panic), _) => Some(format!("- {}: {}", case.name, message(panic.as_ref()))),
        (Ok(Err(_)), _) => Some(format!("- {}: not done after {CASE_LIMIT:?}", case.name)),
        (Ok(Ok(())), Err(error)) => Some(format!("- {}: cleaning up: {error}", case.name)),
        (Ok(Ok(())), Ok(())) => None,
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}
