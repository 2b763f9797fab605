//! Sources without a Dockerfile: one app for each recipe, built and served for real.
//!
//! The installations of these tests share layers with each other and with earlier runs, so that an
//! unchanged app is built once on a machine. That projects share nothing otherwise is tested in
//! `crates/driver-docker/tests/it/building.rs`.

use http::Method;
use serde_json::{Value, json};
use tose_e2e::{Installation, Project, Source, eventually};

async fn site() -> Option<Installation> {
    Installation::start_with("[build]\nshared_cache = true\n").await
}

async fn project(site: &Installation, recipe: &str, source: &Source) -> Project {
    let settings = json!({"port": 3000});
    site.project_of(site.api(), recipe, source, settings).await
}

/// Deploys the app of a recipe; its page.
async fn page(recipe: &str, path: &str, env: &[(&str, &str)]) -> Option<(String, String)> {
    let site = site().await?;
    let project = project(&site, recipe, &Source::recipe(recipe)).await;
    for (key, value) in env {
        project
            .post("/env", &json!({"key": key, "value": value}))
            .await;
    }
    let id = project.deploy_live().await;
    let page = site.visit(&project.host, path).await;
    let log = project.build_log(&id).await;
    Some((page.text, format!("{log:?}")))
}

#[tokio::test]
async fn npm_installs_and_starts() {
    let Some((page, log)) = page("node-npm", "/", &[]).await else {
        return;
    };
    assert_eq!(page, "<h1>npm: a day has 86400000 ms, user 1000</h1>");
    assert!(
        log.contains("recipe `node`, because it has a package.json"),
        "{log}"
    );
}

#[tokio::test]
async fn pnpm_builds_with_the_projects_variables() {
    let env = [("GREETING", "good morning")];
    let Some((page, log)) = page("node-pnpm", "/", &env).await else {
        return;
    };
    assert_eq!(page, "<h1>pnpm: good morning, 172800000 ms</h1>");
    assert!(log.contains("ARG GREETING"), "{log}");
}

#[tokio::test]
async fn next_builds_its_own_server() {
    let Some((page, _)) = page("node-next", "/", &[]).await else {
        return;
    };
    assert!(page.contains("<h1>Next.js on port 3000</h1>"), "{page}");
}

#[tokio::test]
async fn vite_builds_a_site_whose_one_page_answers_every_path() {
    let Some(site) = site().await else {
        return;
    };
    let project = project(&site, "node-vite", &Source::recipe("node-vite")).await;
    let variable = json!({"key": "VITE_AUDIENCE", "value": "everybody"});
    project.post("/env", &variable).await;
    project.deploy_live().await;
    let page = site.visit(&project.host, "/some/path").await;
    assert_eq!(page.status, 200);
    let (_, script) = page.text.split_once("src=\"").expect("a script");
    let (script, _) = script.split_once('"').expect("its path");
    let script = site.visit(&project.host, script).await;
    assert!(script.text.contains("everybody"), "{}", script.text);
}

#[tokio::test]
async fn pip_installs_and_flask_is_served() {
    let Some((page, log)) = page("python-pip", "/", &[]).await else {
        return;
    };
    assert_eq!(page, "<h1>Flask, user 1000</h1>");
    assert!(
        log.contains("gunicorn --bind 0.0.0.0:$PORT app:app"),
        "{log}"
    );
}

#[tokio::test]
async fn go_builds_the_program_in_cmd() {
    let Some((page, _)) = page("go", "/", &[]).await else {
        return;
    };
    assert_eq!(page, "<h1>Go: cfbff0d1-9375-5685-968c-48ce8b15ae17</h1>");
}

#[tokio::test]
async fn rust_builds_the_package_and_what_it_depends_on() {
    let Some((page, _)) = page("rust", "/", &[]).await else {
        return;
    };
    assert_eq!(page, "<h1>Rust: 42</h1>");
}

#[tokio::test]
async fn php_is_served_from_its_public_folder() {
    let Some((page, _)) = page("php", "/?x=1", &[]).await else {
        return;
    };
    assert_eq!(page, "<h1>PHP 8, user 33, /?x=1</h1>\n");
}

#[tokio::test]
async fn plain_html_is_served_and_what_is_no_page_is_not() {
    let Some(site) = site().await else {
        return;
    };
    let source = Source::recipe("static")
        .file(
            "tose.json",
            r#"{"run": {"port": 8080, "health_check_path": "/docs/guide"}}"#,
        )
        .file(".env", "SECRET=x");
    let project = project(&site, "static", &source).await;
    project.deploy_live().await;
    for (path, status, words) in [
        ("/", 200, "Plain HTML"),
        ("/docs/guide", 200, "A page below"),
        ("/nowhere", 404, "Nothing here"),
        ("/tose.json", 404, "Nothing here"),
        ("/.env", 404, "Nothing here"),
        ("/.tose.Dockerfile", 404, "Nothing here"),
    ] {
        let page = site.visit(&project.host, path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text.contains(words), "{path}: {}", page.text);
    }

    let mistake = Source::recipe("static").file("tose.json", r#"{"build": {"recipes": "x"}}"#);
    project.repository.commit(&mistake).await;
    let failed = project.deploy_and_wait().await;
    let reason = failed["error"].as_str().expect("a reason");
    assert!(
        reason.starts_with("tose.json: build.recipes: unknown field"),
        "{reason}"
    );
    assert_eq!(site.visit(&project.host, "/").await.status, 200);
}

#[tokio::test]
async fn what_is_sent_along_is_built_by_a_recipe_and_started_as_its_procfile_says() {
    let Some(site) = site().await else {
        return;
    };
    let source = Source::recipe("node-npm")
        .file(
            "Procfile",
            "release: node -p \"'released ' + (40 + 2)\"\nweb: echo \"it's $PORT\" && exec node other.js\nworker: node -e 'setInterval(() => console.log(\"at work on \" + process.title), 200)'\n",
        )
        .file(
            "other.js",
            "require('http').createServer((q, r) => r.end('from the Procfile')).listen(process.env.PORT)",
        );
    let project = project(&site, "sent", &Source::recipe("static")).await;
    let path = project.path("/deployments/upload");
    let made = site
        .api()
        .post_bytes(&path, "application/gzip", source.archive())
        .await;
    let id = made["id"].as_str().expect("an id");
    let record = project.settled(id).await;
    assert_eq!(record["status"], "running", "{record}");
    let page = site.visit(&project.host, "/").await;
    assert_eq!(page.text, "from the Procfile");
    let log = project.build_log(id).await;
    assert!(log.position("released 42") < log.position("starting replica"));
    let log = format!("{:?}", project.log_so_far().await);
    assert!(log.contains("it's 3000"), "{log}");
    let answer = site.api().call(Method::GET, &project.path(""), None).await;
    assert_eq!(answer.data()["start_command"], Value::Null);

    let scaled = json!({"processes": {"worker": 1}});
    project.post("/scale", &scaled).await;
    eventually("the worker writes to the log", async || {
        let log = format!("{:?}", project.log_so_far().await);
        match log.contains("at work on node") {
            true => Ok(()),
            false => Err(log),
        }
    })
    .await;
    let status = project.get("/status").await;
    let pods = status["pods"]["items"].as_array().expect("a list");
    let processes: Vec<_> = pods.iter().map(|pod| &pod["process"]).collect();
    assert!(processes.contains(&&json!("worker")), "{status}");
    assert_eq!(site.visit(&project.host, "/").await.status, 200);
}
