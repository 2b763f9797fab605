//! Certificates from a real authority: ordered, renewed, and kept when none can be had.

use serde_json::{Value, json};
use tose_e2e::{Addrs, Api, Installation, Pebble, eventually, free_addr, program, run, when};

/// So short that it is renewed while the test looks on.
const VALIDITY_SECONDS: u32 = 14;

struct Site {
    installation: Installation,
    pebble: Pebble,
    folder: tempfile::TempDir,
}

async fn site(validity_seconds: u32) -> Option<Site> {
    site_with(validity_seconds, |_, _| String::new()).await
}

/// The same with further settings of `[acme]`.
async fn site_with(
    validity_seconds: u32,
    more: impl FnOnce(Addrs, &std::path::Path) -> String,
) -> Option<Site> {
    let folder = tempfile::tempdir().expect("a folder");
    let addrs = Addrs {
        acme: free_addr(),
        management: free_addr(),
        dns: free_addr(),
        dns_management: free_addr(),
        http: free_addr(),
        https: free_addr(),
    };
    let settings = addrs.settings(folder.path()) + &more(addrs, folder.path());
    let pebble = Pebble::start(folder.path(), addrs, validity_seconds).await;
    let installation = Installation::start_at(&settings, addrs.http).await?;
    Some(Site {
        installation,
        pebble,
        folder,
    })
}

impl Site {
    fn api(&self) -> &Api {
        self.installation.api()
    }

    /// Brings a name that is proved by a text record.
    async fn add_domain(&self, name: &str) -> Value {
        let added = self
            .api()
            .post("/projects/web/domains", &json!({"domain": name}))
            .await;
        let records = added["dns_records"].as_array().expect("records");
        let proof = records
            .iter()
            .find(|one| one["type"] == "TXT")
            .expect("one");
        let text = |key: &str| proof[key].as_str().expect("a text").to_owned();
        self.pebble.set_txt(&text("name"), &text("value")).await;
        added
    }

    /// The version and the status that curl gets, the certificate checked.
    async fn curl(&self, host: &str, version: &str) -> String {
        let mut command = program("curl");
        command
            .args(["--silent", "--output", "/dev/null", version, "--cacert"])
            .arg(self.pebble.root_file())
            .args(["--connect-to", &format!("::{}", self.pebble.https_addr())])
            .args(["--write-out", "%{http_version} %{http_code}"])
            .arg(format!("https://{host}/"));
        run(command).await.ok()
    }

    /// Asks for the domain until `is_so`.
    async fn until(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            let path = format!("/projects/web/domains/{id}/verify");
            let domain = self.api().post(&path, &json!({})).await;
            if is_so(&domain) {
                Ok(domain)
            } else {
                Err(domain.to_string())
            }
        })
        .await
    }
}

#[tokio::test]
async fn names_get_certificates_that_are_renewed_and_stay_when_the_authority_is_gone() {
    let Some(mut site) = site(VALIDITY_SECONDS).await else {
        return;
    };
    site.api().post("/projects", &json!({"name": "web"})).await;
    let host = "shop.example.test";
    let added = site.add_domain(host).await;
    let id = added["id"].as_str().expect("an id").to_owned();
    assert_eq!(added["https"]["status"], "pending", "{added}");
    let active = site
        .until(&id, "it has a certificate", |domain| {
            domain["https"]["status"] == "active"
        })
        .await;
    assert_eq!(active["https"]["source"], "acme", "{active}");

    // Nothing was deployed, so the page is the proxy's own.
    let client = site.pebble.client(host).await;
    let url = format!("https://{host}/");
    let page = client.get(&url).send().await.expect("a page over HTTPS");
    assert_eq!(page.status().as_u16(), 503);
    assert_eq!(site.curl(host, "--http2").await, "2 503");
    assert_eq!(site.curl(host, "--http1.1").await, "1.1 503");
    let plain = eventually("visitors without HTTPS are sent there", async || {
        let page = site.installation.visit(host, "/a?b").await;
        when(page.status.as_u16() == 308, format!("{page:?}")).map(|()| page)
    })
    .await;
    let location = plain.headers["location"]
        .to_str()
        .expect("a text")
        .to_owned();
    assert!(
        location.starts_with("https://shop.example.test:"),
        "{location}"
    );
    assert!(location.ends_with("/a?b"), "{location}");

    // The name that the platform gave has one, too.
    let project = site.api().get("/projects/web").await;
    let given = project["url"].as_str().expect("a URL").to_owned();
    assert!(given.starts_with("https://demo-web.paas.test"), "{given}");

    let renewed = site
        .until(&id, "it is renewed", |domain| {
            domain["https"]["expires_at"] != active["https"]["expires_at"]
        })
        .await;
    assert_eq!(renewed["https"]["status"], "active", "{renewed}");
    site.pebble.kill();
    let kept = site
        .until(&id, "a renewal fails", |domain| {
            domain["https"]["reason"].is_string()
        })
        .await;
    let reason = kept["https"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("could not be reached"), "{reason}");
    assert!(kept["https"]["expires_at"].is_string(), "{kept}");
    client
        .get(&url)
        .send()
        .await
        .expect("the old one is still served");
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_says_so_and_gets_its_certificate_once_it_leads_here() {
    let Some(site) = site(3600).await else {
        return;
    };
    site.api().post("/projects", &json!({"name": "web"})).await;
    let host = "lost.example.test";
    site.pebble.set_a(host, "127.0.0.9").await;
    let added = site.add_domain(host).await;
    let id = added["id"].as_str().expect("an id").to_owned();
    let failed = site
        .until(&id, "no certificate", |domain| {
            domain["https"]["status"] == "failed"
        })
        .await;
    let reason = failed["https"]["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("could not see that the name leads here"),
        "{reason}"
    );
    assert!(reason.contains("127.0.0.9"), "{reason}");
    site.pebble.set_a(host, "127.0.0.1").await;
    site.until(&id, "a certificate", |domain| {
        domain["https"]["status"] == "active"
    })
    .await;
    // The second order proves the name by TLS-ALPN-01, and is the last one.
    let output = site.installation.output();
    let failures = output
        .lines()
        .filter(|line| line.contains("no certificate domain=lost"));
    assert_eq!(failures.count(), 1, "{output}");
    let client = site.pebble.client(host).await;
    client
        .get(format!("https://{host}/"))
        .send()
        .await
        .expect("a page");

    // A name that nobody proved is never ordered.
    let body = json!({"domain": "stranger.example.test"});
    let stranger = site.api().post("/projects/web/domains", &body).await;
    let stranger_id = stranger["id"].as_str().expect("an id");
    let path = format!("/projects/web/domains/{stranger_id}/verify");
    let still = site.api().post(&path, &json!({})).await;
    assert_eq!(still["https"]["status"], "pending", "{still}");
    let client = site.pebble.client("stranger.example.test").await;
    let refused = client.get("https://stranger.example.test/").send().await;
    refused.expect_err("there is no certificate for it");
}

#[tokio::test]
async fn with_a_program_for_dns_all_names_of_the_platform_share_one_certificate() {
    let hook = |addrs: Addrs, folder: &std::path::Path| addrs.dns_hook(folder);
    let Some(mut site) = site_with(3600, hook).await else {
        return;
    };
    site.api().post("/projects", &json!({"name": "web"})).await;
    let url = eventually("the project has HTTPS", async || {
        let project = site.api().get("/projects/web").await;
        let url = project["url"].as_str().expect("a URL").to_owned();
        when(url.starts_with("https://demo-web.paas.test"), url.clone()).map(|()| url)
    })
    .await;
    // The authority is not needed for the next one, and a restart forgets nothing.
    site.pebble.client("demo-web.paas.test").await;
    site.pebble.kill();
    site.installation.kill_9();
    site.installation.restart().await;
    assert_eq!(site.api().get("/projects/web").await["url"], url.as_str());
    site.api().post("/projects", &json!({"name": "next"})).await;
    let domains = site.api().get("/projects/next/domains").await;
    assert_eq!(domains[0]["https"]["status"], "active", "{domains}");
    for host in ["demo-web.paas.test", "demo-next.paas.test"] {
        assert_eq!(site.curl(host, "--http2").await, "2 503");
        let page = eventually("visitors without HTTPS are sent there", async || {
            let page = site.installation.visit(host, "/").await;
            when(page.status.as_u16() == 308, format!("{page:?}"))
        });
        page.await;
    }
    let calls = std::fs::read_to_string(site.folder.path().join("calls")).expect("calls");
    let words: Vec<&str> = calls
        .lines()
        .map(|line| &line[..line.rfind(' ').expect("a value")])
        .collect();
    let expected = ["present", "cleanup"].map(|word| format!("{word} _acme-challenge.paas.test"));
    assert_eq!(words, expected);
}
