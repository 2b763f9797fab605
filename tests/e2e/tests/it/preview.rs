//! A merge request beside its project, on the real engine.

use serde_json::{Value, json};
use tose_e2e::{Installation, Project, Source};

/// Tells the server of a merge request, as GitLab does; what it led to.
async fn tell(project: &Project, delivery: &str, action: &str) -> Value {
    let webhook = project.get("/git/webhook").await;
    let secret = webhook["secret"].as_str().expect("a secret");
    let event = json!({
        "object_kind": "merge_request",
        "project": {"git_http_url": project.repository.url()},
        "object_attributes": {
            "iid": 7, "action": action, "title": "a change", "source_branch": "feature",
            "target_branch": "main", "source_project_id": 1, "target_project_id": 1,
        },
    });
    let headers = [
        ("X-Gitlab-Event", "Merge Request Hook"),
        ("X-Gitlab-Token", secret),
        ("X-Gitlab-Event-UUID", delivery),
    ];
    let path = "/api/webhooks/gitlab";
    let mut answer = project.api.send_event(path, &headers, &event).await;
    answer["projects"][0].take()
}

#[tokio::test]
async fn a_merge_request_runs_beside_its_project_and_goes_when_it_is_merged() {
    let Some(site) = Installation::start().await else {
        return;
    };
    let project = site.project("web", &Source::app("the project")).await;
    project.deploy_live().await;
    let on = json!({"previews": true});
    project.api.put(&project.path("/git"), &on).await;
    project.repository.checkout("feature").await;
    project.repository.commit(&Source::app("the request")).await;

    let outcome = tell(&project, "one", "open").await;
    assert_eq!(outcome["verdict"], "deployed", "{outcome}");
    let previews = project.get("/previews").await;
    let url = previews[0]["url"].as_str().expect("an address");
    let host = url.trim_start_matches("http://");
    let host = host.split(':').next().expect("a host").to_owned();
    let preview = Project {
        slug: "web-pr-7".to_owned(),
        id: previews[0]["id"].as_str().expect("an id").to_owned(),
        host,
        ..project.clone()
    };
    let id = outcome["deployment_id"].as_str().expect("an id");
    let record = preview.settled(id).await;
    assert_eq!(record["status"], "running", "{record}");
    assert_eq!(site.visit(&preview.host, "/").await.text, "the request");
    assert_eq!(site.visit(&project.host, "/").await.text, "the project");

    let outcome = tell(&project, "two", "merge").await;
    assert_eq!(outcome["verdict"], "preview_removed", "{outcome}");
    preview.has_no_container().await;
    site.shows(&preview.host, 404).await;
    assert_eq!(site.visit(&project.host, "/").await.text, "the project");
}
