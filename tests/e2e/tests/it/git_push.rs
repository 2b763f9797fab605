//! `git push` to the server itself.

use serde_json::json;
use tose_e2e::{Installation, Source, program, run};

#[tokio::test]
async fn a_push_to_the_server_is_live_when_it_returns() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let repository = site.repository("pushed").await;
    let api = site.api();
    let base = api.base_url.trim_start_matches("http://").to_owned();
    let body = json!({"name": "web", "port": 3000});
    let made = api.post("/projects", &body).await;
    let host = made["url"].as_str().expect("an address");
    let host = host
        .trim_start_matches("http://")
        .split([':', '/'])
        .next()
        .expect("a host")
        .to_owned();
    let url = format!("http://git:{}@{base}/git/demo/web.git", api.key);
    let push = async || {
        let mut git = program("git");
        git.args(["push", &url, "HEAD:refs/heads/main"])
            .current_dir(repository.path())
            .env("GIT_TERMINAL_PROMPT", "0");
        run(git).await
    };
    for page in ["one", "two"] {
        repository.commit(&Source::app(page)).await;
        let outcome = push().await;
        let shown = outcome.stderr.clone();
        assert_eq!(outcome.code, Some(0), "{shown}");
        assert!(shown.contains("remote: live at http"), "{shown}");
        assert_eq!(site.visit(&host, "/").await.text, page);
    }
    repository
        .commit(&Source::app("broken").main("raise SystemExit(3)\n"))
        .await;
    let outcome = push().await;
    assert!(
        outcome.stderr.contains("deployment failed"),
        "{}",
        outcome.stderr
    );
    assert_eq!(site.visit(&host, "/").await.text, "two");
}
