//! `git push` over HTTP, the half that takes: Git's "smart" protocol around its own `receive-pack`.
//!
//! A push shows the log of the deployment that it leads to as it comes, and fails when that fails: the
//! branch is put back then, so that the same push can be tried again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, BodyDataStream};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tose_api::deployment::DeploymentStatus;
use tose_logs::Event;
use tose_model::Error;
use tose_model::access::Access;
use tose_model::project::Project;

use crate::app::Platform;
use crate::app::git_push::Pushed;
use crate::build::hosted::{Branch, Hosted};
use crate::http::error::{ApiError, Transport};
use crate::http::pkt_line::{self, Band, Frame};

const SERVICE: &str = "git-receive-pack";
/// How many frames wait for the client before nothing more is read.
const FRAMES_WAITING: usize = 16;
/// How often a client hears something while a build is silent.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// The most bytes of the commands that a push begins with.
const MAX_COMMANDS: usize = 1 << 20;
const CHUNK: usize = 64 * 1024;

/// The slugs of workspace and project, the latter with `.git` behind it.
type RepositoryPath = Path<(String, String)>;

/// `?service=`
#[derive(Deserialize)]
pub(crate) struct ServiceQuery {
    service: Option<String>,
}

/// What a client asks before it pushes.
pub(crate) async fn advertise(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, repository)): RepositoryPath,
    query: Result<Query<ServiceQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = query.ok().and_then(|Query(query)| query.service);
    if asked.as_deref() != Some(SERVICE) {
        return Err(Error::invalid_field(
            "service",
            "must be git-receive-pack: this server takes pushes only; clone the repository from where it lives",
        )
        .into());
    }
    let opened = platform.open_hosted(&access, project_of(&repository)).await;
    let body = match opened {
        Ok((_, hosted)) => hosted.advertise().await.map_err(git_broke)?,
        // Git shows the text to its user, which it does not with an answer of another status.
        Err(error @ Error::Conflict { .. }) => {
            pkt_line::frame(format!("ERR {error}\n").as_bytes()).to_vec()
        }
        Err(error) => return Err(error.into()),
    };
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&pkt_line::frame(
        format!("# service={SERVICE}\n").as_bytes(),
    ));
    bytes.extend_from_slice(&pkt_line::flush());
    bytes.extend_from_slice(&body);
    let kind = format!("application/x-{SERVICE}-advertisement");
    Ok(([(CONTENT_TYPE, kind)], bytes.freeze()).into_response())
}

/// The push itself.
pub(crate) async fn receive(
    State(platform): State<Arc<Platform>>,
    Extension(access): Extension<Access>,
    Path((_, repository)): RepositoryPath,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    if kind != Some(format!("application/x-{SERVICE}-request").as_bytes())
        || headers.contains_key(CONTENT_ENCODING)
    {
        return Err(Transport::NotAPush.into());
    }
    let (project, hosted) = platform
        .open_hosted(&access, project_of(&repository))
        .await?;
    let before = hosted.branches().await.map_err(git_broke)?;
    let child = hosted
        .receive(platform.config.limits.max_upload_bytes)
        .map_err(git_broke)?;
    let (sender, receiver) = mpsc::channel(FRAMES_WAITING);
    let push = Push {
        platform: Arc::clone(&platform),
        access,
        project,
        hosted,
        before,
        client: Client {
            sender,
            has_bands: false,
        },
    };
    let body = request.into_body().into_data_stream();
    // What Git has taken is deployed though the client may go away.
    platform.background.spawn(push.run(child, body));
    let answer = stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, io::Error>(bytes), receiver))
    });
    let kind = format!("application/x-{SERVICE}-result");
    Ok(([(CONTENT_TYPE, kind)], Body::from_stream(answer)).into_response())
}

fn project_of(repository: &str) -> &str {
    repository.strip_suffix(".git").unwrap_or(repository)
}

fn git_broke(error: io::Error) -> ApiError {
    Error::internal("git failed on a repository that lives here", error).into()
}

/// One push.
struct Push {
    platform: Arc<Platform>,
    access: Access,
    project: Project,
    hosted: Hosted,
    /// The branches before it.
    before: Vec<Branch>,
    client: Client,
}

/// Who pushes, and what they understand.
struct Client {
    sender: mpsc::Sender<Bytes>,
    has_bands: bool,
}

impl Client {
    /// Sends bytes; a client that is gone needs none.
    async fn send(&self, bytes: Bytes) {
        let _ = self.sender.send(bytes).await;
    }

    /// A line that the client's user sees.
    async fn say(&self, text: &str) {
        if self.has_bands {
            let plain: String = text.chars().filter(|c| !c.is_control()).collect();
            let line = format!("{plain}\n");
            self.send(pkt_line::on_band(Band::Progress, line.as_bytes()))
                .await;
        }
    }
}

/// What a push begins with.
#[derive(Debug, Default)]
struct Commands {
    /// The references that it wants to change.
    references: Vec<String>,
    capabilities: String,
}

impl Commands {
    /// Reads a line: the old commit, the new one, the reference, and behind a zero what the client can
    /// do.
    fn add(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let (command, capabilities) = text.split_once('\0').unwrap_or((&text, ""));
        if self.references.is_empty() {
            self.capabilities = capabilities.trim().to_owned();
        }
        if let Some(reference) = command.trim_end().splitn(3, ' ').nth(2) {
            self.references.push(reference.to_owned());
        }
    }

    fn has(&self, capability: &str) -> bool {
        let mut all = self.capabilities.split_whitespace();
        all.any(|one| one == capability)
    }
}

impl Push {
    async fn run(mut self, mut child: Child, body: BodyDataStream) {
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return;
        };
        let feeding = feed(stdin, body, self.platform.config.limits.max_upload_bytes);
        let reading = read(stdout, self.client.sender.clone());
        let (commands, output) = tokio::join!(feeding, reading);
        let exited = child.wait().await;
        let commands = match (commands, exited) {
            (Ok(commands), Ok(_)) => commands,
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "a push broke off");
                return;
            }
        };
        self.client.has_bands = commands.has("side-band-64k");
        let outcome = self.deploy().await;
        let report = match &outcome {
            Err((pushed, reason)) => {
                self.client.say(reason).await;
                self.put_back(pushed).await;
                refusal(&commands, &pushed.branch)
            }
            Ok(()) => output,
        };
        self.finish(&commands, report).await;
    }

    /// Deploys what was pushed, and shows how that goes. An error says what did not come to life.
    async fn deploy(&self) -> Result<(), (Pushed, String)> {
        let platform = &self.platform;
        let found = platform
            .find_pushed(&self.access, &self.project, &self.hosted, &self.before)
            .await;
        let pushed = match found {
            Ok(Some(pushed)) => pushed,
            Ok(None) => {
                let branch = self.hosted.default_branch().await.unwrap_or_default();
                let text = format!("nothing to deploy: a push to the branch {branch} deploys");
                self.client.say(&text).await;
                return Ok(());
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a push could not be read"
                );
                self.client
                    .say("the push was taken, and could not be deployed")
                    .await;
                return Ok(());
            }
        };
        let deployed = platform
            .deploy_pushed(&self.access, &self.project, &self.hosted, &pushed)
            .await;
        let id = match deployed {
            Ok(deployment) => deployment.id,
            Err(error) => return Err((pushed, error.to_string())),
        };
        self.client
            .say(&format!("deployment {id} of the branch {}", pushed.branch))
            .await;
        self.show_log(id).await;
        let slug = self.project.slug.as_str();
        let ended = platform
            .get_deployment(&self.access, slug, &id.to_string())
            .await;
        match ended {
            Ok(deployment)
                if matches!(
                    deployment.status,
                    DeploymentStatus::Failed | DeploymentStatus::Cancelled
                ) =>
            {
                Err((
                    pushed,
                    format!("the deployment is {}", deployment.status.as_str()),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Shows the deployment's log until its end, or until the client is gone.
    async fn show_log(&self, id: tose_api::DeploymentId) {
        let mut follower = self.platform.follow_build(id);
        let mut keepalive = tokio::time::interval(KEEPALIVE);
        keepalive.reset();
        loop {
            let event = tokio::select! {
                () = self.client.sender.closed() => return,
                event = follower.next() => event,
                _ = keepalive.tick() => {
                    if self.client.has_bands {
                        self.client.send(pkt_line::frame(&[Band::Data as u8])).await;
                    }
                    continue;
                }
            };
            match event {
                Ok(Event::Records(records)) => {
                    for record in records.iter() {
                        let text = String::from_utf8_lossy(&record.line.text);
                        self.client.say(&text).await;
                    }
                }
                Ok(Event::Missed(count)) => {
                    self.client
                        .say(&format!("({count} lines are not shown)"))
                        .await;
                }
                Ok(Event::End) => return,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a log could not be read"
                    );
                    return;
                }
            }
        }
    }

    /// A push whose deployment failed is as if it had not been: it can be tried again.
    async fn put_back(&self, pushed: &Pushed) {
        let before = pushed.before.as_deref();
        let outcome = self
            .hosted
            .put_back(&pushed.branch, &pushed.after, before)
            .await;
        if let Err(error) = outcome {
            // Somebody pushed again meanwhile.
            tracing::debug!(%error, "a branch was not put back");
        }
    }

    async fn finish(&self, commands: &Commands, report: Vec<u8>) {
        let has_report = commands.has("report-status") || commands.has("report-status-v2");
        if has_report && !report.is_empty() {
            let bytes = if self.client.has_bands {
                pkt_line::on_band(Band::Data, &report)
            } else {
                report.into()
            };
            self.client.send(bytes).await;
        }
        if self.client.has_bands {
            self.client.send(pkt_line::flush()).await;
        }
    }
}

/// The report of a push of which one branch was put back.
fn refusal(commands: &Commands, branch: &str) -> Vec<u8> {
    let refused = format!("refs/heads/{branch}");
    let mut report = pkt_line::frame(b"unpack ok\n").to_vec();
    for reference in &commands.references {
        let line = if *reference == refused {
            format!("ng {reference} deployment failed\n")
        } else {
            format!("ok {reference}\n")
        };
        report.extend_from_slice(&pkt_line::frame(line.as_bytes()));
    }
    report.extend_from_slice(&pkt_line::flush());
    report
}

/// Passes the client's request on to Git; answers the commands that it begins with.
async fn feed(
    mut stdin: ChildStdin,
    mut body: BodyDataStream,
    max_bytes: u64,
) -> io::Result<Commands> {
    let (mut commands, mut head, mut is_read) = (Commands::default(), BytesMut::new(), false);
    let mut taken: u64 = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(io::Error::other)?;
        taken += chunk.len() as u64;
        if taken > max_bytes.saturating_add(MAX_COMMANDS as u64) {
            return Err(io::Error::other(
                "the push is larger than a source tree may be",
            ));
        }
        if !is_read {
            head.extend_from_slice(&chunk);
            while let Some(frame) = pkt_line::take(&mut head).map_err(io::Error::other)? {
                match frame {
                    Frame::Data(line) => commands.add(&line),
                    Frame::Flush => {
                        is_read = true;
                        head.clear();
                        break;
                    }
                }
            }
            if head.len() > MAX_COMMANDS {
                return Err(io::Error::other("the push has too many commands"));
            }
        }
        if stdin.write_all(&chunk).await.is_err() {
            // Git has seen enough, and says why in its output.
            break;
        }
    }
    Ok(commands)
}

/// Passes on what Git says for the client's user; answers its report, which the client gets last.
async fn read(mut stdout: ChildStdout, client: mpsc::Sender<Bytes>) -> Vec<u8> {
    let (mut buffer, mut raw, mut report) = (BytesMut::new(), Vec::new(), Vec::new());
    let mut is_framed = true;
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match stdout.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        raw.extend_from_slice(&chunk[..count]);
        buffer.extend_from_slice(&chunk[..count]);
        while let Ok(Some(frame)) = pkt_line::take(&mut buffer) {
            let Frame::Data(data) = frame else { continue };
            match data.first() {
                Some(&band) if band == Band::Data as u8 => report.extend_from_slice(&data[1..]),
                Some(2 | 3) => {
                    let _ = client.send(pkt_line::frame(&data)).await;
                }
                // A client without bands gets the report as it is.
                _ => is_framed = false,
            }
        }
    }
    if is_framed { report } else { raw }
}
