//! The conformance suite on a real engine.

use std::sync::Arc;

use tose_testkit::conformance::{self, Case, Subject};

use crate::engine::{BASE_IMAGE, connect, is_there, nonce};

async fn check(cases: Vec<Case>) {
    if !is_there() {
        return;
    }
    let subject = Subject {
        connect: Box::new(|installation| Arc::new(connect(installation))),
        base_image: BASE_IMAGE.to_owned(),
    };
    conformance::run(&subject, cases, nonce()).await;
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
