//! Word that a certificate which checks meet ends soon, or is replaced: the project's log and the workspace's channels.
//!
//! Caveat: of a domain's own certificate the server tells by itself, too, at other times; that is another event.
//! Not here: when people are told (`tose_model::uptime::CertificateWatch`).

use tose_api::notification::NoticeEvent;
use tose_model::uptime::CertificateNews;
use tose_store::Monitor;

use super::tell::Subject;
use crate::app::Platform;
use crate::app::notice::NewNotice;

/// Tells of a certificate. Of a new one only the log tells: nobody has to do anything.
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
            let what = format!("the certificate of {project}'s address {verb} at {at}");
            let id = monitor.project_id;
            platform
                .notify(NewNotice {
                    workspace_id: monitor.workspace_id,
                    project_id: Some(id),
                    event: NoticeEvent::CertificateExpiring,
                    key: format!("certificate_of_check/{id}/{}", at.as_nanos()),
                    title: format!("{}/{project}: {what}", subject.workspace),
                    text: "Checks of its uptime met it.".to_owned(),
                })
                .await;
            format!("uptime: {what}")
        }
        CertificateNews::Replaced { until } => {
            format!("uptime: {project}'s address has a new certificate, until {until}")
        }
    };
    platform.tell_project(monitor.project_id, line).await;
}
