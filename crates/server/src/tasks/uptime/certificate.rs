//! Word that a certificate which checks meet ends soon, or is replaced.
//!
//! Not here: when people are told (`tose_model::uptime::CertificateWatch`).

use tose_model::uptime::CertificateNews;
use tose_store::Monitor;

use super::tell::Subject;
use crate::app::Platform;

/// Tells of a certificate: a line in the project's log.
pub(super) async fn announce_certificate(
    platform: &Platform,
    monitor: &Monitor,
    subject: &Subject,
    news: CertificateNews,
) {
    let project = &subject.project;
    let line = match news {
        CertificateNews::Ends { at } => {
            let verb = match at > platform.now() {
                true => "ends",
                false => "ended",
            };
            format!("uptime: the certificate of {project}'s address {verb} at {at}")
        }
        CertificateNews::Replaced { until } => {
            format!("uptime: {project}'s address has a new certificate, until {until}")
        }
    };
    platform.tell_project(monitor.project_id, line).await;
}
