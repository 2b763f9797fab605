//! Git connections, and builds of real repositories by the real `git` on a fake engine.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Client, Lab};

#[expect(
    clippy::disallowed_methods,
    reason = "tests make repositories with the real git"
)]
fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com"])
        .args(args)
        .current_dir(dir)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A key pair without a passphrase: its private half, and its public one.
#[expect(
    clippy::disallowed_methods,
    reason = "tests make keys with the real ssh-keygen"
)]
fn make_key(dir: &Path) -> (String, String) {
    let path = dir.join("id");
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f"])
        .arg(&path)
        .output()
        .expect("ssh-keygen runs");
    assert!(output.status.success());
    let read = |path: &Path| std::fs::read_to_string(path).expect("a key");
    let public = read(&path.with_extension("pub"));
    (read(&path), public.trim().to_owned())
}

pub(crate) fn commit(dir: &Path, files: &[(&str, &str)], message: &str) -> String {
    std::fs::create_dir_all(dir).expect("a folder");
    if !dir.join(".git").exists() {
        git(dir, &["init", "--quiet", "--initial-branch=main"]);
    }
    for (name, text) in files {
        std::fs::write(dir.join(name), text).expect("a file");
    }
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message", message]);
    git(dir, &["rev-parse", "HEAD"])
}

/// Makes a branch at the newest commit.
pub(crate) fn branch(dir: &Path, name: &str) {
    git(dir, &["branch", name]);
}

pub(crate) async fn connected(
    lab: &Lab,
    files: &[(&str, &str)],
) -> (Client, String, std::path::PathBuf) {
    let repo = lab.data_dir().join("repo");
    let sha = commit(&repo, files, "first version");
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    let url = format!("file://{}", repo.display());
    let answer = owner
        .post(
            "projects/shop/git",
            json!({"repo_url": url, "branch": "main"}),
        )
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    (owner, sha, repo)
}

pub(crate) async fn failure(owner: &Client, body: Value) -> String {
    let made = owner.post("projects/shop/deployments", body).await;
    let id = made.data()["id"].as_str().expect("an id").to_owned();
    let failed = owner.deployment_is("shop", &id, "failed").await;
    failed["error"].as_str().expect("a reason").to_owned()
}

#[tokio::test]
async fn the_newest_commit_is_built_and_an_older_one_when_it_is_named() {
    let lab = Lab::start().await;
    let (owner, first_sha, repo) =
        connected(&lab, &[("Dockerfile", "FROM base\nRUN make\n")]).await;
    let second_sha = commit(&repo, &[("a.txt", "2")], "second version");
    let id = owner.deploy("shop").await;
    let deployment = owner.deployment_is("shop", &id, "running").await;
    let expected = json!({"sha": second_sha, "message": "second version", "author": "Ann"});
    assert_eq!(deployment["commit"], expected);
    let made = owner
        .post("projects/shop/deployments", json!({"commit": first_sha}))
        .await;
    let id = made.data()["id"].as_str().expect("an id").to_owned();
    let deployment = owner.deployment_is("shop", &id, "running").await;
    assert_eq!(deployment["commit"]["message"], json!("first version"));
    let redeployed = owner
        .post("projects/shop/deployments/redeploy", json!({}))
        .await;
    let id = redeployed.data()["id"].as_str().expect("an id").to_owned();
    let again = owner.deployment_is("shop", &id, "running").await;
    assert_eq!(
        (&again["image"], &again["commit"]),
        (&deployment["image"], &deployment["commit"])
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let lab = Lab::start().await;
    let (owner, _, repo) = connected(&lab, &[("README", "no Dockerfile here")]).await;
    assert!(
        failure(&owner, json!({}))
            .await
            .contains("no Dockerfile in its root folder")
    );
    assert!(
        failure(&owner, json!({"branch": "nope"}))
            .await
            .contains("branch nope does not exist")
    );
    let missing = "0123456789012345678901234567890123456789";
    assert!(
        failure(&owner, json!({"commit": missing}))
            .await
            .contains("is not on branch main")
    );
    owner
        .put("projects/shop/git", json!({"root_directory": "web"}))
        .await;
    assert!(failure(&owner, json!({})).await.contains("no folder web"));
    std::fs::remove_dir_all(repo).expect("removed");
    assert!(failure(&owner, json!({})).await.contains("was not found"));
}

#[tokio::test]
async fn a_build_that_fails_names_its_step() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &[("Dockerfile", "FROM base\nRUN npm ci\n")]).await;
    lab.driver
        .on_run("npm ci", &["npm error missing lockfile"], 1);
    let reason = failure(&owner, json!({})).await;
    assert!(
        reason.contains("npm ci") && reason.contains('1'),
        "{reason}"
    );
}

#[tokio::test]
async fn a_cancelled_build_ends() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &[("Dockerfile", "FROM base\nRUN sleep\n")]).await;
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "building").await;
    owner
        .post(&format!("projects/shop/deployments/{id}/stop"), json!({}))
        .await;
    owner.deployment_is("shop", &id, "cancelled").await;
    assert_eq!(lab.driver.running_builds(), 0);
}

#[tokio::test]
async fn connections_are_checked_and_hide_their_key() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    assert_eq!(owner.get("projects/shop/git").await.status, 404);
    for (field, body) in [
        ("repo_url", json!({})),
        ("repo_url", json!({"repo_url": "http://example.com/a/b"})),
        (
            "repo_url",
            json!({"repo_url": "https://user:password@example.com/a/b"}),
        ),
        ("repo_url", json!({"repo_url": "--upload-pack=x"})),
        ("repo_full_name", json!({"repo_full_name": "../x"})),
        ("branch", json!({"repo_full_name": "a/b", "branch": "--x"})),
        (
            "installation_id",
            json!({"repo_full_name": "a/b", "installation_id": 1}),
        ),
        (
            "deploy_key",
            json!({"repo_url": "https://example.com/a/b", "deploy_key": "x"}),
        ),
        (
            "dockerfile_path",
            json!({"repo_full_name": "a/b", "dockerfile_path": "../../etc/passwd"}),
        ),
    ] {
        let answer = owner.post("projects/shop/git", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(
            answer.body["fields"][field].is_string(),
            "{body}: {answer:?}"
        );
    }
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n";
    let body =
        json!({"repo_url": "git@example.com:a/b.git", "deploy_key": key, "auto_deploy": false});
    let refused = owner
        .post("projects/shop/git-connection", body.clone())
        .await;
    assert!(
        refused.body["fields"]["deploy_key"].is_string(),
        "no key: {refused:?}"
    );
    let mut body = body;
    let (private, public) = make_key(lab.data_dir());
    body["deploy_key"] = json!(private);
    let made = owner.post("projects/shop/git-connection", body).await;
    assert_eq!(made.data()["has_deploy_key"], json!(true));
    assert_eq!(made.data()["deploy_key_public"], json!(public));
    let secret = private.lines().nth(1).expect("a line of the key");
    assert!(!made.body.to_string().contains(secret));
    let public = owner
        .post("projects/shop/git", json!({"repo_full_name": "owner/name"}))
        .await;
    assert_eq!(
        public.data()["repo_url"],
        json!("https://github.com/owner/name.git")
    );
    assert_eq!(public.data()["branch"], json!("main"));
    assert_eq!(owner.delete("projects/shop/git").await.status, 200);
    assert_eq!(owner.delete("projects/shop/git").await.status, 404);
}

#[tokio::test]
async fn a_build_that_the_engine_breaks_is_tried_once_more() {
    let lab = Lab::start().await;
    let (owner, _, _) = connected(&lab, &[("Dockerfile", "FROM base\n")]).await;
    lab.driver.break_builds(1);
    let id = owner.deploy("shop").await;
    owner.deployment_is("shop", &id, "running").await;
    let path = format!("deployments/{id}/build-logs");
    let log = crate::log_socket::read(&lab, &path, owner.key.as_deref()).await;
    let (lines, _) = log.expect("a log");
    assert!(
        lines.iter().any(|line| line.contains("trying once more")),
        "{lines:?}"
    );
    lab.driver.break_builds(2);
    assert!(
        failure(&owner, json!({}))
            .await
            .contains("could not build this")
    );
}

#[tokio::test]
async fn an_access_token_stays_with_the_host_that_it_was_given_for() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.post("projects", json!({"name": "shop"})).await;
    let body = json!({
        "repo_url": "https://git.example/you/app.git", "access_token": "t0ken", "provider": "gitea",
    });
    let made = owner.post("projects/shop/git", body).await;
    assert_eq!(made.data()["provider"], json!("gitea"));
    assert_eq!(made.data()["last_commit_status"], json!(null));
    let moved = async |url: &str| {
        let answer = owner
            .put("projects/shop/git", json!({"repo_url": url}))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.data()["has_access_token"].clone()
    };
    assert_eq!(
        moved("https://git.example/you/other.git").await,
        json!(true)
    );
    assert_eq!(
        moved("https://evil.example/you/app.git").await,
        json!(false)
    );
}
