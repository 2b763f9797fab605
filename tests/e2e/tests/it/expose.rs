//! Databases that are reached from the outside, by their own clients on this machine.

use serde_json::{Value, json};
use tose_e2e::{Api, Installation, Outcome, eventually, free_addr, program, run, when};

/// Runs a client in an image, on this machine's own network.
async fn client(image: &str, words: &[&str]) -> Outcome {
    let mut command = program("docker");
    command.args(["run", "--rm", "--network", "host", image]);
    command.args(words);
    run(command).await
}

/// Asks PostgreSQL one question, and the client whether its end of the connection is encrypted.
async fn ask(url: &str, tls: &str) -> Outcome {
    psql(url, tls, &["-Atc", "select 6 * 7", "-c", "\\conninfo"]).await
}

async fn psql(url: &str, tls: &str, questions: &[&str]) -> Outcome {
    let url = format!("{url}?sslmode={tls}&connect_timeout=10");
    client("postgres:17", &[&["psql", &url], questions].concat()).await
}

/// Asks the server when it was started.
async fn ask_for_start(url: &str) -> Outcome {
    let questions = ["-Atc", "select pg_postmaster_start_time()"];
    psql(url, "require", &questions).await
}

async fn is_answered(url: &str, tls: &str) {
    eventually("the database answers", async || {
        let answer = ask(url, tls).await;
        when(answer.code == Some(0), format!("{answer:?}"))?;
        let has_tls = answer.stdout.contains("SSL");
        when(
            answer.stdout.starts_with("42\n") && has_tls == (tls == "require"),
            format!("{answer:?}"),
        )
    })
    .await;
}

async fn is_refused(url: &str) {
    eventually("the port refuses", async || {
        let answer = ask(url, "disable").await;
        when(answer.code == Some(2), format!("{answer:?}"))
    })
    .await;
}

async fn expose(api: &Api, body: Value) -> Value {
    api.post("/databases/db/expose", &body).await["expose"].clone()
}

async fn running(api: &Api, slug: &str) -> Value {
    eventually(&format!("{slug} runs"), async || {
        let record = api.get(&format!("/databases/{slug}")).await;
        when(record["status"] == "running", &record)?;
        Ok(record)
    })
    .await
}

#[tokio::test]
async fn a_database_is_open_to_whom_it_is_to_be_and_stays_so_without_the_control_plane() {
    let addr = free_addr();
    let port = addr.port();
    let settings = format!("[databases]\nexpose_ports = \"{port}-{port}\"\n");
    let Some(mut site) = Installation::start_with(&settings).await else {
        return;
    };
    let api = site.api().clone();
    api.post("/databases", &json!({"name": "db", "type": "postgresql"}))
        .await;
    let record = running(&api, "db").await;
    // The way in from the workspace's network, through the port.
    let inside = record["connection"]["url"].as_str().expect("an address");
    let url = inside.replace("@db:5432/", &format!("@{addr}/"));
    assert_ne!(url, inside);
    is_refused(&url).await;

    let view = expose(&api, json!({"enabled": true})).await;
    assert_eq!(view["port"], port, "{view}");
    let host = view["host"].as_str().expect("a host");
    let outside = view["url"].as_str().expect("an address");
    assert_eq!(outside.replace(host, "127.0.0.1"), url);
    is_answered(&url, "require").await;
    is_answered(&url, "disable").await;

    // It follows its server to another address; for a while the one before still answers.
    let before = ask_for_start(&url).await;
    assert_eq!(before.code, Some(0), "{before:?}");
    api.post("/databases/db/restart", &json!({})).await;
    eventually("another server answers", async || {
        let answer = ask_for_start(&url).await;
        let is_another = answer.code == Some(0) && answer.stdout != before.stdout;
        when(is_another, format!("{answer:?}"))
    })
    .await;

    site.kill_9();
    is_answered(&url, "require").await;
    site.restart().await;
    is_answered(&url, "require").await;
    // Another build takes the port over.
    site.upgrade();
    site.restart().await;
    is_answered(&url, "require").await;

    expose(&api, json!({"enabled": true, "allow": ["203.0.113.0/24"]})).await;
    is_refused(&url).await;
    let here = json!({"enabled": true, "allow": ["203.0.113.0/24", "127.0.0.1"]});
    expose(&api, here).await;
    is_answered(&url, "disable").await;
    assert_eq!(expose(&api, json!({"enabled": false})).await, Value::Null);
    is_refused(&url).await;
}

/// Asks the server that this port leads to who its client is, by TLS.
async fn ask_by_tls(kind: &str, port: u16, connection: &Value) -> Outcome {
    let text = |key: &str| connection[key].as_str().expect("a text").to_owned();
    let (username, password) = (text("username"), text("password"));
    let at = format!(
        "{username}:{password}@127.0.0.1:{port}/{}",
        text("database")
    );
    match kind {
        "redis" => {
            let url = format!("rediss://{at}");
            let words = ["redis-cli", "-u", &url, "--insecure", "acl", "whoami"];
            client("redis:8", &words).await
        }
        // It negotiates TLS with its server by itself.
        "mysql" => {
            let password = format!("-p{password}");
            let port = port.to_string();
            let words = [
                "mysql",
                "-h127.0.0.1",
                "-P",
                &port,
                "-u",
                &username,
                &password,
            ];
            let question = ["-Nse", "select current_user()"];
            client("mysql:8.4", &[&words[..], &question].concat()).await
        }
        "mongo" => {
            let url = format!(
                "mongodb://{at}?authSource={}&tls=true&tlsAllowInvalidCertificates=true",
                text("database")
            );
            let question =
                "db.runCommand({connectionStatus: 1}).authInfo.authenticatedUsers[0].user";
            client("mongo:8", &["mongosh", &url, "--quiet", "--eval", question]).await
        }
        other => panic!("{other} has a test of its own"),
    }
}

#[tokio::test]
async fn clients_of_other_databases_come_by_tls_as_well_and_one_port_serves_one_after_another() {
    let port = free_addr().port();
    let settings = format!("[databases]\nexpose_ports = \"{port}-{port}\"\n");
    let Some(site) = Installation::start_with(&settings).await else {
        return;
    };
    let api = site.api();
    let kinds = ["redis", "mysql", "mongo"];
    for kind in kinds {
        let body = json!({"name": format!("my {kind}"), "type": kind});
        api.post("/databases", &body).await;
    }
    for kind in kinds {
        let slug = format!("my-{kind}");
        let record = running(api, &slug).await;
        let path = format!("/databases/{slug}/expose");
        api.post(&path, &json!({"enabled": true})).await;
        let connection = &record["connection"];
        eventually(&format!("{kind} answers"), async || {
            let answer = ask_by_tls(kind, port, connection).await;
            let username = connection["username"].as_str().expect("a name");
            when(answer.stdout.contains(username), &answer)
        })
        .await;
        api.post(&path, &json!({"enabled": false})).await;
    }
}
