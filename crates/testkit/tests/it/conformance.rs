//! The conformance suite on the fake.

use std::sync::Arc;

use tose_testkit::conformance::{self, Case, Subject};
use tose_testkit::{FakeDriver, ManualClock};

async fn check(cases: Vec<Case>) {
    let engine = FakeDriver::new(Arc::new(ManualClock::new()));
    let subject = Subject {
        connect: Box::new(move |installation| Arc::new(engine.beside(installation))),
        base_image: "base".to_owned(),
    };
    conformance::run(&subject, cases, 1).await;
}

#[tokio::test]
async fn replicas_conform() {
    check(conformance::replica_cases()).await;
}

#[tokio::test]
async fn output_conforms() {
    check(conformance::output_cases()).await;
}

#[tokio::test]
async fn images_conform() {
    check(conformance::image_cases()).await;
}

#[tokio::test]
async fn networks_conform() {
    check(conformance::network_cases()).await;
}

#[tokio::test]
async fn volumes_conform() {
    check(conformance::volume_cases()).await;
}

#[tokio::test]
async fn commands_conform() {
    check(conformance::exec_cases()).await;
}
