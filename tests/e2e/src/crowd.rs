//! Visitors: requests through the proxy, one by one or from a crowd that never stops asking.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::eventually::{eventually, when};

/// A visitor that waits longer goes away angry.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often each visitor asks.
const PERIOD: Duration = Duration::from_millis(20);
/// Two that keep their connection, two that open one for each request.
const VISITORS: usize = 4;
/// How many answers make sure that things go on.
const GOES_ON: usize = 10;
/// How many failures a test shows.
const SHOWN: usize = 5;

/// What a visitor sees.
#[derive(Debug, Clone)]
pub struct Page {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

/// One request for `path` at `host`, over a connection of its own.
pub async fn visit(proxy: SocketAddr, host: &str, path: &str) -> Page {
    let client = visitor(false, &Way::Http, host);
    let page = ask(&client, &format!("http://{proxy}{path}"), host).await;
    page.unwrap_or_else(|problem| panic!("{host}{path}: {problem}"))
}

/// How visitors come.
#[derive(Debug, Clone)]
enum Way {
    Http,
    /// By HTTPS to this address, where these certificates are trusted and no others.
    Https(SocketAddr, Vec<reqwest::Certificate>),
}

fn visitor(keeps_connection: bool, way: &Way, host: &str) -> reqwest::Client {
    let idle = if keeps_connection { 1 } else { 0 };
    let builder = match way {
        Way::Http => reqwest::Client::builder(),
        Way::Https(addr, certificates) => reqwest::Client::builder()
            .tls_certs_only(certificates.clone())
            .resolve(host, *addr),
    };
    builder
        .no_proxy()
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(idle)
        .timeout(TIMEOUT)
        .build()
        .expect("the client's settings are constant")
}

async fn ask(visitor: &reqwest::Client, url: &str, host: &str) -> Result<Page, String> {
    let request = visitor.get(url);
    let asked = async {
        let response = request.header(http::header::HOST, host).send().await?;
        Ok(Page {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await?,
        })
    };
    asked
        .await
        .map_err(|error: reqwest::Error| format!("{error:?}"))
}

/// What the crowd has seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// How many answers each visitor got.
    answers: [usize; VISITORS],
    /// The last page of each.
    newest: [String; VISITORS],
    /// How often each got another page than before.
    switches: [usize; VISITORS],
    failures: Vec<String>,
}

/// Visitors of one app's page.
pub struct Crowd {
    seen: Arc<Mutex<Seen>>,
    is_over: Arc<AtomicBool>,
    visitors: JoinSet<()>,
}

impl Crowd {
    /// Lets the visitors in; answers once each of them got a page.
    pub(crate) async fn gather(proxy: SocketAddr, host: &str) -> Self {
        Self::come(Way::Http, &format!("http://{proxy}/"), host).await
    }

    /// The same by HTTPS, where these certificates are trusted and no others.
    pub async fn gather_by_https(proxy: SocketAddr, host: &str, trusted: &[&Path]) -> Self {
        let read = |path: &&Path| {
            let text = std::fs::read(path).expect("a file");
            reqwest::Certificate::from_pem(&text).expect("a certificate")
        };
        let way = Way::Https(proxy, trusted.iter().map(read).collect());
        Self::come(way, &format!("https://{host}:{}/", proxy.port()), host).await
    }

    async fn come(way: Way, url: &str, host: &str) -> Self {
        let mut crowd = Self {
            seen: Arc::default(),
            is_over: Arc::default(),
            visitors: JoinSet::new(),
        };
        for number in 0..VISITORS {
            let (seen, is_over) = (Arc::clone(&crowd.seen), Arc::clone(&crowd.is_over));
            let (host, url, way) = (host.to_owned(), url.to_owned(), way.clone());
            crowd.visitors.spawn(async move {
                let client = visitor(number % 2 == 0, &way, &host);
                let began = Instant::now();
                let mut ticks = interval(PERIOD);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !is_over.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let result = ask(&client, &url, &host).await;
                    note(&seen, number, began, result);
                }
            });
        }
        crowd.goes_on().await;
        crowd
    }

    /// Waits until every visitor's newest page contains `words`.
    pub async fn sees(&self, words: &str) {
        eventually(&format!("every visitor sees {words:?}"), async || {
            let newest = self.seen.lock().expect("no visitor panics").newest.clone();
            let is_new = newest.iter().all(|page| page.contains(words));
            when(is_new, format!("{newest:?}"))
        })
        .await;
    }

    /// How often each visitor got another page than the one before.
    pub fn switches(&self) -> Vec<usize> {
        let seen = self.seen.lock().expect("no visitor panics");
        seen.switches.to_vec()
    }

    /// Waits until every visitor got some more answers.
    pub async fn goes_on(&self) {
        let before = self.seen.lock().expect("no visitor panics").answers;
        eventually("visitors get answers", async || {
            let seen = self.seen.lock().expect("no visitor panics");
            let mut counts = seen.answers.iter().zip(before);
            let goes_on = counts.all(|(after, before)| *after >= before + GOES_ON);
            when(goes_on, format!("{seen:?}"))
        })
        .await;
    }

    /// Lets the visitors out; fails the test if one of them went without an answer.
    pub async fn leaves_content(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.visitors.join_next().await {
            ended.expect("no visitor panics");
        }
        let seen = self.seen.lock().expect("no visitor panics");
        let count = seen.failures.len();
        let shown = &seen.failures[..count.min(SHOWN)];
        let answers = seen.answers.iter().sum::<usize>();
        assert!(
            count == 0,
            "{count} requests failed beside {answers} answers: {shown:#?}"
        );
    }
}

fn note(seen: &Mutex<Seen>, number: usize, began: Instant, result: Result<Page, String>) {
    let mut seen = seen.lock().expect("no visitor panics");
    match result {
        Ok(page) if page.status == StatusCode::OK => {
            if seen.answers[number] > 0 && seen.newest[number] != page.text {
                seen.switches[number] += 1;
            }
            seen.answers[number] += 1;
            seen.newest[number] = page.text;
        }
        other => {
            let after = began.elapsed().as_millis();
            let failure = format!("visitor {number} after {after} ms: {other:?}");
            seen.failures.push(failure);
        }
    }
}
