//! A project with its repository, as most tests have one.

use http::Method;
use serde_json::{Value, json};
use tose_api::client::{LogFilter, LogQuery, LogStream};

use crate::api::Api;
use crate::engine::{Container, containers};
use crate::eventually::{eventually, when};
use crate::log::{Log, WHOLE, read_log};
use crate::repository::Repository;
use crate::source::Source;

/// A project that was made over the API.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name in URLs.
    pub slug: String,
    /// Its id.
    pub id: String,
    /// The host name at which visitors reach it.
    pub host: String,
    /// Who made it.
    pub api: Api,
    /// What it is built from.
    pub repository: Repository,
}

impl Project {
    /// Makes a project; `settings` are fields of the request beside the name. One that is built from
    /// Git gets its repository connected.
    pub(crate) async fn create(
        api: &Api,
        slug: &str,
        settings: Value,
        repository: Repository,
    ) -> Self {
        let mut body = json!({"name": slug, "slug": slug, "port": 8000, "cpu": "1", "ram": "0.25"});
        let settings = settings.as_object().expect("settings are an object");
        body.as_object_mut()
            .expect("it is an object")
            .extend(settings.clone());
        let made = api.post("/projects", &body).await;
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        let url = text("url");
        let host = url.trim_start_matches("http://");
        let project = Self {
            slug: slug.to_owned(),
            id: text("id"),
            host: host.split(':').next().unwrap_or(host).to_owned(),
            api: api.clone(),
            repository,
        };
        if made["source"] == "git" {
            let body = json!({"repo_url": project.repository.url()});
            project.post("/git", &body).await;
        }
        project
    }

    /// Its path below the workspace, with `rest` behind it.
    pub fn path(&self, rest: &str) -> String {
        format!("/projects/{}{rest}", self.slug)
    }

    /// `GET` below the project; the data.
    pub async fn get(&self, rest: &str) -> Value {
        self.api.get(&self.path(rest)).await
    }

    /// `POST` below the project; the data.
    pub async fn post(&self, rest: &str, body: &Value) -> Value {
        self.api.post(&self.path(rest), body).await
    }

    /// Asks for a deployment; its id.
    pub async fn deploy(&self) -> String {
        let made = self.post("/deployments", &json!({})).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    /// A deployment's record once it is not on its way any more.
    pub async fn settled(&self, id: &str) -> Value {
        eventually("the deployment has a result", async || {
            let record = self.get(&format!("/deployments/{id}")).await;
            match record["status"].as_str() {
                Some("queued" | "building" | "deploying") => Err(record.to_string()),
                _ => Ok(record),
            }
        })
        .await
    }

    /// Deploys; the record of the result, whatever it is.
    pub async fn deploy_and_wait(&self) -> Value {
        let id = self.deploy().await;
        self.settled(&id).await
    }

    /// Deploys and fails the test unless that comes to life; the deployment's id.
    pub async fn deploy_live(&self) -> String {
        let record = self.deploy_and_wait().await;
        assert_eq!(record["status"], "running", "{record}");
        record["id"].as_str().expect("an id").to_owned()
    }

    /// Commits `source` and deploys it, as [`Project::deploy_live`] does.
    pub async fn deploy_commit(&self, source: &Source) -> String {
        self.repository.commit(source).await;
        self.deploy_live().await
    }

    /// Waits for a status of the project's record.
    pub async fn becomes(&self, status: &str) {
        eventually(&format!("the project is {status}"), async || {
            let record = self.get("").await;
            when(record["status"] == status, record)
        })
        .await;
    }

    /// Its containers.
    pub async fn containers(&self) -> Vec<Container> {
        containers(&format!("tose.project={}", self.id)).await
    }

    /// Waits until exactly one replica runs, of this deployment; its name.
    pub async fn has_one_replica(&self, deployment: &str) -> String {
        eventually("one replica of the deployment is left", async || {
            let found = self.containers().await;
            match &found[..] {
                [one] if one.is_running && one.deployment.as_deref() == Some(deployment) => {
                    one.replica.clone().ok_or("it is no replica".to_owned())
                }
                _ => Err(format!("{found:?}")),
            }
        })
        .await
    }

    /// Waits until it has no container.
    pub async fn has_no_container(&self) {
        eventually("no container of the project is left", async || {
            let found = self.containers().await;
            when(found.is_empty(), format!("{found:?}"))
        })
        .await;
    }

    /// A deployment's log to its end.
    pub async fn build_log(&self, deployment: &str) -> Log {
        let query = LogQuery {
            follow: true,
            ..WHOLE
        };
        self.read_build_log(deployment, query).await
    }

    /// Waits until the log of a deployment that goes on has a line with these words.
    pub async fn build_log_says(&self, deployment: &str, words: &str) {
        eventually("the build log says so", async || {
            let text = self.read_build_log(deployment, WHOLE).await.text();
            when(text.contains(words), text)
        })
        .await;
    }

    async fn read_build_log(&self, deployment: &str, query: LogQuery) -> Log {
        let (workspace, slug) = (self.workspace(), self.slug());
        let id = deployment.parse().expect("an id");
        let stream = self
            .api
            .typed()
            .stream_build_logs(&workspace, &slug, id, query)
            .await;
        read_log(stream.expect("the log opens")).await
    }

    /// What its replicas write.
    pub async fn live_log(&self, query: LogQuery) -> LogStream {
        let (workspace, slug) = (self.workspace(), self.slug());
        let stream = self
            .api
            .typed()
            .stream_live_logs(&workspace, &slug, query, &LogFilter::default())
            .await;
        stream.expect("the log opens")
    }

    /// What its replicas wrote so far.
    pub async fn log_so_far(&self) -> Log {
        read_log(self.live_log(WHOLE).await).await
    }

    /// Deletes it.
    pub async fn delete(&self) {
        let answer = self.api.call(Method::DELETE, &self.path(""), None).await;
        answer.data();
    }

    fn workspace(&self) -> tose_api::Slug {
        self.api.workspace.parse().expect("a slug")
    }

    fn slug(&self) -> tose_api::Slug {
        self.slug.parse().expect("a slug")
    }
}
