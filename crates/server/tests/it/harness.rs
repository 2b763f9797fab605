//! A server in this process, and clients for it.
//!
//! Not here: a real engine and a real proxy (`tests/e2e`).

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tose_api::{Hostname, ProjectId};
use tose_model::driver::ReplicaName;
use tose_model::money::Money;
use tose_model::route::{Route, RouteChange, RouteTable};
use tose_model::secret::ExposeSecret;
use tose_model::traffic::{AccessRecord, Traffic};
use tose_server::config::{Config, Flags, Listen};
use tose_server::data_plane::{DataPlane, DataPlaneError};
use tose_server::{DataDir, Parts, Server};
use tose_testkit::{FakeDriver, Gate, ManualClock, Program, SeededIds};

/// How long anything that is waited for may take. Generous: it is reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A data plane that takes every table and counts what it is told to.
#[derive(Default)]
pub(crate) struct RecordingDataPlane {
    table: Mutex<RouteTable>,
    in_flight: Mutex<HashMap<String, u64>>,
    /// What it says it has counted.
    pub(crate) traffic: Mutex<BTreeMap<ProjectId, Traffic>>,
    /// What is to be written into access logs.
    pub(crate) records: Mutex<Vec<AccessRecord>>,
    is_down: Mutex<bool>,
    gate: Arc<Gate>,
    /// Where each table is written first, as the real one does.
    file: PathBuf,
}

impl RecordingDataPlane {
    pub(crate) fn set_in_flight(&self, replica: &str, count: u64) {
        self.in_flight
            .lock()
            .expect("no panic")
            .insert(replica.to_owned(), count);
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        *self.is_down.lock().expect("no panic") = is_down;
    }

    pub(crate) fn route(&self, host: &str) -> Option<Route> {
        let table = self.table.lock().expect("no panic");
        table
            .routes
            .get(&host.parse().expect("a host name"))
            .cloned()
    }

    fn check(&self) -> Result<(), DataPlaneError> {
        if *self.is_down.lock().expect("no panic") {
            return Err(DataPlaneError {
                operation: "answer",
                source: "it is down".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl DataPlane for RecordingDataPlane {
    async fn publish(
        &self,
        table: &RouteTable,
        _: Option<&RouteChange>,
    ) -> Result<(), DataPlaneError> {
        self.check()?;
        let write = async { tose_proxy::snapshot::write(&self.file, table) };
        self.gate.around(write).await.expect("a written table");
        let take = async { *self.table.lock().expect("no panic") = table.clone() };
        self.gate.around(take).await;
        Ok(())
    }

    async fn forget_certificates(&self, _: &[Hostname]) -> Result<(), DataPlaneError> {
        self.check()
    }

    async fn in_flight(&self, replica: &ReplicaName) -> Result<u64, DataPlaneError> {
        self.check()?;
        Ok(self
            .in_flight
            .lock()
            .expect("no panic")
            .get(replica.as_str())
            .copied()
            .unwrap_or(0))
    }

    async fn traffic(&self) -> Result<BTreeMap<ProjectId, Traffic>, DataPlaneError> {
        self.check()?;
        Ok(self.traffic.lock().expect("no panic").clone())
    }

    async fn take_access_records(&self) -> Result<(Vec<AccessRecord>, u64), DataPlaneError> {
        self.check()?;
        Ok((
            std::mem::take(&mut *self.records.lock().expect("no panic")),
            0,
        ))
    }

    async fn ensure_running(&self) -> Result<(), DataPlaneError> {
        self.check()
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn start(config: Config, parts: Parts) -> Server {
    // A child of another test has the lock's descriptor too, between its fork and its exec.
    let data = eventually("a data directory that is free", async || {
        let opened = DataDir::open(&config.data_dir, parts.ids.as_ref()).await;
        opened.map_err(|error| format!("{error:?}"))
    })
    .await;
    tose_server::start(config, data, parts)
        .await
        .expect("a server")
}

/// A server with its data directory and its engine, which outlive restarts.
pub(crate) struct Lab {
    pub(crate) driver: FakeDriver,
    pub(crate) data_plane: Arc<RecordingDataPlane>,
    pub(crate) clock: Arc<ManualClock>,
    dir: tempfile::TempDir,
    pub(crate) ids: Arc<SeededIds>,
    server: Option<Server>,
    /// What the server runs in, if that is no matter of the test's own runtime.
    runtime: Option<Runtime>,
    base_url: String,
    /// What a new account is given.
    credit: Money,
    configure: Box<dyn Fn(&mut Config) + Send + Sync>,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server with other settings than the usual ones.
    pub(crate) async fn start_with(
        configure: impl Fn(&mut Config) + Send + Sync + 'static,
    ) -> Self {
        let mut lab = Self::new(configure);
        lab.boot().await;
        lab
    }

    /// A server that can be killed: see [`Lab::kill`].
    pub(crate) async fn start_to_be_killed(
        configure: impl Fn(&mut Config) + Send + Sync + 'static,
    ) -> Self {
        let mut lab = Self::new(configure);
        lab.runtime = Some(runtime());
        lab.boot().await;
        lab
    }

    fn new(configure: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        let clock = Arc::new(ManualClock::new());
        let driver = FakeDriver::new(clock.clone()).with_sockets();
        let dir = tempfile::tempdir().expect("a directory");
        let data_plane = RecordingDataPlane {
            gate: Arc::clone(driver.gate()),
            file: tose_proxy::routes_file(&dir.path().join("data")),
            ..RecordingDataPlane::default()
        };
        Self {
            driver,
            data_plane: Arc::new(data_plane),
            runtime: None,
            clock,
            dir,
            ids: Arc::new(SeededIds::new(1)),
            server: None,
            base_url: String::new(),
            credit: Money::ZERO,
            configure: Box::new(configure),
        }
    }

    async fn boot(&mut self) {
        let flags = Flags {
            data_dir: Some(self.dir.path().join("data")),
            api_addr: Some("127.0.0.1:0".parse().expect("an address")),
            http_addr: Some(Listen::Off),
            git_allow_file_urls: Some(true),
            ..Flags::default()
        };
        let mut config = Config::load(&flags).expect("a configuration");
        // Tests ask as often as they like, and Argon2 is slow enough as it is.
        config.limits.calls_per_minute = 0;
        config.limits.deployments_per_minute = 0;
        config.limits.failures_per_minute = 0;
        config.limits.max_upload_bytes = 1 << 20;
        // Those that are about money say so.
        config.billing.enabled = false;
        (self.configure)(&mut config);
        self.credit = config.billing.first_credit();
        let parts = Parts {
            driver: Arc::new(self.driver.clone()),
            data_plane: self.data_plane.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        let server = match &self.runtime {
            Some(runtime) => {
                let runtime = runtime.handle().clone();
                tokio::task::spawn_blocking(move || runtime.block_on(start(config, parts)))
                    .await
                    .expect("no panic")
            }
            None => start(config, parts).await,
        };
        self.base_url = format!("http://{}", server.api_addr);
        self.server = Some(server);
    }

    /// Ends the server as a signal does, and starts another on the same data and engine.
    pub(crate) async fn restart(&mut self) {
        self.server.take().expect("a server runs").stop().await;
        self.boot().await;
    }

    /// The same, with other settings from now on.
    pub(crate) async fn restart_with(
        &mut self,
        configure: impl Fn(&mut Config) + Send + Sync + 'static,
    ) {
        self.configure = Box::new(configure);
        self.restart().await;
    }

    /// Ends the server where it stands, as `kill -9` does: each of its tasks at the line where it waits.
    /// What was being written to the disk at the moment is written. Then starts another one.
    pub(crate) async fn kill(&mut self) {
        drop(self.server.take());
        let killed = self.runtime.replace(runtime());
        let killed = killed.expect("a server that was started to be killed");
        tokio::task::spawn_blocking(move || killed.shutdown_timeout(PATIENCE))
            .await
            .expect("no panic");
        self.driver.gate().open();
        self.boot().await;
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn api_addr(&self) -> std::net::SocketAddr {
        self.server.as_ref().expect("a server runs").api_addr
    }

    /// The owner of a workspace that is made if need be, with a key.
    pub(crate) async fn owner(&self, workspace: &str) -> Client {
        let data_dir = self.dir.path().join("data");
        let store = tose_server::open_store(&data_dir).await.expect("the store");
        let email = format!("{workspace}@example.com");
        let slug = workspace.parse().expect("a slug");
        let made = tose_server::app::bootstrap(
            &store,
            self.clock.as_ref(),
            self.ids.as_ref(),
            &email,
            &slug,
            self.credit,
        )
        .await
        .expect("an account");
        store.close().await;
        Client {
            http: reqwest::Client::new(),
            base_url: self.base_url.clone(),
            workspace: workspace.to_owned(),
            key: Some(made.api_key.expose_secret().to_owned()),
        }
    }

    /// Somebody with a password, who is logged in.
    pub(crate) async fn person(&self, email: &str) -> Person {
        let body = json!({"email": email, "password": PASSWORD});
        let (answer, headers) = self
            .anonymous()
            .raw(
                Method::POST,
                "/api/auth/register",
                &[("Content-Type", "application/json")],
                Some(body.to_string().into_bytes()),
            )
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Person::from_answer(self.anonymous(), &answer, &headers)
    }

    /// A member of `workspace` with this role, with a key.
    pub(crate) async fn member(&self, owner: &Client, role: &str) -> Client {
        let person = self
            .person(&format!("{role}-{}@example.com", owner.workspace))
            .await;
        let body = json!({"user_id": person.user_id, "role": role});
        assert_eq!(owner.post("members", body).await.status, 201);
        let store = tose_server::open_store(&self.dir.path().join("data"))
            .await
            .expect("the store");
        let made = tose_server::app::bootstrap(
            &store,
            self.clock.as_ref(),
            self.ids.as_ref(),
            &person.email,
            &owner.workspace.parse().expect("a slug"),
            self.credit,
        )
        .await
        .expect("a key");
        store.close().await;
        owner.with_key(Some(made.api_key.expose_secret()))
    }

    /// The project `shop` with a version that is live; answers the deployment.
    pub(crate) async fn live(&self, owner: &Client, image: &str) -> String {
        self.driver.add_image(image, Program::default());
        owner.project("shop", image).await;
        let id = owner.deploy("shop").await;
        owner.deployment_is("shop", &id, "running").await;
        id
    }

    /// Lets an account see to the whole installation.
    pub(crate) async fn make_operator(&self, email: &str) {
        let store = tose_server::open_store(&self.dir.path().join("data"))
            .await
            .expect("the store");
        let email = email.parse().expect("an address");
        store
            .set_operator(&email, tose_store::Operator::Yes)
            .await
            .expect("an operator");
        store.close().await;
    }

    /// What `tosed admin fsck` finds, as texts.
    pub(crate) async fn fsck(&self) -> Vec<String> {
        let store = tose_server::open_store(&self.dir.path().join("data"))
            .await
            .expect("the store");
        let findings = store.check().await.expect("a check");
        store.close().await;
        findings
            .into_iter()
            .map(|finding| format!("{}: {:?}", finding.problem, finding.rows))
            .collect()
    }

    /// Waits until the engine holds so many replicas.
    pub(crate) async fn has_replicas(&self, count: usize) {
        eventually(&format!("{count} replicas"), async || {
            let replicas = self.driver.peek();
            if replicas.len() == count {
                Ok(())
            } else {
                Err(format!("{replicas:?}"))
            }
        })
        .await;
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client {
            http: reqwest::Client::new(),
            base_url: self.base_url.clone(),
            workspace: "demo".to_owned(),
            key: None,
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // One that is dropped within another would wait for itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody who is logged in: calls with a cookie, as a browser does.
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) email: String,
    pub(crate) user_id: String,
    pub(crate) cookie: String,
    pub(crate) csrf_token: String,
}

impl Person {
    pub(crate) fn from_answer(client: Client, answer: &Answer, headers: &HeaderMap) -> Self {
        let cookie = headers["set-cookie"].to_str().expect("a text");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            client,
            email: text(&answer.data()["user"]["email"]),
            user_id: text(&answer.data()["user"]["id"]),
            cookie: cookie.split(';').next().expect("a cookie").to_owned(),
            csrf_token: text(&answer.data()["csrf_token"]),
        }
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let headers = [
            ("Content-Type", "application/json"),
            ("Cookie", self.cookie.as_str()),
            ("X-CSRF-Token", self.csrf_token.as_str()),
        ];
        let body = body.map(|body| body.to_string().into_bytes());
        self.client.raw(method, path, &headers, body).await.0
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }
}

/// Somebody who calls the API.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base_url: String,
    workspace: String,
    pub(crate) key: Option<String>,
}

/// An answer: status and body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn data(&self) -> &Value {
        assert!(self.body["success"] == json!(true), "{self:?}");
        &self.body["data"]
    }

    pub(crate) fn error(&self) -> &str {
        assert!(self.body["success"] == json!(false), "{self:?}");
        self.body["error"].as_str().expect("a text")
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().expect("a code")
    }
}

impl Client {
    /// The same caller at a server that was started again.
    pub(crate) fn at(&self, lab: &Lab) -> Self {
        Self {
            base_url: lab.base_url.clone(),
            ..self.clone()
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&str>) -> Answer {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base_url));
        if let Some(key) = &self.key {
            request = request.header("X-API-Key", key);
        }
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_owned());
        }
        let response = request.send().await.expect("an answer");
        assert!(
            response.headers().contains_key("x-request-id"),
            "every answer has a request id"
        );
        let status = response.status();
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        let kind = response.headers().get("content-type");
        let body = if kind.is_some_and(|kind| kind == "application/gzip") {
            Value::Null
        } else {
            response.json().await.expect("JSON")
        };
        Answer {
            status: status.as_u16(),
            body,
        }
    }

    /// A request of which the caller wants to see everything: body and headers as they are.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> (Answer, HeaderMap) {
        let url = format!("{}{}", self.base_url, self.path(path));
        let mut request = self.http.request(method, url);
        if let Some(key) = &self.key {
            request = request.header("X-API-Key", key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert_ne!(status, 500, "{path}");
        let bytes = response.bytes().await.expect("a body");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (Answer { status, body }, headers)
    }

    /// The bytes of a file.
    pub(crate) async fn download(&self, path: &str) -> Vec<u8> {
        let url = format!("{}{}", self.base_url, self.path(path));
        let request = self.http.request(Method::GET, url);
        let key = self.key.as_deref().expect("a key");
        let response = request.header("X-API-Key", key).send().await;
        let response = response.expect("an answer");
        assert_eq!(response.status().as_u16(), 200, "{path}");
        response.bytes().await.expect("a body").to_vec()
    }

    /// The same person with another key, or none.
    pub(crate) fn with_key(&self, key: Option<&str>) -> Self {
        Self {
            key: key.map(str::to_owned),
            ..self.clone()
        }
    }

    /// The same person, looking at another workspace.
    pub(crate) fn in_workspace(&self, workspace: &str) -> Self {
        Self {
            workspace: workspace.to_owned(),
            ..self.clone()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, &self.path(path), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, &self.path(path), Some(&body.to_string()))
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, &self.path(path), Some(&body.to_string()))
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, &self.path(path), None).await
    }

    /// A path of the caller's workspace; one that begins with `/` is taken as it is.
    fn path(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/api/workspaces/{}/{path}", self.workspace)
        }
    }

    /// A project that runs `image`.
    pub(crate) async fn project(&self, slug: &str, image: &str) -> Value {
        let body = json!({"name": slug, "slug": slug, "port": 3000, "image": image});
        let made = self.post("projects", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.data().clone()
    }

    /// Asks for a deployment and answers its id.
    pub(crate) async fn deploy(&self, project: &str) -> String {
        let made = self
            .post(&format!("projects/{project}/deployments"), json!({}))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        made.data()["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn deployment(&self, project: &str, id: &str) -> Value {
        self.get(&format!("projects/{project}/deployments/{id}"))
            .await
            .data()
            .clone()
    }

    /// Waits until the deployment has this status.
    pub(crate) async fn deployment_is(&self, project: &str, id: &str, status: &str) -> Value {
        eventually(&format!("deployment {id} is {status}"), async || {
            let deployment = self.deployment(project, id).await;
            let is_there = deployment["status"] == json!(status);
            if is_there {
                Ok(deployment)
            } else {
                Err(deployment.to_string())
            }
        })
        .await
    }

    /// A log once it is complete, which is a moment after the end that it tells.
    pub(crate) async fn complete_log(&self, path: &str) -> Value {
        eventually("the log is complete", async || {
            let log = self.get(path).await;
            match log.data()["complete"] == json!(true) {
                true => Ok(log.data().clone()),
                false => Err(log.data().to_string()),
            }
        })
        .await
    }

    /// Waits until a deployment has come to its end, or to life; its status.
    pub(crate) async fn deployment_ends(&self, project: &str, id: &str) -> String {
        eventually(&format!("deployment {id} ends"), async || {
            let deployment = self.deployment(project, id).await;
            match deployment["status"].as_str().expect("a status") {
                under_way @ ("queued" | "building" | "deploying") => Err(under_way.to_owned()),
                end => Ok(end.to_owned()),
            }
        })
        .await
    }

    /// Waits until the project has this status.
    pub(crate) async fn project_is(&self, project: &str, status: &str) -> Value {
        eventually(&format!("project {project} is {status}"), async || {
            let view = self
                .get(&format!("projects/{project}"))
                .await
                .data()
                .clone();
            if view["status"] == json!(status) {
                Ok(view)
            } else {
                Err(view.to_string())
            }
        })
        .await
    }
}

/// Polls until `look` finds what it looks for; panics with what it saw last.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if tokio::time::Instant::now() >= deadline => {
                panic!("never seen: {what}; last: {seen}")
            }
            Err(_) => pause().await,
        }
    }
}

async fn pause() {
    tokio::time::interval_at(tokio::time::Instant::now() + POLL, POLL)
        .tick()
        .await;
}
