//! What visitors with HTTPS notice of what happens behind: nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tose_e2e::{
    Crowd, Installation, Project, Source, eventually, free_addr, make_certificate_for, program,
    run, when,
};

struct Site {
    installation: Installation,
    https: SocketAddr,
}

async fn site() -> Option<Site> {
    let https = free_addr();
    let settings = format!("https_addr = \"{https}\"\n");
    let installation = Installation::start_with(&settings).await?;
    Some(Site {
        installation,
        https,
    })
}

/// A certificate with its key, as files.
struct Pair(PathBuf, PathBuf);

impl Site {
    async fn certificate(&self, host: &str, name: &str) -> Pair {
        let file = |end: &str| self.installation.path(&format!("{name}.{end}"));
        let pair = Pair(file("pem"), file("key"));
        make_certificate_for(host, &pair.0, &pair.1).await;
        pair
    }

    /// `tose` on a project; what it printed.
    async fn tose(&self, project: &Project, words: &[&str]) -> String {
        let folder = self.installation.path("");
        let mut command = self.installation.tose(&folder, words);
        command
            .env("TOSE_API_URL", &project.api.base_url)
            .env("TOSE_API_KEY", &project.api.key)
            .args(["--project", &project.slug]);
        run(command).await.ok()
    }

    async fn bring(&self, project: &Project, pair: &Pair) {
        let words = ["domains", "certificate", &project.host];
        let files = [
            "--certificate-file",
            pair.0.to_str().expect("a text"),
            "--private-key-file",
            pair.1.to_str().expect("a text"),
        ];
        self.tose(project, &[&words[..], &files].concat()).await;
    }

    /// What curl gets over HTTP/2, its status before it.
    async fn curl(&self, project: &Project, trusted: &Path, words: &[&str], path: &str) -> String {
        let mut command = program("curl");
        command
            .args([
                "--silent",
                "--http2",
                "--write-out",
                " %{http_version} %{http_code}",
                "--cacert",
            ])
            .arg(trusted)
            .args(["--connect-to", &format!("::{}", self.https)])
            .args(words)
            .arg(format!(
                "https://{}:{}{path}",
                project.host,
                self.https.port()
            ));
        run(command).await.ok()
    }
}

/// The connections of one run of h2load.
const CLIENTS: u32 = 2;

/// h2load, again and again until it is told to end.
struct H2load {
    is_over: Arc<AtomicBool>,
    running: JoinHandle<u32>,
}

impl H2load {
    fn start(https: SocketAddr, host: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, url) = (
            Arc::clone(&is_over),
            format!("https://{host}:{}/", https.port()),
        );
        #[expect(clippy::disallowed_methods, reason = "it is awaited at its end")]
        let running = tokio::spawn(async move {
            let mut runs = 0;
            while !over.load(Ordering::Relaxed) {
                let mut command = program("h2load");
                command
                    .args(["-n", "60", "-m", "4", "--rps", "60"])
                    .args(["-c", &CLIENTS.to_string()])
                    .args(["--connect-to", &https.to_string(), &url]);
                let said = run(command).await.ok();
                let count = |word: &str| number_before(&said, word);
                // What it was going to send on a connection that ended is not started.
                let started = count(" started,");
                assert!(started > 0, "{said}");
                // A request that it is about to send on a connection that ends in this moment stays unsent, and
                // h2load counts it as started and failed. There is one of them for each connection at most.
                let ended = said.contains("Process Request Failure");
                let unsent = if ended { CLIENTS } else { 0 };
                for word in [" done,", " succeeded,", " 2xx,"] {
                    assert!(started - count(word) <= unsent, "{word} {said}");
                }
                runs += 1;
            }
            runs
        });
        Self { is_over, running }
    }

    async fn ends_content(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let runs = self.running.await.expect("every request is answered");
        assert!(runs > 0);
    }
}

fn number_before(text: &str, word: &str) -> u32 {
    let (before, _) = text.split_once(word).expect("the word");
    let number = before.rsplit(' ').next().expect("a number");
    number.parse().expect("a number")
}

#[tokio::test]
async fn deploys_settings_certificates_a_crash_and_an_upgrade_disturb_no_visitor_with_https() {
    let Some(mut site) = site().await else {
        return;
    };
    let project = site.installation.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let first = site.certificate(&project.host, "first").await;
    let second = site.certificate(&project.host, "second").await;
    site.bring(&project, &first).await;
    let trusted = [first.0.as_path(), second.0.as_path()];
    let crowd = Crowd::gather_by_https(site.https, &project.host, &trusted).await;
    let others = H2load::start(site.https, &project.host);

    project.deploy_commit(&Source::app("two")).await;
    crowd.sees("two").await;
    site.bring(&project, &second).await;
    let seen = eventually("the second certificate is served", async || {
        let page = site.curl(&project, &second.0, &[], "/").await;
        when(page == "two 2 200", page.clone()).map(|()| page)
    });
    seen.await;
    let words = [
        "domains",
        "settings",
        &project.host,
        "--sticky",
        "on",
        "--hsts",
        "30",
    ];
    site.tose(&project, &words).await;
    crowd.goes_on().await;
    let proxies = site.installation.proxies();
    site.installation.kill_9();
    crowd.goes_on().await;
    site.installation.restart().await;
    site.installation.upgrade();
    site.installation.restart().await;
    eventually("only the new proxy is left", async || {
        let found = site.installation.proxies();
        when(found.len() == 1 && found != proxies, format!("{found:?}"))
    })
    .await;
    crowd.goes_on().await;
    others.ends_content().await;
    crowd.leaves_content().await;
}

#[tokio::test]
async fn what_a_domains_owner_sets_is_what_visitors_meet() {
    let Some(site) = site().await else {
        return;
    };
    let shop = site
        .installation
        .project("shop", &Source::app("shop"))
        .await;
    let api = site.installation.project("api", &Source::app("api")).await;
    shop.deploy_live().await;
    api.deploy_live().await;
    let pair = site.certificate(&shop.host, "shop").await;
    site.bring(&shop, &pair).await;
    let words = [
        "domains",
        "settings",
        &shop.host,
        "--path",
        "/v1=api",
        "--access-log",
        "on",
        "--max-body",
        "1",
        "--hsts",
        "30",
    ];
    site.tose(&shop, &words).await;
    let curl = async |words: &[&str], path: &str| site.curl(&shop, &pair.0, words, path).await;
    eventually("a path leads to the other project", async || {
        let page = curl(&[], "/v1/items").await;
        when(page == "api 2 200", page)
    })
    .await;
    assert_eq!(curl(&[], "/other?a=b").await, "shop 2 200");
    let head = curl(&["--head"], "/").await;
    assert!(
        head.contains("strict-transport-security: max-age=2592000"),
        "{head}"
    );
    let large = site.installation.path("large");
    std::fs::write(&large, vec![b'x'; 2 << 20]).expect("a file");
    let upload = format!("@{}", large.display());
    let refused = curl(&["--http1.1", "--data-binary", &upload], "/").await;
    assert!(refused.ends_with(" 413"), "{refused}");
    eventually("the request is in the log", async || {
        let log = shop.log_so_far().await;
        let is_there = |line: &tose_e2e::Line| line.text.contains("path=\"/other?a=b\" status=200");
        when(log.lines.iter().any(is_there), format!("{log:?}"))
    })
    .await;

    let ask: Value = json!({"users": [{"name": "ann", "password": "correct horse"}]});
    let domains = site.installation.api().get("/projects/shop/domains").await;
    let id = domains[0]["id"].as_str().expect("an id");
    let path = format!("/projects/shop/domains/{id}/settings");
    site.installation.api().put(&path, &ask).await;
    eventually("a password is asked for", async || {
        let page = curl(&[], "/").await;
        when(page.ends_with(" 401"), page)
    })
    .await;
    assert_eq!(
        curl(&["--user", "ann:correct horse"], "/").await,
        "shop 2 200"
    );
}
