//! Managed databases with their real servers, used by apps with the databases' own client libraries.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tose_e2e::{Api, Installation, Project, S3, Source, containers, eventually, when};

const KINDS: [&str; 4] = ["postgresql", "mysql", "redis", "mongo"];

async fn site() -> Option<Installation> {
    Installation::start_with("[build]\nshared_cache = true\n").await
}

async fn create(api: &Api, slug: &str, kind: &str) -> Value {
    api.post("/databases", &json!({"name": slug, "type": kind}))
        .await
}

async fn database_is(api: &Api, slug: &str, status: &str) -> Value {
    eventually(&format!("{slug} is {status}"), async || {
        let record = api.get(&format!("/databases/{slug}")).await;
        assert!(
            record["status"] != "failed" || status == "failed",
            "{record}"
        );
        when(record["status"] == status, &record)?;
        Ok(record)
    })
    .await
}

async fn act(api: &Api, path: &str) -> Value {
    api.post(&format!("/databases/{path}"), &json!({})).await
}

/// An app that uses a database of each kind by its slug.
async fn clients(site: &Installation, api: &Api, slug: &str, hosts: &str) -> Project {
    let source = Source::recipe("database-clients");
    let settings = json!({"port": 3000});
    let project = site.project_of(api, slug, &source, settings).await;
    for kind in KINDS {
        let key = format!("{}_URL", kind.to_uppercase());
        let value = hosts.replace("KIND", kind);
        project
            .post("/env", &json!({"key": key, "value": value}))
            .await;
    }
    project
}

/// What the app says.
async fn ask(site: &Installation, app: &Project, path: &str) -> Result<String, String> {
    let page = site.visit(&app.host, path).await;
    match page.status.is_success() {
        true => Ok(page.text),
        false => Err(page.text),
    }
}

async fn sum(site: &Installation, app: &Project, kind: &str) -> String {
    let path = format!("/{kind}/sum");
    eventually(&format!("{kind} answers"), async || {
        ask(site, app, &path).await
    })
    .await
}

async fn back_up(api: &Api, slug: &str) -> String {
    let made = act(api, &format!("{slug}/backups")).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    eventually("the backup is made", async || {
        let backup = api.get(&format!("/databases/{slug}/backups/{id}")).await;
        assert_ne!(backup["status"], "failed", "{backup}");
        when(backup["status"] == "succeeded", backup)
    })
    .await;
    id
}

async fn restored(api: &Api, slug: &str, backup: &str) {
    eventually("the backup is restored", async || {
        let record = api.get(&format!("/databases/{slug}")).await;
        let restore = &record["restore"];
        assert_ne!(restore["status"], "failed", "{restore}");
        when(
            restore["status"] == "succeeded" && restore["backup_id"] == backup,
            restore,
        )
    })
    .await;
}

/// What PostgreSQL has from the beginning, and that the account may add more.
async fn has_extensions(api: &Api) {
    let sql = "CREATE EXTENSION IF NOT EXISTS hstore; SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension";
    let record = api.get("/databases/my-postgresql").await;
    let url = record["connection"]["url"].as_str().expect("an address");
    let command = json!({"command": ["psql", url, "-qtAc", sql]});
    let ran = api.post("/databases/my-postgresql/exec", &command).await;
    assert_eq!(ran["stdout"], "hstore pgcrypto plpgsql vector\n", "{ran}");
}

/// Waits until a backup was restored into an instance of its own.
async fn proven(api: &Api, slug: &str, backup: &str) {
    eventually("the backup is proven", async || {
        let path = format!("/databases/{slug}/backups/{backup}");
        let record = api.get(&path).await;
        assert!(record["proof_error"].is_null(), "{record}");
        when(record["proven_at"].is_string(), record)
    })
    .await;
}

#[tokio::test]
async fn every_kind_comes_up_serves_apps_and_survives_restarts_and_losses() {
    let Some(mut site) = site().await else {
        return;
    };
    let api = site.api().clone();
    for kind in KINDS {
        create(&api, &format!("my-{kind}"), kind).await;
    }
    let app = clients(&site, &api, "web", "${{ my-KIND.URL }}").await;
    for kind in KINDS {
        database_is(&api, &format!("my-{kind}"), "running").await;
    }
    has_extensions(&api).await;
    app.deploy_live().await;
    let mut sums = Vec::new();
    for kind in KINDS {
        let done = ask(&site, &app, &format!("/{kind}/write")).await;
        assert_eq!(done.as_deref(), Ok("done"), "{kind}");
        let written = sum(&site, &app, kind).await;
        assert!(written.starts_with("500 "), "{kind}: {written}");
        sums.push(written);
    }
    // The server of the platform may be gone meanwhile.
    site.kill_9();
    for (kind, written) in KINDS.iter().zip(&sums) {
        assert_eq!(&sum(&site, &app, kind).await, written, "{kind}");
    }
    site.restart().await;
    let mut backups = Vec::new();
    for (kind, written) in KINDS.iter().zip(&sums) {
        let slug = format!("my-{kind}");
        act(&api, &format!("{slug}/restart")).await;
        database_is(&api, &slug, "running").await;
        assert_eq!(
            &sum(&site, &app, kind).await,
            written,
            "{kind} was restarted"
        );
        let backup = back_up(&api, &slug).await;
        let emptied = ask(&site, &app, &format!("/{kind}/empty")).await;
        assert_eq!(emptied.as_deref(), Ok("done"), "{kind}");
        assert_ne!(
            ask(&site, &app, &format!("/{kind}/sum")).await.as_ref(),
            Ok(written)
        );
        act(&api, &format!("{slug}/backups/{backup}/restore")).await;
        restored(&api, &slug, &backup).await;
        assert_eq!(
            &sum(&site, &app, kind).await,
            written,
            "{kind} was restored"
        );
        act(&api, &format!("{slug}/backups/{backup}/prove")).await;
        backups.push(backup);
    }
    for (kind, backup) in KINDS.iter().zip(&backups) {
        proven(&api, &format!("my-{kind}"), backup).await;
    }
    let list = api.get("/databases").await;
    assert_eq!(list.as_array().map(Vec::len), Some(KINDS.len()));
    another_password(&site, &api, &app, &sums).await;
}

/// Each app gets a new password by being deployed again, and is told so.
async fn another_password(site: &Installation, api: &Api, app: &Project, sums: &[String]) {
    assert_eq!(app.get("").await["needs_redeploy"], false);
    for kind in KINDS {
        let reset = act(api, &format!("my-{kind}/reset-password")).await;
        assert_eq!(reset["connection"]["is_pending"], false, "{reset}");
        let refused = ask(site, app, &format!("/{kind}/sum")).await;
        assert!(
            refused.is_err(),
            "{kind} took the old password: {refused:?}"
        );
    }
    assert_eq!(app.get("").await["needs_redeploy"], true);
    let again = app.post("/redeploy", &json!({})).await;
    app.settled(again["id"].as_str().expect("an id")).await;
    assert_eq!(app.get("").await["needs_redeploy"], false);
    for (kind, written) in KINDS.iter().zip(sums) {
        assert_eq!(&sum(site, app, kind).await, written, "{kind}");
    }
}

#[tokio::test]
async fn a_backup_goes_into_another_database_and_no_other_workspace_gets_in() {
    let Some(mut site) = site().await else {
        return;
    };
    let api = site.api().clone();
    create(&api, "one", "postgresql").await;
    create(&api, "two", "postgresql").await;
    let app = clients(&site, &api, "web", "${{ one.URL }}").await;
    let url = database_is(&api, "one", "running").await["connection"]["url"].clone();
    database_is(&api, "two", "running").await;
    app.deploy_live().await;
    let done = ask(&site, &app, "/postgresql/write").await;
    assert_eq!(done.as_deref(), Ok("done"));
    let written = sum(&site, &app, "postgresql").await;
    let backup = back_up(&api, "one").await;
    let into = json!({"into": "two"});
    api.post(&format!("/databases/one/backups/{backup}/restore"), &into)
        .await;
    restored(&api, "two", &backup).await;
    for kind in KINDS {
        let key = format!("{}_URL", kind.to_uppercase());
        let value = json!({"value": "${{ two.URL }}"});
        api.put(&app.path(&format!("/env/{key}")), &value).await;
    }
    let again = app.post("/redeploy", &json!({})).await;
    app.settled(again["id"].as_str().expect("an id")).await;
    assert_eq!(sum(&site, &app, "postgresql").await, written);

    // With the password, and even so. By name and by address.
    let stranger = site.bootstrap("other").await;
    let ip = address_of(&api, "one").await;
    let url = url
        .as_str()
        .expect("an address")
        .replace("@one:", &format!("@{ip}:"));
    let spy = clients(&site, &stranger, "spy", &url).await;
    spy.deploy_live().await;
    let reached =
        tokio::time::timeout(Duration::from_secs(5), ask(&site, &spy, "/postgresql/sum")).await;
    assert!(!matches!(reached, Ok(Ok(_))), "{reached:?}");
    let refused = stranger
        .send(Method::GET, "/api/workspaces/demo/databases/one", None)
        .await;
    assert_eq!(refused.status, 404);
}

/// The address of a database on its workspace's network.
async fn address_of(api: &Api, slug: &str) -> String {
    let id = api.get(&format!("/databases/{slug}")).await["id"].clone();
    let label = format!("label=tose.project={}", id.as_str().expect("an id"));
    let container = tose_e2e::docker(&["ps", "-q", "--filter", &label]).await;
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = tose_e2e::docker(&["inspect", "-f", format, container.trim()]).await;
    address.trim().to_owned()
}

/// Runs a command of Redis's own client beside the server.
async fn redis(api: &Api, password: &str, words: &[&str]) -> String {
    let client = ["redis-cli", "--no-auth-warning", "-a", password];
    let command: Vec<_> = client.iter().chain(words).collect();
    let ran = api
        .post("/databases/cache/exec", &json!({"command": command}))
        .await;
    assert_eq!(ran["exit_code"], 0, "{ran}");
    ran["stdout"].as_str().expect("a text").trim().to_owned()
}

#[tokio::test]
async fn backups_are_kept_in_a_bucket_encrypted_and_go_with_their_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut s3 = S3::start(folder.path()).await;
    let Some(mut site) = Installation::start_with(&s3.settings()).await else {
        return;
    };
    let api = site.api().clone();
    create(&api, "cache", "redis").await;
    let record = database_is(&api, "cache", "running").await;
    let password = record["connection"]["password"]
        .as_str()
        .expect("a password");
    redis(&api, password, &["SET", "word", "plaintext-in-the-dump"]).await;
    let backup = back_up(&api, "cache").await;
    let objects = s3.objects().await;
    assert_eq!(objects.len(), 1, "{objects:?}");
    let (name, bytes) = &objects[0];
    assert!(name.starts_with("tose/backups/"), "{name}");
    assert!(name.ends_with(&format!("{backup}.bak")), "{name}");
    let shows = |window: &[u8]| window == b"plaintext-in-the-dump";
    assert!(!bytes.windows(21).any(shows), "it is encrypted");
    let id = record["id"].as_str().expect("an id");
    let copy = site.data_dir().join(format!("backups/{id}/{backup}.bak"));
    assert!(!copy.exists(), "no copy stays");

    redis(&api, password, &["FLUSHALL"]).await;
    site.kill_9();
    site.restart().await;
    act(&api, &format!("cache/backups/{backup}/restore")).await;
    restored(&api, "cache", &backup).await;
    let word = redis(&api, password, &["GET", "word"]).await;
    assert_eq!(word, "plaintext-in-the-dump");

    api.delete("/databases/cache").await;
    eventually("nothing is left in the bucket", async || {
        let left = s3.objects().await;
        when(left.is_empty(), format!("{left:?}"))
    })
    .await;
    // A service that is away fails a backup, and nothing else.
    create(&api, "other", "redis").await;
    database_is(&api, "other", "running").await;
    s3.stop();
    let made = act(&api, "other/backups").await;
    let path = format!(
        "/databases/other/backups/{}",
        made["id"].as_str().expect("an id")
    );
    let failed = eventually("the backup has failed", async || {
        let record = api.get(&path).await;
        when(record["status"] == "failed", &record)?;
        Ok(record)
    })
    .await;
    assert!(
        failed["error"]
            .as_str()
            .expect("a reason")
            .contains("moved"),
        "{failed}"
    );
    assert_eq!(api.get("/databases/other").await["status"], "running");
}

#[tokio::test]
async fn a_database_comes_up_though_the_server_is_killed_on_the_way() {
    let Some(mut site) = site().await else {
        return;
    };
    let api = site.api().clone();
    for (slug, kind) in [("one", "postgresql"), ("two", "mysql")] {
        // At once: its record is all there is.
        create(&api, slug, kind).await;
        site.kill_9();
        site.restart().await;
        // While its server sets its files up.
        let id = api.get(&format!("/databases/{slug}")).await["id"].clone();
        let label = format!("tose.project={}", id.as_str().expect("an id"));
        eventually("its server runs", async || {
            let found = containers(&label).await;
            when(found.iter().any(|one| one.is_running), format!("{found:?}"))
        })
        .await;
        site.kill_9();
        site.restart().await;
        database_is(&api, slug, "running").await;
        let volumes =
            tose_e2e::docker(&["volume", "ls", "-q", "--filter", &format!("label={label}")]).await;
        assert_eq!(volumes.lines().count(), 1, "{volumes}");
    }
}
