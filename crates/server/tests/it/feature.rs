//! What a project can have besides an image: a command, volumes, a hook, a way back, exec, uploads.

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tose_testkit::Program;

use crate::harness::{Answer, Client, Lab, eventually};

#[tokio::test]
async fn the_new_fields_are_kept_changed_and_taken_away() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let body = json!({
        "name": "Shop", "image": "app:1", "region": "local", "start_command": "node 'my server.js'",
        "volumes": [{"name": "data", "path": "/data"}],
        "build": {"root_directory": "apps/web", "target": "prod", "args": {"NODE_ENV": "production"}},
    });
    let made = owner.post("projects", body.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    for field in ["region", "start_command", "volumes", "build"] {
        assert_eq!(made.data()[field], body[field], "{field}");
    }
    let renamed = owner.put("projects/shop", json!({"name": "Other"})).await;
    for field in ["start_command", "volumes", "build"] {
        assert_eq!(
            renamed.data()[field],
            body[field],
            "{field} survives another change"
        );
    }
    let nothing = json!({"start_command": null, "volumes": [], "build": null});
    let cleared = owner.put("projects/shop", nothing.clone()).await;
    for field in ["start_command", "volumes", "build"] {
        assert_eq!(cleared.data()[field], nothing[field], "{field}");
    }
}

#[tokio::test]
async fn fields_that_cannot_work_are_refused_by_name() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let volume = |name: &str, path: &str| json!({"volumes": [{"name": name, "path": path}]});
    for (field, body) in [
        ("region", json!({"region": "mars"})),
        ("start_command", json!({"start_command": "a 'b"})),
        ("start_command", json!({"start_command": " "})),
        ("volumes", volume("a", "data")),
        ("volumes", volume("a", "/")),
        ("volumes", volume("a", "/proc/x")),
        ("volumes", volume("a", "/a/../etc")),
        ("volumes", volume("a", "/a:/b")),
        (
            "volumes",
            json!({"volumes": [{"name": "a", "path": "/a"}, {"name": "a", "path": "/b"}]}),
        ),
        (
            "volumes",
            json!({"volumes": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/a"}]}),
        ),
        (
            "build.root_directory",
            json!({"build": {"root_directory": "../x"}}),
        ),
    ] {
        let mut body = body;
        body["name"] = json!("x");
        let answer = owner.post("projects", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body["fields"].get(field).is_some(), "{answer:?}");
    }
    let body = json!({"name": "x", "replicas": 2, "volumes": [{"name": "a", "path": "/a"}]});
    let two = owner.post("projects", body).await;
    assert_eq!((two.status, two.code()), (409, "one_replica_only"));
}

#[tokio::test]
async fn a_version_with_a_volume_starts_when_the_old_one_has_gone_and_its_data_goes_with_the_project()
 {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.driver.add_image("app:1", Program::default());
    let body =
        json!({"name": "shop", "image": "app:1", "volumes": [{"name": "data", "path": "/data"}]});
    owner.post("projects", body).await;
    for _ in 0..2 {
        let id = owner.deploy("shop").await;
        owner.deployment_is("shop", &id, "running").await;
        assert_eq!(lab.driver.peek().len(), 1, "never two at once");
    }
    assert_eq!(lab.driver.peek_volumes().len(), 1);
    owner.delete("projects/shop").await;
    eventually("no volume is left", async || {
        let volumes = lab.driver.peek_volumes();
        if volumes.is_empty() {
            Ok(())
        } else {
            Err(format!("{volumes:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_rollback_brings_image_settings_and_variables_of_then_back() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let first = lab.live(&owner, "app:1").await;
    lab.driver.add_image("app:2", Program::default());
    owner
        .put("projects/shop", json!({"image": "app:2", "ram": "1"}))
        .await;
    let second = owner.deploy("shop").await;
    owner.deployment_is("shop", &second, "running").await;
    let path = format!("projects/shop/deployments/{first}/rollback");
    let back = owner.post(&path, json!({})).await;
    assert_eq!(back.status, 201);
    assert_eq!(back.data()["trigger"], json!("rollback"));
    let id = back.data()["id"].as_str().expect("an id");
    let live = owner.deployment_is("shop", id, "running").await;
    assert_eq!(live["image"], json!("app:1"));
    lab.has_replicas(1).await;
    let replica = lab.driver.peek()[0].clone();
    let spec = lab.driver.spec_of(&replica.name).expect("a spec");
    assert_eq!(spec.ram.to_string(), "0.5", "the settings of then");

    lab.driver.add_image("deaf:1", Program::new([]));
    owner.put("projects/shop", json!({"image": "deaf:1"})).await;
    let never = owner.deploy("shop").await;
    owner.deployment_is("shop", &never, "deploying").await;
    owner
        .post(
            &format!("projects/shop/deployments/{never}/stop"),
            json!({}),
        )
        .await;
    let path = format!("projects/shop/deployments/{never}/rollback");
    let refused = owner.post(&path, json!({})).await;
    assert_eq!((refused.status, refused.code()), (409, "never_live"));
}

#[tokio::test]
async fn scale_changes_replicas_at_once_and_sizes_by_a_restart() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let scaled = owner
        .post("projects/shop/scale", json!({"replicas": 2}))
        .await;
    assert_eq!(scaled.data()["replicas"], json!(2));
    lab.has_replicas(2).await;
    owner.project_is("shop", "running").await;
    let sized = owner
        .post("projects/shop/scale", json!({"ram": 1, "replicas": 1}))
        .await;
    assert_eq!(sized.data()["status"], json!("deploying"));
    owner.project_is("shop", "running").await;
    lab.has_replicas(1).await;
    let replica = lab.driver.peek()[0].clone();
    let spec = lab.driver.spec_of(&replica.name).expect("a spec");
    assert_eq!(spec.ram.to_string(), "1");
    let bad = owner
        .post("projects/shop/scale", json!({"replicas": 0}))
        .await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn a_deploy_hook_deploys_whoever_calls_it_until_it_is_replaced() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let make = async || {
        let made = owner.post("projects/shop/webhooks/deploy", json!({})).await;
        let url = made.data()["url"].as_str().expect("an address").to_owned();
        let at = url.find("/api/").expect("a path");
        url[at..].to_owned()
    };
    let call = async |path: &str| lab.anonymous().send(Method::POST, path, None).await;
    let first = make().await;
    let called = call(&first).await;
    assert_eq!(
        (called.status, &called.data()["trigger"]),
        (202, &json!("hook"))
    );
    let id = called.data()["id"].as_str().expect("an id");
    owner.deployment_is("shop", id, "running").await;
    let events = owner.get("events?limit=1").await;
    assert_eq!(events.data()[0]["via"], json!("hook"));

    let second = make().await;
    assert_eq!(call(&first).await.status, 404);
    let elsewhere = second.replace("/demo/", "/other/");
    assert_eq!(call(&elsewhere).await, call(&first).await);
    let got = owner.get("projects/shop/webhooks/deploy").await;
    assert_eq!(
        got.data(),
        &json!({"project": "shop"}),
        "the address is not told again"
    );
    assert_eq!(
        owner.delete("projects/shop/webhooks/deploy").await.status,
        200
    );
    assert_eq!(owner.get("projects/shop/webhooks/deploy").await.status, 404);
    assert_eq!(call(&second).await.status, 404);
}

#[tokio::test]
async fn a_command_runs_in_a_replica_and_tells_how_it_ended() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let exec = async |body: Value| owner.post("projects/shop/exec", body).await;
    owner.project("shop", "app:1").await;
    let early = exec(json!({"command": ["echo", "x"]})).await;
    assert_eq!((early.status, early.code()), (409, "not_running"));
    let id = {
        lab.driver.add_image("app:1", Program::default());
        owner.deploy("shop").await
    };
    owner.deployment_is("shop", &id, "running").await;
    let echoed = exec(json!({"command": ["echo", "a b", "$HOME"]})).await;
    let data = echoed.data();
    assert_eq!(
        (&data["exit_code"], &data["stdout"]),
        (&json!(0), &json!("a b $HOME\n"))
    );
    let copied = exec(json!({"command": ["cat"], "stdin": "from afar"})).await;
    assert_eq!(copied.data()["stdout"], json!("from afar"));
    assert_eq!(
        exec(json!({"command": ["false"]})).await.data()["exit_code"],
        json!(1)
    );
    assert_eq!(
        exec(json!({"command": ["nothing"]})).await.data()["exit_code"],
        json!(127)
    );
    for bad in [json!([]), json!([""]), json!(["a\0b"]), json!("ls")] {
        assert_eq!(exec(json!({"command": bad})).await.status, 400, "{bad}");
    }
    let nowhere = exec(json!({"command": ["echo"], "pod": "nothing"})).await;
    assert_eq!(nowhere.status, 404);
    let member = lab.member(&owner, "member").await;
    let refused = member
        .post("projects/shop/exec", json!({"command": ["echo"]}))
        .await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn a_command_on_a_websocket_has_input_and_ends_with_its_code() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let url = format!(
        "ws://{}/api/workspaces/demo/projects/shop/exec?command=cat&api_key={}",
        lab.api_addr(),
        owner.key.as_deref().expect("a key")
    );
    let (mut socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .expect("a socket");
    socket
        .send(Message::Binary("hello".into()))
        .await
        .expect("sent");
    let mut output = Vec::new();
    while output.len() < 5 {
        if let Message::Binary(bytes) = socket.next().await.expect("a frame").expect("a frame") {
            output.extend_from_slice(&bytes);
        }
    }
    assert_eq!(output, b"hello");
    socket
        .send(Message::Text(
            "{\"resize\":{\"cols\":100,\"rows\":40}}".into(),
        ))
        .await
        .expect("sent");
    socket
        .send(Message::Text("\"eof\"".into()))
        .await
        .expect("sent");
    let last = loop {
        match socket.next().await.expect("a frame").expect("a frame") {
            Message::Text(text) => break text,
            Message::Close(_) => panic!("closed without a code"),
            _ => {}
        }
    };
    assert_eq!(last.as_str(), "{\"exit_code\":0}");
}

#[tokio::test]
async fn much_input_to_a_command_that_echoes_it_blocks_nobody() {
    const BYTES: usize = 2 << 20;
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let url = format!(
        "ws://{}/api/workspaces/demo/projects/shop/exec?command=cat&api_key={}",
        lab.api_addr(),
        owner.key.as_deref().expect("a key")
    );
    let (socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .expect("a socket");
    let (mut sink, mut stream) = socket.split();
    // All of it is sent before any of what comes back is read.
    for _ in 0..BYTES / 65_536 {
        sink.send(Message::Binary(vec![b'x'; 65_536].into()))
            .await
            .expect("sent");
    }
    sink.send(Message::Text("\"eof\"".into()))
        .await
        .expect("sent");
    let (mut received, mut last) = (0, String::new());
    while let Some(Ok(frame)) = stream.next().await {
        match frame {
            Message::Binary(bytes) => received += bytes.len(),
            Message::Text(text) => last = text.to_string(),
            _ => {}
        }
    }
    assert_eq!((received, last.as_str()), (BYTES, "{\"exit_code\":0}"));
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, name, text.as_bytes())
            .expect("an entry");
    }
    builder
        .into_inner()
        .and_then(GzEncoder::finish)
        .expect("an archive")
}

async fn upload(client: &Client, kind: &str, body: Vec<u8>) -> Answer {
    let headers = [("Content-Type", kind)];
    client
        .raw(
            Method::POST,
            "projects/shop/deployments/upload",
            &headers,
            Some(body),
        )
        .await
        .0
}

#[tokio::test]
async fn a_source_tree_that_is_sent_along_is_built_and_deployed() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    let tree = archive(&[
        ("Dockerfile", "FROM scratch\nCMD [\"app\"]\n"),
        ("index.html", "<h1>hello</h1>"),
    ]);
    let made = upload(&owner, "application/gzip", tree).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.data()["trigger"], json!("upload"));
    let id = made.data()["id"].as_str().expect("an id").to_owned();
    owner.deployment_is("shop", &id, "running").await;
    let log = owner
        .complete_log(&format!("projects/shop/deployments/{id}/logs"))
        .await;
    let lines = log["lines"].to_string();
    assert!(lines.contains("source tree that was sent"), "{lines}");
    let two = owner
        .get(&format!("projects/shop/deployments/{id}/logs?limit=2"))
        .await;
    assert_eq!(two.data()["complete"], json!(false));
    let rest = owner
        .get(&format!(
            "projects/shop/deployments/{id}/logs?after={}",
            two.data()["next"]
        ))
        .await;
    let count = |answer: &Answer| answer.data()["lines"].as_array().expect("a list").len();
    assert_eq!(
        count(&two) + count(&rest),
        log["lines"].as_array().expect("a list").len(),
        "no line twice, none left out"
    );
    eventually("the tree is removed when it is built", async || {
        let left = std::fs::read_dir(lab.data_dir().join("data/uploads"))
            .expect("the folder")
            .count();
        if left == 0 {
            Ok(())
        } else {
            Err(left.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_source_tree_is_refused_and_leaves_nothing() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    let good = archive(&[("Dockerfile", "FROM scratch\n")]);
    let noise: Vec<u8> = (0..2_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for (kind, body, status, code) in [
        ("application/json", good.clone(), 415, "not_gzip"),
        ("application/gzip", b"hello".to_vec(), 400, "invalid_input"),
        (
            "application/gzip",
            good[..good.len() / 2].to_vec(),
            400,
            "invalid_input",
        ),
        ("application/gzip", noise, 413, "too_large"),
    ] {
        let answer = upload(&owner, kind, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{kind}");
    }
    let total = owner.get("projects/shop/deployments").await.body["meta"]["total"].clone();
    assert_eq!(total, json!(0));
    let folder = lab.data_dir().join("data/uploads");
    assert_eq!(std::fs::read_dir(folder).expect("the folder").count(), 0);

    let no_file = archive(&[("README.md", "hello")]);
    let made = upload(&owner, "application/gzip", no_file).await;
    let id = made.data()["id"].as_str().expect("an id").to_owned();
    let failed = owner.deployment_is("shop", &id, "failed").await;
    assert!(
        failed["error"]
            .as_str()
            .expect("a reason")
            .contains("no Dockerfile"),
        "{failed}"
    );
}
