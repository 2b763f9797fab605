//! What a project can have besides an image, on the real engine.

use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};
use tose_e2e::{Installation, Source, docker, eventually, program, run, when};

/// An app that keeps what it is told in a file of `/data` and answers with it.
const KEEPER: &str = "import app, os, sys\n\
    path = '/data/kept'\n\
    app.PAGE = open(path).read() if os.path.exists(path) else 'nothing kept'\n\
    app.serve()\n";

#[tokio::test]
async fn a_volume_keeps_its_data_over_deployments_and_goes_with_the_project() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let settings = json!({"volumes": [{"name": "data", "path": "/data"}]});
    let source = Source::app("one").main(KEEPER);
    let project = site.project_of(site.api(), "web", &source, settings).await;
    project.deploy_live().await;
    assert_eq!(site.shows(&project.host, 200).await.text, "nothing kept");
    let write = json!({"command": ["sh", "-c", "printf precious > /data/kept"]});
    let wrote = project.post("/exec", &write).await;
    assert_eq!(wrote["exit_code"], 0, "{wrote}");
    project.deploy_commit(&source.file("page", "two")).await;
    eventually("the next version finds what was kept", async || {
        let page = site.visit(&project.host, "/").await;
        when(page.text == "precious", page.text)
    })
    .await;
    let volumes =
        async || docker(&["volume", "ls", "--quiet", "--filter", "label=tose.project"]).await;
    let own = |list: String| {
        let id = project.id.replace('-', "");
        list.lines().any(|name| name.contains(&id))
    };
    assert!(own(volumes().await), "the volume is the project's");
    project.delete().await;
    eventually("the volume went with the project", async || {
        let list = volumes().await;
        when(!own(list.clone()), list)
    })
    .await;
}

#[tokio::test]
async fn a_start_command_runs_in_place_of_the_images_own() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let code = "import app; app.PAGE = 'by command'; app.serve()";
    let settings = json!({"start_command": format!("python3 -u -c \"{code}\"")});
    let project = site
        .project_of(site.api(), "web", &Source::app("by image"), settings)
        .await;
    project.deploy_live().await;
    assert_eq!(site.shows(&project.host, 200).await.text, "by command");
    let change = json!({"start_command": null});
    site.api().put(&project.path(""), &change).await;
    project.post("/redeploy", &json!({})).await;
    eventually("the image's own command runs again", async || {
        let page = site.visit(&project.host, "/").await;
        when(page.text == "by image", page.text)
    })
    .await;
}

#[tokio::test]
async fn a_command_runs_inside_with_the_apps_limits_and_tells_how_it_ended() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let call = async |body: Value| {
        let path = project.path("/exec");
        project.api.call(Method::POST, &path, Some(&body)).await
    };
    let early = call(json!({"command": ["true"]})).await;
    assert_eq!(early.body["code"], "not_running", "{early:?}");
    project.deploy_live().await;
    let run = async |command: &[&str]| call(json!({"command": command})).await.data();
    let said = run(&["sh", "-c", "echo out; echo err >&2; exit 3"]).await;
    assert_eq!(said["stdout"], "out\n");
    assert_eq!(said["stderr"], "err\n");
    assert_eq!(said["exit_code"], 3);
    let quoted = run(&["echo", "$HOME; id"]).await;
    assert_eq!(quoted["stdout"], "$HOME; id\n", "no shell reads it");
    let missing = run(&["no-such-program"]).await;
    assert!(
        matches!(missing["exit_code"].as_i64(), Some(126 | 127)),
        "{missing}"
    );
    let piped = call(json!({"command": ["wc", "-c"], "stdin": "12345"}))
        .await
        .data();
    assert_eq!(piped["stdout"], "5\n");
    let capabilities = run(&["sh", "-c", "grep NoNewPrivs /proc/self/status"]).await;
    assert!(
        capabilities["stdout"]
            .as_str()
            .is_some_and(|text| text.contains('1')),
        "{capabilities}"
    );
    let slow = call(json!({"command": ["sleep", "60"], "timeout_seconds": 1}))
        .await
        .data();
    assert_eq!(
        (&slow["timed_out"], &slow["exit_code"]),
        (&json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn a_rollback_brings_an_earlier_page_back_without_a_build() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let first = project.deploy_live().await;
    project.deploy_commit(&Source::app("two")).await;
    assert_eq!(site.shows(&project.host, 200).await.text, "two");
    let crowd = site.crowd(&project).await;
    let back = project
        .post(&format!("/deployments/{first}/rollback"), &json!({}))
        .await;
    let id = back["id"].as_str().expect("an id");
    let settled = project.settled(id).await;
    assert_eq!(settled["status"], "running", "{settled}");
    assert_eq!(settled["trigger"], "rollback");
    eventually("visitors get the earlier page", async || {
        let page = site.visit(&project.host, "/").await;
        when(page.text == "one", page.text)
    })
    .await;
    crowd.leaves_content().await;
}

#[tokio::test]
async fn a_source_tree_that_is_sent_along_becomes_an_app() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let repository = site.repository("tree").await;
    repository.commit(&Source::app("sent along")).await;
    let archive = site.path("tree.tar.gz");
    let mut tar = program("tar");
    tar.arg("--create")
        .arg("--gzip")
        .arg("--file")
        .arg(&archive);
    tar.arg("--directory").arg(repository.path()).arg(".");
    run(tar).await.ok();
    let settings = json!({"name": "sent", "slug": "sent", "port": 8000, "ram": "0.25"});
    site.api().post("/projects", &settings).await;
    let bytes = std::fs::read(&archive).expect("the archive");
    let path = "/projects/sent/deployments/upload";
    let made = site.api().post_bytes(path, "application/gzip", bytes).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let record = eventually("the tree is live or failed", async || {
        let record = site
            .api()
            .get(&format!("/projects/sent/deployments/{id}"))
            .await;
        let is_settled = matches!(record["status"].as_str(), Some("running" | "failed"));
        if is_settled {
            Ok(record)
        } else {
            Err(record.to_string())
        }
    })
    .await;
    assert_eq!(record["status"], "running", "{record}");
    let page = site.shows("demo-sent.localhost", 200).await;
    assert_eq!(page.text, "sent along");
}

#[tokio::test]
async fn a_terminal_on_a_websocket_reads_and_writes() {
    use futures_util::SinkExt;
    use tokio_tungstenite::tungstenite::Message;

    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    project.deploy_live().await;
    let url = format!(
        "{}?command=sh&tty=true&cols=120&rows=40&api_key={}",
        project.api.socket_url(&project.path("/exec")),
        project.api.key
    );
    let (mut socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .expect("a socket");
    let send = Message::Binary("stty size; exit 7\n".into());
    socket.send(send).await.expect("sent");
    let (mut shown, mut last) = (Vec::new(), String::new());
    while let Some(frame) = socket.next().await {
        match frame.expect("a frame") {
            Message::Binary(bytes) => shown.extend_from_slice(&bytes),
            Message::Text(text) => last = text.to_string(),
            Message::Close(_) => break,
            _ => {}
        }
    }
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("40 120"), "{shown}");
    assert_eq!(last, "{\"exit_code\":7}");
}
