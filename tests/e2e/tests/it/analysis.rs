//! Apps that really fail, and what they are told.

use serde_json::json;
use tose_e2e::{Installation, Source, run};

#[tokio::test]
async fn a_node_app_without_its_package_is_told_which_one() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let dockerfile = "FROM node:22-slim\nWORKDIR /app\nCOPY . .\nCMD [\"node\", \"server.js\"]\n";
    let server = "const express = require('express');\nexpress().listen(process.env.PORT);\n";
    let source = Source::app("one")
        .file("Dockerfile", dockerfile)
        .file("server.js", server);
    let project = site.project("web", &source).await;
    let record = project.deploy_and_wait().await;
    assert_eq!(record["status"], "failed", "{record}");
    let cause = &record["analysis"]["causes"][0];
    assert_eq!(cause["title"], "The package express is not installed");
    let evidence = cause["evidence"].to_string();
    assert!(
        evidence.contains("Cannot find module 'express'"),
        "{record}"
    );
    assert!(
        evidence.contains("/app/server.js"),
        "the author's own line: {record}"
    );

    let id = record["id"].as_str().expect("an id");
    let log = project.build_log(id).await.text();
    let told = "likely cause: The package express is not installed";
    assert!(log.contains(told), "{log}");
    let answer = project.post("/logs/analyze", &json!({})).await;
    assert_eq!(answer["causes"], record["analysis"]["causes"]);
    assert_eq!(answer["deployment"], record["id"]);
}

#[tokio::test]
async fn tose_deploy_and_explain_say_why_a_build_failed() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let source = Source::app("one").dockerfile(&["RUN pip install --no-index flask==99.0"]);
    let project = site.project("web", &source).await;
    let folder = site.path("desk");
    std::fs::create_dir_all(&folder).expect("a folder");
    let tose = async |words: &[&str]| {
        let mut words = words.to_vec();
        words.extend(["--project", "web"]);
        let mut command = site.tose(&folder, &words);
        command.env("TOSE_API_URL", &site.api().base_url);
        command.env("TOSE_API_KEY", &site.api().key);
        run(command).await
    };
    let deploy = tose(&["deploy"]).await;
    assert_eq!(deploy.code, Some(1), "{deploy}");
    assert!(deploy.stderr.contains("likely cause: "), "{deploy}");
    let explain = tose(&["explain"]).await.ok();
    assert!(explain.contains("flask"), "{explain}");
    assert!(explain.contains("what to do: "), "{explain}");
    let record = project.get("/deployments").await[0].clone();
    let cause = record["analysis"]["causes"][0]["title"].as_str();
    assert!(explain.contains(cause.expect("a cause")), "{explain}");
}
