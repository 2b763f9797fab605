//! `git push` to this server, by the real `git`, on a fake engine.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use tose_testkit::Program;

use crate::git::commit;
use crate::harness::{Client, Lab, eventually};

/// A working copy, and who pushes from it.
struct Copy {
    dir: std::path::PathBuf,
    url: String,
}

impl Copy {
    fn of(lab: &Lab, key: Option<&str>, project: &str) -> Self {
        let password = key.unwrap_or("wrong");
        let addr = lab.api_addr();
        Self {
            dir: lab.data_dir().join("copy"),
            url: format!("http://any:{password}@{addr}/git/demo/{project}.git"),
        }
    }

    fn commit(&self, dockerfile: &str, message: &str) -> String {
        commit(&self.dir, &[("Dockerfile", dockerfile)], message)
    }

    /// Pushes; answers whether it went well, and what was shown.
    async fn push(&self, references: &[&str]) -> (bool, String) {
        let (dir, url) = (self.dir.clone(), self.url.clone());
        let references: Vec<String> = references.iter().map(|one| (*one).to_owned()).collect();
        let output = tokio::task::spawn_blocking(move || git_push(&dir, &url, &references))
            .await
            .expect("git runs");
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), shown)
    }
}

#[expect(clippy::disallowed_methods, reason = "tests push with the real git")]
fn git_push(dir: &Path, url: &str, references: &[String]) -> Output {
    Command::new("git")
        .args(["-c", "credential.helper=", "push", url])
        .args(references)
        .current_dir(dir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs")
}

async fn shop(lab: &Lab) -> (Client, Copy) {
    let owner = lab.owner("demo").await;
    let made = owner.post("projects", json!({"name": "shop"})).await;
    assert_eq!(made.status, 201);
    let copy = Copy::of(lab, owner.key.as_deref(), "shop");
    (owner, copy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_deploys_and_shows_how_that_goes() {
    let lab = Lab::start().await;
    let (owner, copy) = shop(&lab).await;
    for (number, message) in ["first", "second"].into_iter().enumerate() {
        let sha = copy.commit(&format!("FROM base\nRUN step {number}\n"), message);
        let (is_done, shown) = copy.push(&["main"]).await;
        assert!(is_done, "{shown}");
        for words in [
            "remote: Step 2/2 : RUN step",
            "remote: live at http://demo-shop.localhost",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        let project = owner.get("projects/shop").await;
        let live = &project.data()["live_deployment"];
        assert_eq!(live["commit"]["sha"], json!(sha));
        assert_eq!(live["commit"]["message"], json!(message));
        assert_eq!(live["trigger"], json!("git_push"));
    }
    let (is_done, shown) = copy.push(&["main"]).await;
    assert!(is_done && shown.contains("up-to-date"), "{shown}");
    // Nothing else is connected, so other deployments build what was pushed, too.
    let id = owner.deploy("shop").await;
    let again = owner.deployment_is("shop", &id, "running").await;
    assert_eq!(again["commit"]["message"], json!("second"));

    assert_eq!(owner.delete("projects/shop").await.status, 200);
    let repositories = lab.data_dir().join("data/git");
    eventually("the repository goes with its project", async || {
        let left = std::fs::read_dir(&repositories).expect("a folder").count();
        if left == 0 {
            Ok(())
        } else {
            Err(left.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_deployment_fails_is_refused_and_can_be_tried_again() {
    let lab = Lab::start().await;
    let (owner, copy) = shop(&lab).await;
    lab.driver.on_run("npm ci", &["npm error"], 1);
    copy.commit("FROM base\nRUN npm ci\n", "broken");
    for _ in 0..2 {
        let (is_done, shown) = copy.push(&["main"]).await;
        assert!(!is_done, "{shown}");
        for words in [
            "remote: the build failed",
            "[remote rejected] main -> main (deployment failed)",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }
    let list = owner.get("projects/shop/deployments").await;
    assert_eq!(list.body["meta"]["total"], json!(2), "tried again");
    copy.commit("FROM base\n", "mended");
    let (is_done, shown) = copy.push(&["main"]).await;
    assert!(is_done, "{shown}");
    owner.project_is("shop", "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_branch_that_was_pushed_first_is_deployed() {
    let lab = Lab::start().await;
    let (owner, copy) = shop(&lab).await;
    copy.commit("FROM base\n", "first");
    let (is_done, shown) = copy.push(&["HEAD:refs/heads/trunk"]).await;
    assert!(is_done && shown.contains("live at"), "{shown}");
    let (is_done, shown) = copy.push(&["HEAD:refs/heads/idea"]).await;
    assert!(is_done, "{shown}");
    assert!(
        shown.contains("a push to the branch trunk deploys"),
        "{shown}"
    );
    let list = owner.get("projects/shop/deployments").await;
    assert_eq!(list.body["meta"]["total"], json!(1));
    // What the connection says goes before.
    let connection = json!({"repo_full_name": "a/b", "branch": "idea"});
    assert_eq!(
        owner.post("projects/shop/git", connection).await.status,
        201
    );
    copy.commit("FROM base\n# 2\n", "second");
    let (is_done, shown) = copy.push(&["HEAD:refs/heads/trunk"]).await;
    assert!(is_done && shown.contains("nothing to deploy"), "{shown}");
    let (is_done, shown) = copy.push(&["HEAD:refs/heads/idea"]).await;
    assert!(is_done && shown.contains("live at"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_needs_a_key_of_the_workspace_and_a_project_that_is_built() {
    let lab = Lab::start().await;
    let (owner, copy) = shop(&lab).await;
    copy.commit("FROM base\n", "first");
    let stranger = lab.owner("other").await;
    for (key, words) in [
        (None, "Authentication failed"),
        (stranger.key.as_deref(), "not found"),
    ] {
        let (is_done, shown) = Copy::of(&lab, key, "shop").push(&["main"]).await;
        assert!(!is_done && shown.contains(words), "{shown}");
    }
    let (is_done, shown) = Copy::of(&lab, owner.key.as_deref(), "nothing")
        .push(&["main"])
        .await;
    assert!(!is_done && shown.contains("not found"), "{shown}");
    lab.driver.add_image("app:1", Program::default());
    owner.project("ready", "app:1").await;
    let (is_done, shown) = Copy::of(&lab, owner.key.as_deref(), "ready")
        .push(&["main"])
        .await;
    assert!(
        !is_done && shown.contains("this project runs an image"),
        "{shown}"
    );
    let member = lab.member(&owner, "member").await;
    let (is_done, shown) = Copy::of(&lab, member.key.as_deref(), "shop")
        .push(&["main"])
        .await;
    assert!(is_done, "a member may deploy: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_larger_than_a_source_tree_may_be_is_refused() {
    let lab = Lab::start_with(|config| config.limits.max_upload_bytes = 64 * 1024).await;
    let (owner, copy) = shop(&lab).await;
    copy.commit("FROM base\n", "first");
    // Noise, so that it does not compress.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let bytes: Vec<u8> = (0..200_000).map(|_| noise()).collect();
    std::fs::write(copy.dir.join("large"), bytes).expect("a file");
    copy.commit("FROM base\n", "large");
    let (is_done, shown) = copy.push(&["main"]).await;
    assert!(!is_done, "{shown}");
    let list = owner.get("projects/shop/deployments").await;
    assert_eq!(list.body["meta"]["total"], json!(0), "{shown}");
}
