//! `…/projects/:project_slug/logs/analyze`, and what failed deployments carry by themselves.

use serde_json::{Value, json};
use tose_testkit::{Act, Program};

use crate::git::connected;
use crate::harness::{Answer, Client, Lab, eventually};

/// What Node.js says of a package that is not installed.
const CRASH: [&str; 4] = [
    "node:internal/modules/cjs/loader:1228",
    "Error: Cannot find module 'express'",
    "Require stack:",
    "- /app/server.js",
];

fn crashing() -> Program {
    let lines = CRASH.iter().map(|line| Act::print_err(line));
    Program::new(lines.chain([Act::Exit { code: 1 }]).collect::<Vec<_>>())
}

async fn analyze(owner: &Client, body: Value) -> Answer {
    owner.post("projects/shop/logs/analyze", body).await
}

/// The texts of a deployment's log.
async fn log_of(owner: &Client, id: &str) -> Vec<String> {
    let log = owner
        .complete_log(&format!("projects/shop/deployments/{id}/logs"))
        .await;
    let lines = log["lines"].as_array().expect("a list");
    lines
        .iter()
        .map(|line| line["message"].as_str().expect("a text").to_owned())
        .collect()
}

/// The project `shop` with a version that crashes for want of a package; its deployment.
async fn crashed(lab: &Lab, owner: &Client) -> Value {
    lab.driver.add_image("broken:1", crashing());
    owner.project("shop", "broken:1").await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "failed").await
}

#[tokio::test]
async fn a_crash_names_its_cause_in_the_record_the_log_and_the_route() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let failed = crashed(&lab, &owner).await;
    let cause = &failed["analysis"]["causes"][0];
    let title = cause["title"].as_str().expect("a title");
    assert!(title.contains("express"), "{failed}");
    let evidence = &cause["evidence"];
    assert!(evidence.to_string().contains(CRASH[1]), "{failed}");

    let id = failed["id"].as_str().expect("an id");
    let log = log_of(&owner, id).await;
    let fix = cause["fix"].as_str().expect("a text");
    let told = [
        failed["error"].as_str().expect("a reason").to_owned(),
        format!("likely cause: {title}"),
        format!("what to do: {fix}"),
    ];
    assert!(log.ends_with(&told), "{log:?}");

    for body in [json!({}), json!({"deployment": id})] {
        let answer = analyze(&owner, body).await;
        let data = answer.data();
        assert_eq!(data["causes"], failed["analysis"]["causes"]);
        assert_eq!(data["summary"], failed["analysis"]["summary"]);
        assert_eq!(data["deployment"], failed["id"]);
        assert_eq!(
            (&data["model"], &data["answer"]),
            (&Value::Null, &Value::Null)
        );
    }
    let list = owner.get("projects/shop/deployments").await;
    assert_eq!(list.data()[0]["analysis"], failed["analysis"]);
}

#[tokio::test]
async fn what_a_version_beside_it_writes_is_no_cause() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let talks = Program::new([
        Act::print_err("Error: listen EADDRINUSE: address already in use :::3000"),
        Act::Serve { status: 200 },
    ]);
    lab.driver.add_image("app:1", talks);
    owner.project("shop", "app:1").await;
    let first = owner.deploy("shop").await;
    owner.deployment_is("shop", &first, "running").await;
    lab.driver.add_image("broken:1", crashing());
    let image = json!({"image": "broken:1"});
    assert_eq!(owner.put("projects/shop", image).await.status, 200);
    let second = owner.deploy("shop").await;
    let failed = owner.deployment_is("shop", &second, "failed").await;
    let causes = failed["analysis"]["causes"].to_string();
    assert!(causes.contains("express"), "{failed}");
    assert!(!causes.contains("EADDRINUSE"), "{failed}");
}

#[tokio::test]
async fn a_build_that_fails_carries_what_its_step_said() {
    let lab = Lab::start().await;
    let dockerfile = "FROM base\nRUN echo 'npm ERR! code ERESOLVE' && echo 'npm ERR! ERESOLVE unable to resolve dependency tree' && exit 1\n";
    let (owner, _, _) = connected(&lab, &[("Dockerfile", dockerfile)]).await;
    let id = owner.deploy("shop").await;
    let failed = owner.deployment_is("shop", &id, "failed").await;
    let cause = &failed["analysis"]["causes"][0];
    assert!(
        cause["evidence"].to_string().contains("ERESOLVE"),
        "{failed}"
    );
    let title = cause["title"].as_str().expect("a title");
    let log = log_of(&owner, &id).await;
    let told = format!("likely cause: {title}");
    assert!(log.contains(&told), "{log:?}");
    // What the platform said itself is no evidence.
    let again = analyze(&owner, json!({})).await;
    assert_eq!(again.data()["causes"], failed["analysis"]["causes"]);
}

#[tokio::test]
async fn a_failure_without_a_known_cause_carries_none() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let program = Program::new([Act::print("so long"), Act::Exit { code: 7 }]);
    lab.driver.add_image("broken:1", program);
    owner.project("shop", "broken:1").await;
    let id = owner.deploy("shop").await;
    let failed = owner.deployment_is("shop", &id, "failed").await;
    assert_eq!(failed["analysis"], Value::Null);
    let log = log_of(&owner, &id).await;
    assert_eq!(log.last().map(String::as_str), failed["error"].as_str());
    let answer = analyze(&owner, json!({})).await;
    assert_eq!(answer.data()["deployment"], json!(id));
    assert!(answer.data()["summary"].is_string());
}

#[tokio::test]
async fn logs_that_are_sent_are_looked_at_alone() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    crashed(&lab, &owner).await;
    let logs = "Traceback (most recent call last):\n  File \"/app/main.py\", line 1, in <module>\n    import flask\nModuleNotFoundError: No module named 'flask'\n";
    let answer = analyze(&owner, json!({"logs": logs})).await;
    let data = answer.data();
    assert!(
        data["causes"][0]["title"]
            .as_str()
            .is_some_and(|title| title.contains("flask")),
        "{data}"
    );
    assert_eq!(data["deployment"], Value::Null);
    assert!(!data.to_string().contains("express"), "{data}");
    let member = lab.member(&owner, "member").await;
    assert_eq!(
        analyze(&member, json!({"logs": logs})).await.body,
        answer.body
    );
}

#[tokio::test]
async fn a_project_that_is_well_or_has_no_output_is_told_so() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let nothing = json!({
        "summary": "There is no output to look at.",
        "causes": [], "deployment": null, "model": null, "answer": null,
    });
    assert_eq!(*analyze(&owner, json!({})).await.data(), nothing);
    let program = Program::new([
        Act::print("Server listening on 3000"),
        Act::Serve { status: 200 },
    ]);
    lab.driver.add_image("app:1", program);
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    let summary = eventually("its line is looked at", async || {
        let answer = analyze(&owner, json!({})).await;
        let summary = answer.data()["summary"]
            .as_str()
            .expect("a text")
            .to_owned();
        if summary == nothing["summary"] {
            return Err(summary);
        }
        Ok(summary)
    })
    .await;
    assert_eq!(summary, "Nothing in 1 lines looks like a failure.");
    let of_it = analyze(&owner, json!({"deployment": id})).await;
    assert_eq!(of_it.data()["causes"], json!([]));
    assert_eq!(of_it.data()["deployment"], json!(id));
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_told_why() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let most = "x".repeat(1 << 20);
    assert_eq!(analyze(&owner, json!({"logs": most})).await.status, 200);
    let more = analyze(&owner, json!({"logs": format!("{most}x")})).await;
    assert_eq!(more.status, 400);
    assert!(more.body["fields"]["logs"].is_string(), "{more:?}");
    let much = analyze(&owner, json!({"logs": most.repeat(5)})).await;
    assert_eq!((much.status, much.code()), (413, "too_large"));
    let unknown = "00000000-0000-7000-8000-000000000000";
    let both = analyze(&owner, json!({"logs": "x", "deployment": unknown})).await;
    assert_eq!(both.status, 400, "{both:?}");
    assert_eq!(
        analyze(&owner, json!({"deployment": unknown})).await.status,
        404
    );

    let stranger = lab.owner("other").await;
    assert_eq!(analyze(&stranger, json!({})).await.status, 404);
    let other = stranger.in_workspace("demo");
    assert_eq!(analyze(&other, json!({"logs": "x"})).await.status, 404);
    let nobody = owner.with_key(None);
    assert_eq!(analyze(&nobody, json!({})).await.status, 401);
}
