//! Previews: what events of pull requests lead to.

use serde_json::{Value, json};

use crate::git::{commit, connected};
use crate::harness::{Client, Lab, eventually};
use crate::push::Sender;

const FILES: [(&str, &str); 1] = [("Dockerfile", "FROM base\n")];

/// A project with a repository that has the branch `feature` besides.
async fn shop(lab: &Lab) -> (Client, Sender, String) {
    let (owner, _, repo) = connected(lab, &FILES).await;
    let sha = commit(&repo, &[("a.txt", "changed")], "a change");
    crate::git::branch(&repo, "feature");
    let answer = owner
        .put(
            "projects/shop/git",
            json!({"previews": true, "preview_limit": 2}),
        )
        .await;
    assert_eq!(answer.data()["previews"], json!(true), "{answer:?}");
    let sender = Sender::of(lab, &owner).await;
    (owner, sender, sha)
}

fn request(sender: &Sender, action: &str, number: u32) -> Value {
    json!({
        "action": action, "number": number,
        "repository": {"clone_url": sender.clone_url},
        "pull_request": {
            "title": "a change", "base": {"ref": "main", "repo": {"id": 1}},
            "head": {"ref": "feature", "sha": "0".repeat(40), "repo": {"id": 1}},
        },
    })
}

/// Sends an event as GitHub does; what it led to.
async fn tell(sender: &Sender, delivery: &str, body: &Value) -> Value {
    let bytes = body.to_string().into_bytes();
    let signature = format!("sha256={}", sender.sign(&bytes));
    let headers = [
        ("X-GitHub-Event", "pull_request"),
        ("X-GitHub-Delivery", delivery),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    let answer = sender.send("github", &headers, bytes).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.data()["projects"][0].clone()
}

async fn verdict(sender: &Sender, delivery: &str, body: &Value) -> String {
    let outcome = tell(sender, delivery, body).await;
    outcome["verdict"].as_str().expect("a text").to_owned()
}

async fn previews(owner: &Client) -> Vec<Value> {
    let answer = owner.get("projects/shop/previews").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data().as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_pull_request_runs_as_a_project_until_it_is_closed() {
    let lab = Lab::start().await;
    let (owner, sender, sha) = shop(&lab).await;
    let variable = json!({"key": "FROM_SHOP", "value": "1"});
    assert_eq!(owner.post("projects/shop/env", variable).await.status, 201);
    let opened = request(&sender, "opened", 7);
    let outcome = tell(&sender, "one", &opened).await;
    assert_eq!(outcome["verdict"], json!("deployed"), "{outcome}");
    let id = outcome["deployment_id"].as_str().expect("an id");
    let slug = "shop-pr-7";
    let deployment = owner.deployment_is(slug, id, "running").await;
    assert_eq!(deployment["commit"]["sha"], json!(sha));
    let list = owner.get("projects/shop/previews").await;
    assert_eq!(list.body["meta"]["total"], json!(1), "{list:?}");
    let [preview] = &previews(&owner).await[..] else {
        panic!("one preview")
    };
    assert_eq!(preview["slug"], json!(slug));
    assert_eq!(
        preview["preview"],
        json!({"number": 7, "branch": "feature"})
    );
    let shop = owner.get("projects/shop").await;
    assert_ne!(preview["url"], shop.data()["url"]);
    let replica = lab.driver.peek().remove(0);
    let env = lab.driver.spec_of(&replica.name).expect("a replica").env;
    assert!(env.iter().any(|(key, _)| key.as_str() == "FROM_SHOP"));

    // The same event again does nothing; new commits deploy again.
    assert_eq!(tell(&sender, "one", &opened).await, outcome);
    let changed = request(&sender, "synchronize", 7);
    let again = tell(&sender, "two", &changed).await;
    assert_ne!(again["deployment_id"], outcome["deployment_id"]);
    let id = again["deployment_id"].as_str().expect("an id");
    owner.deployment_is(slug, id, "running").await;

    let closed = request(&sender, "closed", 7);
    assert_eq!(verdict(&sender, "three", &closed).await, "preview_removed");
    assert!(previews(&owner).await.is_empty());
    assert_eq!(owner.get("projects/shop-pr-7").await.status, 404);
    lab.has_replicas(0).await;
    assert_eq!(lab.fsck().await, Vec::<String>::new());
    let list = owner.get("projects/shop/git/deliveries").await;
    assert_eq!(list.data()[0]["git_ref"], json!("#7 feature"));
}

#[tokio::test]
async fn requests_from_forks_and_others_are_left_alone_and_the_list_says_so() {
    let lab = Lab::start().await;
    let (owner, sender, _) = shop(&lab).await;
    let mut fork = request(&sender, "opened", 1);
    fork["pull_request"]["head"]["repo"] = json!({"id": 2});
    let mut gone = request(&sender, "opened", 2);
    gone["pull_request"]["head"]["repo"] = json!(null);
    let mut elsewhere = request(&sender, "opened", 3);
    elsewhere["pull_request"]["base"]["ref"] = json!("other");
    for (delivery, body, expected) in [
        ("1", fork, "from_fork"),
        ("2", gone, "from_fork"),
        ("3", elsewhere, "other_branch"),
        ("4", request(&sender, "labeled", 4), "not_a_push"),
        ("5", request(&sender, "closed", 5), "no_preview"),
    ] {
        assert_eq!(verdict(&sender, delivery, &body).await, expected);
        let list = owner.get("projects/shop/git/deliveries").await;
        assert_eq!(list.data()[0]["verdict"], json!(expected));
    }
    assert!(previews(&owner).await.is_empty());
}

#[tokio::test]
async fn there_are_as_many_previews_as_there_may_be_and_none_once_they_are_off() {
    let lab = Lab::start().await;
    let (owner, sender, _) = shop(&lab).await;
    for (number, expected) in [(1, "deployed"), (2, "deployed"), (3, "preview_limit")] {
        let body = request(&sender, "opened", number);
        assert_eq!(verdict(&sender, &number.to_string(), &body).await, expected);
    }
    let numbers: Vec<_> = previews(&owner).await;
    assert_eq!(numbers.len(), 2);
    let off = owner
        .put("projects/shop/git", json!({"previews": false}))
        .await;
    assert_eq!(off.status, 200, "{off:?}");
    assert!(previews(&owner).await.is_empty());
    let body = request(&sender, "reopened", 1);
    assert_eq!(verdict(&sender, "off", &body).await, "previews_off");
    let wrong = owner
        .put("projects/shop/git", json!({"preview_limit": 0}))
        .await;
    assert!(
        wrong.body["fields"]["preview_limit"].is_string(),
        "{wrong:?}"
    );
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_preview_goes_with_its_project_and_has_no_repository_of_its_own() {
    let lab = Lab::start().await;
    let (owner, sender, _) = shop(&lab).await;
    let outcome = tell(&sender, "one", &request(&sender, "opened", 7)).await;
    let id = outcome["deployment_id"].as_str().expect("an id");
    owner.deployment_is("shop-pr-7", id, "running").await;
    let body = json!({"repo_full_name": "you/app"});
    let refused = owner.post("projects/shop-pr-7/git", body).await;
    assert_eq!((refused.status, refused.code()), (409, "is_preview"));
    // By hand it deploys its own branch with its project's repository.
    let id = owner.deploy("shop-pr-7").await;
    owner.deployment_is("shop-pr-7", &id, "running").await;
    assert_eq!(owner.delete("projects/shop").await.status, 200);
    assert_eq!(owner.get("projects/shop-pr-7").await.status, 404);
    lab.has_replicas(0).await;
    eventually("nothing is left over", async || {
        let found = lab.fsck().await;
        if found.is_empty() {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn merge_requests_of_gitlab_and_pull_requests_of_gitea_are_known() {
    let lab = Lab::start().await;
    let (owner, sender, _) = shop(&lab).await;
    let gitlab = json!({
        "object_kind": "merge_request",
        "project": {"git_http_url": sender.clone_url},
        "object_attributes": {
            "iid": 3, "action": "open", "title": "t", "source_branch": "feature",
            "target_branch": "main", "source_project_id": 1, "target_project_id": 1,
            "last_commit": {"id": "0".repeat(40)},
        },
    });
    let webhook = owner.get("projects/shop/git/webhook").await;
    let secret = webhook.data()["secret"]
        .as_str()
        .expect("a text")
        .to_owned();
    let headers = [
        ("X-Gitlab-Event", "Merge Request Hook"),
        ("X-Gitlab-Token", secret.as_str()),
        ("X-Gitlab-Event-UUID", "one"),
    ];
    let bytes = gitlab.to_string().into_bytes();
    let answer = sender.send("gitlab", &headers, bytes).await;
    assert_eq!(answer.data()["projects"][0]["verdict"], json!("deployed"));
    let body = request(&sender, "opened", 4);
    let bytes = body.to_string().into_bytes();
    let signature = sender.sign(&bytes);
    let headers = [
        ("X-Gitea-Event", "pull_request"),
        ("X-Gitea-Signature", signature.as_str()),
        ("X-Gitea-Delivery", "two"),
    ];
    let answer = sender.send("gitea", &headers, bytes).await;
    assert_eq!(answer.data()["projects"][0]["verdict"], json!("deployed"));
    let numbers: Vec<_> = previews(&owner).await;
    assert_eq!(numbers.len(), 2);
    let unsigned = sender.send("gitea", &headers[..1], Vec::from("{}")).await;
    assert_eq!(unsigned.status, 401);
}
