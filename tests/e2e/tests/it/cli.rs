//! The command line tool from login to down, as a user types it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tose_e2e::{Installation, Outcome, Source, run, run_with_input};

/// A folder in which a user works.
struct Desk<'a> {
    site: &'a Installation,
    folder: PathBuf,
}

impl<'a> Desk<'a> {
    fn new(site: &'a Installation) -> Self {
        let folder = site.path("desk");
        fs::create_dir_all(&folder).expect("a folder");
        Self { site, folder }
    }

    async fn tose(&self, words: &[&str]) -> Outcome {
        run(self.site.tose(&self.folder, words)).await
    }

    async fn log_in(&self, key: &str) -> Outcome {
        let url = &self.site.api().base_url;
        let words = ["login", "--api-url", url, "--api-key-stdin"];
        run_with_input(self.site.tose(&self.folder, &words), key).await
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("a file");
    }
}

#[tokio::test]
async fn the_walkthrough_works_from_login_to_down_and_up_again() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let repository = site.repository("hello").await;
    let main = "import app\nprint('hello from the app')\napp.serve()\n";
    repository.commit(&Source::app("one").main(main)).await;
    let desk = Desk::new(&site);
    desk.log_in(&site.api().key).await.ok();
    let who = desk.tose(&["whoami"]).await.ok();
    assert!(who.contains("owner of demo"), "{who}");

    let url = repository.url();
    let init = ["init", "--name", "hello", "--port", "8000", "--repo", &url];
    desk.tose(&init).await.ok();
    assert!(desk.folder.join("tose.json").is_file());
    let deploy = desk.tose(&["deploy"]).await;
    assert!(deploy.stderr.contains("COPY . ."), "{deploy}");
    let address = deploy.ok();
    let port = site.http_addr().port();
    assert_eq!(address, format!("http://demo-hello.localhost:{port}"));
    assert_eq!(site.visit("demo-hello.localhost", "/").await.text, "one");
    assert_eq!(desk.tose(&["open", "--print"]).await.ok(), address);

    let status = desk.tose(&["status", "--json"]).await.ok();
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["project"]["status"], "running", "{status}");
    assert_eq!(status["pods"]["ready"], 1, "{status}");
    let logs = desk.tose(&["logs"]).await.ok();
    assert!(logs.ends_with(" hello from the app"), "{logs}");
    let found = desk
        .tose(&["logs", "--search", "hello -goodbye"])
        .await
        .ok();
    assert_eq!(found, logs);
    let until = ["logs", "--since", "1d", "--until", "0s", "--level", "info"];
    assert_eq!(desk.tose(&until).await.ok(), logs);
    desk.tose(&["logs", "--download", "all.log.gz"]).await.ok();
    let file = fs::read(site.path("desk").join("all.log.gz")).expect("a file");
    assert!(file.starts_with(&[0x1f, 0x8b]) && file.len() > 40);
    let build = desk.tose(&["logs", "--build"]).await.ok();
    assert!(build.contains("COPY . ."), "{build}");

    desk.tose(&["down"]).await.ok();
    site.shows("demo-hello.localhost", 503).await;
    assert_eq!(desk.tose(&["up"]).await.ok(), address);
    assert_eq!(site.shows("demo-hello.localhost", 200).await.text, "one");
    desk.tose(&["down", "--delete", "--yes"]).await.ok();
    site.shows("demo-hello.localhost", 404).await;
    assert!(!desk.folder.join("tose.json").exists());
}

#[tokio::test]
async fn variables_go_to_the_server_and_come_back() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("hello", &Source::app("one")).await;
    let desk = Desk::new(&site);
    desk.log_in(&site.api().key).await.ok();
    desk.write("tose.json", r#"{"workspace": "demo", "project": "hello"}"#);
    desk.tose(&["env", "set", "A=1", "GREETING=xin chào"])
        .await
        .ok();
    desk.tose(&["env", "set", "--secret", "TOKEN=s3cret"])
        .await
        .ok();
    let list = desk.tose(&["env", "list"]).await.ok();
    assert!(
        list.contains("xin chào") && list.contains("TOKEN"),
        "{list}"
    );
    assert!(!list.contains("s3cret"), "{list}");

    desk.tose(&["env", "pull", "pulled.env"]).await.ok();
    let pulled = fs::read_to_string(desk.folder.join("pulled.env")).expect("a file");
    assert!(pulled.contains("s3cret"), "{pulled}");
    desk.write("pushed.env", "A=2\nB=\"two words\"\n");
    desk.tose(&["env", "push", "pushed.env"]).await.ok();
    let variables = project.get("/env").await;
    let value = |key: &str| {
        let rows = variables.as_array().expect("a list");
        let row = rows.iter().find(|row| row["key"] == key);
        row.map(|row| row["value"].clone())
    };
    assert_eq!(value("A"), Some("2".into()));
    assert_eq!(value("B"), Some("two words".into()));
    assert_eq!(value("TOKEN"), Some("********".into()));

    desk.tose(&["env", "push", "--replace", "pulled.env"])
        .await
        .ok();
    let again = desk.tose(&["env", "pull", "-"]).await;
    assert_eq!(again.stdout, pulled);
}

#[tokio::test]
async fn what_goes_wrong_has_an_exit_code_and_a_reason() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let broken = Source::app("one").main("raise SystemExit('out of luck')\n");
    site.project("hello", &broken).await;
    let desk = Desk::new(&site);
    desk.write("tose.json", r#"{"workspace": "demo", "project": "hello"}"#);
    let wrong = format!("tose_sk_{}", "0".repeat(40));
    let refused = desk.log_in(&wrong).await;
    assert_eq!(refused.code, Some(3), "{refused}");
    let stranger = desk.tose(&["status"]).await;
    assert_eq!(stranger.code, Some(3), "{stranger}");

    desk.log_in(&site.api().key).await.ok();
    let failed = desk.tose(&["deploy"]).await;
    assert_eq!(failed.code, Some(1), "{failed}");
    assert!(failed.stderr.contains("exited with code 1"), "{failed}");
    assert!(failed.stderr.contains("out of luck"), "{failed}");
    assert_eq!(failed.stdout, "", "{failed}");
    let nowhere = desk.tose(&["status", "--project", "nothing"]).await;
    assert_eq!(nowhere.code, Some(5), "{nowhere}");
}

#[tokio::test]
async fn a_job_runs_in_a_container_of_its_own_and_ends_with_its_own_code() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("hello", &Source::app("one")).await;
    let variable = serde_json::json!({"key": "COLOUR", "value": "blue"});
    project.post("/env", &variable).await;
    let id = project.deploy_live().await;
    let replica = project.has_one_replica(&id).await;
    let desk = Desk::new(&site);
    desk.write("tose.json", r#"{"workspace": "demo", "project": "hello"}"#);
    desk.log_in(&site.api().key).await.ok();

    let script = "echo $COLOUR; cat page; echo oops >&2; exit 7";
    let job = desk.tose(&["run", "--", "sh", "-c", script]).await;
    assert_eq!(job.code, Some(7), "{job}");
    assert_eq!(job.stdout, "blue\none\n", "{job}");
    assert!(job.stderr.contains("oops"), "{job}");

    let late = desk
        .tose(&["run", "--timeout", "1", "--", "sleep", "60"])
        .await;
    assert_eq!(late.code, Some(1), "{late}");
    assert!(late.stderr.contains("took longer than 1 s"), "{late}");

    let missing = desk.tose(&["run", "--", "no-such-program"]).await;
    assert_eq!(missing.code, Some(127), "{missing}");
    assert!(missing.stderr.contains("no-such-program"), "{missing}");
    let list = desk.tose(&["jobs"]).await.ok();
    assert_eq!(list.matches("failed").count(), 3, "{list}");
    assert_eq!(project.has_one_replica(&id).await, replica);
}
