//! Access logs: from the proxy into the logs of the projects that want them.
//!
//! Caveats: what was fetched and not written yet when the server ends is lost, and so is what the
//! proxy could not keep meanwhile; the daemon's own log says how many are missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tose_api::log::LogSource;
use tose_api::{ProjectId, Timestamp};
use tose_logs::StreamId;
use tose_model::error::{Error, Result};
use tose_model::log::LogLine;
use tose_model::traffic::AccessRecord;

use crate::app::Platform;
use crate::app::log::log_error;

/// How often the proxy is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// Who writes these lines.
const POD: &str = "access";

pub(crate) async fn run(platform: Arc<Platform>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if platform.routes.has_access_log().await
            && let Err(error) = fetch(&platform).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "access logs could not be written; it is tried again"
            );
        }
    }
}

/// Writes all that the proxy has.
async fn fetch(platform: &Platform) -> Result<()> {
    loop {
        let taken = platform.data_plane.take_access_records().await;
        let (records, lost) =
            taken.map_err(|error| Error::internal("the proxy's records were not read", error))?;
        if lost > 0 {
            tracing::warn!(
                lost,
                "requests are missing in access logs: too many came at once"
            );
        }
        if records.is_empty() {
            return Ok(());
        }
        let now = platform.now();
        let mut by_project: BTreeMap<ProjectId, Vec<LogLine>> = BTreeMap::new();
        for record in &records {
            let lines = by_project.entry(record.project_id).or_default();
            lines.push(line(record, now));
        }
        for (project_id, lines) in by_project {
            let stream = StreamId::Project(project_id);
            let appended = platform.logs.append(stream, lines).await;
            appended.map_err(log_error)?;
        }
    }
}

fn line(record: &AccessRecord, now: Timestamp) -> LogLine {
    LogLine {
        time: now.saturating_sub(Duration::from_micros(record.ended_us_ago)),
        source: LogSource::System,
        pod: POD.into(),
        text: text(record).into_bytes(),
    }
}

/// As `name=value` pairs; what visitors chose is in quotes, with escapes as in JSON.
fn text(record: &AccessRecord) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = format!(
        "method={} host={} path={} status={} bytes={} ms={}.{:03} address={}",
        record.method,
        quoted(&record.host),
        quoted(&record.path),
        record.status,
        record.sent_bytes,
        record.took_us / 1000,
        record.took_us % 1000,
        record.address,
    );
    let named = [("referer", &record.referer), ("agent", &record.user_agent)];
    for (name, value) in named {
        if let Some(value) = value {
            // Writing to memory cannot fail.
            let _ = write!(text, " {name}={}", quoted(value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_visitor_chose_cannot_look_like_another_line_or_field() {
        let record = AccessRecord {
            project_id: "01890000-0000-7000-8000-000000000001"
                .parse()
                .expect("an id"),
            ended_us_ago: 1_500_000,
            address: [203, 0, 113, 9].into(),
            method: "GET".to_owned(),
            host: "shop.example.com".to_owned(),
            path: "/a?b=\" status=200".to_owned(),
            status: 404,
            sent_bytes: 12,
            took_us: 1_234,
            referer: None,
            user_agent: Some("x\ny\u{1b}[31m".to_owned()),
        };
        let line = line(&record, Timestamp::from_nanos(2_000_000_000));
        assert_eq!(line.time, Timestamp::from_nanos(500_000_000));
        let text = String::from_utf8(line.text).expect("a text");
        assert_eq!(
            text,
            r#"method=GET host="shop.example.com" path="/a?b=\" status=200" status=404 bytes=12 ms=1.234 address=203.0.113.9 agent="x\ny\u001b[31m""#
        );
    }
}
