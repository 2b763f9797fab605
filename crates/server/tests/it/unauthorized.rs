//! Every route of the list, called by those who should not.

use reqwest::Method;

use crate::harness::Lab;

const ROUTES: &str =
    include_str!("../../src/http/snapshots/tose_server__http__routes__tests__routes.snap");

/// Method, path and need of each line of the golden list.
fn routes() -> Vec<(Method, String, &'static str)> {
    let list = ROUTES.splitn(3, "---").nth(2).expect("a snapshot");
    list.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (method, rest) = line.split_once(' ').expect("a method");
            let (path, need) = rest.trim().split_once(" (").expect("a need");
            let method = if method == "WS" {
                Method::GET
            } else {
                method.parse().expect("a method")
            };
            let path = path
                .replace("{slug}", "demo")
                .replace("{project_slug}", "shop")
                .replace("{id}", "00000000-0000-7000-8000-000000000000")
                .replace("{key}", "A");
            (method, path, need.trim_end_matches(')'))
        })
        .collect()
}

#[tokio::test]
async fn nobody_enters_without_a_key_or_with_one_of_another_workspace() {
    let lab = Lab::start().await;
    let (owner, stranger) = (lab.owner("demo").await, lab.owner("other").await);
    owner.project("shop", "app:1").await;
    let mut garbage = stranger.clone();
    garbage.key = Some("tose_sk_garbage".to_owned());
    let routes = routes();
    assert!(routes.len() > 30, "the list is read");
    for (method, path, need) in routes {
        let call =
            async |client: &crate::harness::Client| client.send(method.clone(), &path, None).await;
        let anonymous = call(&lab.anonymous()).await;
        if need == "anybody" {
            assert_eq!(anonymous.status, 200, "{method} {path}");
            continue;
        }
        assert_eq!(anonymous.status, 401, "{method} {path}");
        assert_eq!(call(&garbage).await.status, 401, "{method} {path}");
        if need != "key" {
            let foreign = call(&stranger).await;
            let nowhere = stranger
                .send(method.clone(), &path.replace("/demo", "/nowhere"), None)
                .await;
            assert_eq!(foreign.status, 404, "{method} {path}");
            assert_eq!(foreign, nowhere, "{method} {path}");
        }
    }
}
