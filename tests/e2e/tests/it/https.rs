//! Repositories over HTTPS.

use serde_json::json;
use tose_e2e::{HttpsGit, Installation, Source, TOKEN};

#[tokio::test]
async fn a_repository_over_https_is_built_and_one_that_is_not_there_is_named() {
    let Some(mut site) = Installation::start().await else {
        return;
    };
    let repository = site.repository("web").await;
    repository.commit(&Source::app("over https")).await;
    let root = repository.path().parent().expect("a folder");
    let server = HttpsGit::start(&site.path("https"), root).await;
    server.write_authorities(&site.authorities());
    site.kill_9();
    site.restart().await;

    let project = site.project("web", &Source::app("not this one")).await;
    let connect = async |name: &str| {
        let body = json!({"repo_url": server.url(name)});
        project.api.put(&project.path("/git"), &body).await
    };
    let name = repository
        .path()
        .file_name()
        .expect("a name")
        .to_string_lossy();
    connect(&name).await;
    project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "over https");

    connect("nothing.git").await;
    let record = project.deploy_and_wait().await;
    let error = record["error"].as_str().expect("a reason");
    assert!(
        error.contains("was not found, or it is not public"),
        "{error}"
    );

    let private = site.repository("private").await;
    private.commit(&Source::app("with a token")).await;
    let name = private.path().file_name().expect("a name");
    let url = server.url(&name.to_string_lossy());
    let with_token = async |token: &str| {
        let body = json!({"repo_url": url, "access_token": token});
        project.api.put(&project.path("/git"), &body).await
    };
    with_token("wrong").await;
    let record = project.deploy_and_wait().await;
    let error = record["error"].as_str().expect("a reason");
    assert!(error.contains("give an access_token (https)"), "{error}");
    let connection = with_token(TOKEN).await;
    assert_eq!(connection["has_access_token"], true);
    let id = project.deploy_live().await;
    assert_eq!(site.visit(&project.host, "/").await.text, "with a token");
    for text in [
        connection.to_string(),
        project.build_log(&id).await.text(),
        site.output(),
    ] {
        assert!(
            !text.contains(TOKEN) && !text.contains("e2e-token"),
            "{text}"
        );
    }
}
