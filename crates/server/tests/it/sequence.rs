//! Any sequence of calls leaves the store consistent, and none is answered 500.
//!
//! The calls are drawn by a generator that follows from a seed, with every role, good and bad
//! input, and several calls at once; a failure names its seed, which repeats it.

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use tose_testkit::Program;

use crate::harness::{Client, Lab};

#[derive(Debug, Clone)]
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
    /// 0: owner, 1: admin, 2: member.
    who: usize,
}

fn slug() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn call() -> impl Strategy<Value = Call> {
    (kind(), 0..3_usize).prop_map(|((method, path, body), who)| Call {
        method,
        path,
        body,
        who,
    })
}

type Kind = (Method, String, Option<Value>);

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => (slug(), any::<bool>()).prop_map(|(slug, volume)| {
            let volumes = if volume { json!([{"name": "data", "path": "/data"}]) } else { json!([]) };
            let body = json!({"name": slug, "image": "app:1", "volumes": volumes});
            (Method::POST, "projects".to_owned(), Some(body))
        }),
        2 => slug().prop_map(|slug| (Method::DELETE, format!("projects/{slug}"), None)),
        3 => (slug(), 0..4_u32).prop_map(|(slug, replicas)| {
            (Method::PUT, format!("projects/{slug}"), Some(json!({"replicas": replicas, "image": "app:2"})))
        }),
        2 => (slug(), 1..4_u32).prop_map(|(slug, replicas)| {
            (Method::POST, format!("projects/{slug}/scale"), Some(json!({"replicas": replicas, "ram": "1"})))
        }),
        6 => (slug(), action()).prop_map(|(slug, action)| {
            (Method::POST, format!("projects/{slug}/{action}"), Some(json!({})))
        }),
        3 => (slug(), "[A-Z]", any::<bool>()).prop_map(|(slug, key, is_secret)| {
            let body = json!({"key": key, "value": "1", "is_secret": is_secret});
            (Method::POST, format!("projects/{slug}/env"), Some(body))
        }),
        2 => (slug(), any::<bool>()).prop_map(|(slug, merge)| {
            let body = json!({"variables": {"A": "1", "B": "2"}, "merge": merge});
            (Method::PUT, format!("projects/{slug}/env/bulk"), Some(body))
        }),
        2 => (slug(), slug()).prop_map(|(slug, name)| {
            let body = json!({"domain": format!("{name}.example.com")});
            (Method::POST, format!("projects/{slug}/domains"), Some(body))
        }),
        1 => slug().prop_map(|slug| {
            let body = json!({"repo_url": "https://example.com/a/b.git"});
            (Method::POST, format!("projects/{slug}/git"), Some(body))
        }),
        1 => slug().prop_map(|name| (Method::POST, "api-keys".to_owned(), Some(json!({"name": name})))),
        1 => slug().prop_map(|name| {
            let body = json!({"email": format!("{name}@example.com"), "role": "admin"});
            (Method::POST, "invitations".to_owned(), Some(body))
        }),
        1 => ".{0,20}".prop_map(|name| (Method::POST, "projects".to_owned(), Some(json!({"name": name})))),
    ]
}

fn action() -> impl Strategy<Value = String> {
    let actions = [
        "deployments",
        "redeploy",
        "start",
        "stop",
        "restart",
        "webhooks/deploy",
    ];
    prop::sample::select(actions.to_vec()).prop_map(str::to_owned)
}

/// How many sequences are tried, and how many rounds of calls each has.
const SEQUENCES: u32 = 6;
const ROUNDS: std::ops::Range<usize> = 5..25;

#[test]
fn any_sequence_of_calls_leaves_the_store_consistent() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let config = Config {
        cases: SEQUENCES,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..Config::default()
    };
    let rounds = prop::collection::vec(prop::collection::vec(call(), 1..5), ROUNDS);
    let outcome = TestRunner::new(config).run(&rounds, |rounds| {
        runtime.block_on(run(&rounds)).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

async fn run(rounds: &[Vec<Call>]) -> Result<(), String> {
    let mut lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    for image in ["app:1", "app:2"] {
        lab.driver.add_image(image, Program::default());
    }
    let mut callers = [
        owner.clone(),
        lab.member(&owner, "admin").await,
        lab.member(&owner, "member").await,
    ];
    for (index, round) in rounds.iter().enumerate() {
        if index % 8 == 7 {
            lab.restart().await;
            callers = callers.map(|caller| caller.at(&lab));
        }
        // The client panics on a 500; its words would not name the sequence.
        let calls = round.iter().map(|call| send(&callers[call.who], call));
        for outcome in join_all(calls).await {
            outcome?;
        }
        let findings = lab.fsck().await;
        if !findings.is_empty() {
            return Err(format!("after {round:?}: {findings:?}"));
        }
    }
    Ok(())
}

async fn send(caller: &Client, call: &Call) -> Result<(), String> {
    let body = call.body.as_ref().map(Value::to_string);
    let path = format!("/api/workspaces/demo/{}", call.path);
    let answer = caller
        .send(call.method.clone(), &path, body.as_deref())
        .await;
    let is_known = matches!(answer.status, 200 | 201 | 202 | 400 | 403 | 404 | 409);
    if is_known {
        Ok(())
    } else {
        Err(format!("{call:?} was answered {answer:?}"))
    }
}
