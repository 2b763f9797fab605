//! `/status/:workspace`, which everybody can see: as a page that needs no script and nothing from elsewhere, as JSON,
//! and as badges. And `…/status-page`, where a workspace says what is shown.
//!
//! Guarantee: whatever people wrote stands escaped in what is answered.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use tose_api::Timestamp;
use tose_api::maintenance::MaintenanceRepeat;
use tose_api::status_page::{
    PublicIncident, PublicMaintenance, PublicProject, PublicState, PublicStatus, SetStatusPage,
};
use tose_model::Error;
use tose_model::access::Access;
use tose_model::uptime::in_words;

use crate::app::Platform;
use crate::http::body::Body;
use crate::http::docs::escape;
use crate::http::reply::{Reply, ok};

/// Long enough that a crowd is served by what stands between it and this server.
const CACHED: (HeaderName, HeaderValue) = (
    CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=10"),
);
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
h1{font-size:1.6rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}section{border:1px solid #ddd;border-radius:6px;padding:.8rem 1rem;margin:.8rem 0}\
section p{margin:.2rem 0;color:#555;font-size:.85rem}b.state{float:right}.up{color:#18794e;fill:#30a46c}.down{color:#cd2b31;fill:#e5484d}\
.maintenance{color:#0b68cb;fill:#0091ff}.unknown{color:#687076;fill:#c1c8cd}.partly{fill:#f5a623}svg{width:100%;height:32px;display:block;margin:.4rem 0}\
footer{color:#687076;font-size:.8rem;margin:2rem 0}li{margin:.3rem 0}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}section{border-color:#333}section p{color:#aaa}}";

pub(crate) async fn get(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
) -> Reply {
    ok(platform.get_status_page(&access).await?)
}

pub(crate) async fn set(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Body(input): Body<SetStatusPage>,
) -> Reply {
    ok(platform.set_status_page(&access, input).await?)
}

pub(crate) async fn json(
    State(platform): State<Arc<Platform>>,
    Path(workspace): Path<String>,
) -> Reply {
    let page = platform.public_page(&workspace).await?;
    let mut answer = ok(&page.status)?;
    answer.headers_mut().insert(CACHED.0, CACHED.1);
    Ok(answer)
}

pub(crate) async fn html(
    State(platform): State<Arc<Platform>>,
    Path(workspace): Path<String>,
) -> Reply {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    });
    let page = platform.public_page(&workspace).await?;
    let headers = [
        CACHED,
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY.as_str()),
        ),
    ];
    Ok((headers, Html(document(&page.status))).into_response())
}

/// The badge of the whole page.
pub(crate) async fn badge(
    State(platform): State<Arc<Platform>>,
    Path(workspace): Path<String>,
) -> Reply {
    let page = platform.public_page(&workspace).await?;
    let status = &page.status;
    Ok(svg(&status.title, status.status.as_str(), status.status))
}

/// The badge of one thing on it: `SLUG.svg`.
pub(crate) async fn project_badge(
    State(platform): State<Arc<Platform>>,
    Path((workspace, file)): Path<(String, String)>,
) -> Reply {
    let page = platform.public_page(&workspace).await?;
    let slug = file.strip_suffix(".svg").unwrap_or_default();
    let shown = page.slugs.iter().zip(&page.status.projects);
    let found = shown.into_iter().find(|(own, _)| own.as_str() == slug);
    let (_, project) = found.ok_or(Error::NotFound("badge"))?;
    let share = project.uptime.d30.as_ref();
    let said = match share {
        Some(share) => format!("{} {share} %", project.status.as_str()),
        None => project.status.as_str().to_owned(),
    };
    Ok(svg(&project.name, &said, project.status))
}

/// Writes into a text in memory, which takes everything.
macro_rules! put {
    ($text:expr, $($argument:tt)*) => {
        $text.write_fmt(format_args!($($argument)*)).expect("a text in memory takes what is written")
    };
}

fn document(status: &PublicStatus) -> String {
    let mut html = String::with_capacity(16 << 10);
    let title = escape(&status.title);
    put!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1><p class=\"{class}\"><b>{sentence}</b></p>",
        class = status.status.as_str(),
        sentence = sentence(status.status),
    );
    for project in &status.projects {
        section(&mut html, project);
    }
    maintenances(&mut html, &status.maintenance);
    incidents(&mut html, &status.incidents);
    put!(
        html,
        "<footer>As of {}. Times are UTC.</footer></main></body></html>",
        minute(status.updated_at)
    );
    html
}

fn sentence(state: PublicState) -> &'static str {
    match state {
        PublicState::Up => "Everything answers.",
        PublicState::Down => "Something does not answer.",
        PublicState::Maintenance => "There is maintenance.",
        PublicState::Unknown => "Nothing is checked.",
    }
}

fn section(html: &mut String, project: &PublicProject) {
    let state = project.status.as_str();
    put!(
        html,
        "<section><b class=\"state {state}\">{state}</b><b>{}</b><svg viewBox=\"0 0 450 32\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"The last 90 days\">",
        escape(&project.name)
    );
    for (index, day) in project.days.iter().enumerate() {
        let (class, share) = match day.uptime.as_deref() {
            None => ("unknown", "no checks".to_owned()),
            Some("100.000") => ("up", "100.000 %".to_owned()),
            // Less than nine of ten checks were good.
            Some(share) if share.starts_with('9') && share.len() == 6 => {
                ("partly", format!("{share} %"))
            }
            Some(share) => ("down", format!("{share} %")),
        };
        put!(
            html,
            "<rect x=\"{}\" width=\"4\" height=\"32\" class=\"{class}\"><title>{}: {share}</title></rect>",
            index * 5,
            escape(&day.date)
        );
    }
    html.push_str("</svg><p>");
    let uptime = &project.uptime;
    for (span, share) in [
        ("24 hours", &uptime.h24),
        ("7 days", &uptime.d7),
        ("30 days", &uptime.d30),
        ("90 days", &uptime.d90),
    ] {
        if let Some(share) = share {
            put!(html, "{span}: {share} % &emsp;");
        }
    }
    html.push_str("</p></section>");
}

fn maintenances(html: &mut String, planned: &[PublicMaintenance]) {
    if planned.is_empty() {
        return;
    }
    html.push_str("<h2>Maintenance</h2><ul>");
    for one in planned {
        put!(
            html,
            "<li><b>{}</b> ({}): {} to {}{}</li>",
            escape(&one.title),
            escape(&one.names.join(", ")),
            minute(one.starts_at),
            minute(one.ends_at),
            match one.repeat {
                Some(MaintenanceRepeat::Weekly) => ", every week",
                None => "",
            }
        );
    }
    html.push_str("</ul>");
}

fn incidents(html: &mut String, incidents: &[PublicIncident]) {
    html.push_str("<h2>Incidents of the last 90 days</h2>");
    if incidents.is_empty() {
        html.push_str("<p>None.</p>");
        return;
    }
    html.push_str("<ul>");
    for incident in incidents {
        let lasted = in_words(std::time::Duration::from_secs(incident.duration_sec));
        let verb = match incident.ended_at {
            Some(_) => "was down for",
            None => "is down since",
        };
        put!(
            html,
            "<li><b>{}</b> {verb} {lasted}, from {}</li>",
            escape(&incident.name),
            minute(incident.started_at)
        );
    }
    html.push_str("</ul>");
}

/// A time to the minute.
fn minute(time: Timestamp) -> String {
    let text = time.to_string().replace('T', " ");
    escape(text.get(..16).unwrap_or(&text))
}

/// A badge: on its left what it is of, on its right how that is.
fn svg(label: &str, said: &str, state: PublicState) -> Response {
    let color = match state {
        PublicState::Up => "#30a46c",
        PublicState::Down => "#e5484d",
        PublicState::Maintenance => "#0091ff",
        PublicState::Unknown => "#889096",
    };
    // About as wide as the letters of such a text are.
    let width = |text: &str| text.chars().count() * 7 + 12;
    let (left, right) = (width(label), width(said));
    let all = left + right;
    let (label, said) = (escape(label), escape(said));
    let image = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{label}: {said}\"><title>{label}: {said}</title><rect width=\"{left}\" height=\"20\" fill=\"#555\"/><rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{color}\"/><g fill=\"#fff\" font-family=\"Verdana,sans-serif\" font-size=\"11\"><text x=\"6\" y=\"14\">{label}</text><text x=\"{}\" y=\"14\">{said}</text></g></svg>",
        left + 6
    );
    let headers = [
        CACHED,
        (CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        ),
    ];
    (headers, image).into_response()
}
