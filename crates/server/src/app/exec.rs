//! Commands inside running replicas.
//!
//! Not here: a shell. A command is an argument list; who wants a shell names one.
//! Caveat: an engine cannot end a command that it was asked to run. One that outlives its time goes
//! on inside the replica, without its input and without a reader, until it ends by itself.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tose_api::exec::{Exec, ExecResult};
use tose_model::access::Access;
use tose_model::driver::{
    DriverError, ExecOutput, ExecRequest, ExecSession, ReplicaName, ReplicaState, Scope, TtySize,
};
use tose_model::error::{Error, Result};

use crate::app::Platform;

const MAX_ARGUMENTS: usize = 100;
const MAX_ARGUMENT: usize = 4096;
const MAX_INPUT: usize = 1 << 20;
/// The most that is kept of each of the two outputs, in bytes.
const MAX_OUTPUT: usize = 1 << 20;
const DEFAULT_TIMEOUT_S: u32 = 30;
const MAX_TIMEOUT_S: u32 = 50;

/// A command that runs, with the replica that it runs in.
pub(crate) struct Running {
    pub(crate) pod: ReplicaName,
    pub(crate) session: ExecSession,
}

/// What a command wrote, as far as it is kept.
#[derive(Default)]
struct Captured {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Captured {
    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_OUTPUT - self.bytes.len();
        self.truncated |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Platform {
    /// Runs a command to its end, or for as long as the caller waits.
    pub(crate) async fn exec(
        &self,
        access: &Access,
        slug: &str,
        input: Exec,
    ) -> Result<ExecResult> {
        let seconds = input.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_S);
        if !(1..=MAX_TIMEOUT_S).contains(&seconds) {
            let problem = format!("must be between 1 and {MAX_TIMEOUT_S}");
            return Err(Error::invalid_field("timeout_seconds", problem));
        }
        let stdin = input.stdin.unwrap_or_default();
        if stdin.len() > MAX_INPUT {
            return Err(Error::invalid_field("stdin", "has at most 1 MiB"));
        }
        let Running { pod, session } = self
            .start_exec(access, slug, input.command, input.pod.as_deref(), None)
            .await?;
        let ExecSession {
            id,
            mut output,
            input: mut sink,
        } = session;
        let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
        let write = async {
            // A command that does not read its input is no failure.
            let _ = sink.send(Bytes::from(stdin)).await;
            let _ = sink.close().await;
        };
        let read = async {
            while let Some(part) = output.next().await {
                match part? {
                    ExecOutput::Stdout(bytes) => stdout.add(&bytes),
                    ExecOutput::Stderr(bytes) => stderr.add(&bytes),
                }
            }
            Ok::<(), DriverError>(())
        };
        let both = async { tokio::join!(write, read).1 };
        let timeout = Duration::from_secs(u64::from(seconds));
        let ended = tokio::time::timeout(timeout, both).await;
        let timed_out = ended.is_err();
        let exit_code = match ended {
            Ok(outcome) => {
                outcome?;
                self.driver.exec_exit_code(&id).await?
            }
            Err(_) => None,
        };
        Ok(ExecResult {
            pod: pod.to_string(),
            exit_code,
            stdout: stdout.text(),
            stderr: stderr.text(),
            truncated: stdout.truncated || stderr.truncated,
            timed_out,
        })
    }

    /// Starts a command in the replica called `pod`, or in the first that runs.
    pub(crate) async fn start_exec(
        &self,
        access: &Access,
        slug: &str,
        command: Vec<String>,
        pod: Option<&str>,
        tty: Option<TtySize>,
    ) -> Result<Running> {
        check_command(&command)?;
        let project = self.find_project(access, slug).await?;
        let mut replicas = self.driver.observe(Scope::Project(project.id)).await?;
        // Those that answer visitors come first.
        replicas.sort_by(|a, b| (a.key.index, &a.name).cmp(&(b.key.index, &b.name)));
        let found = replicas.into_iter().find(|replica| {
            let is_asked_for = pod.is_none_or(|pod| pod == replica.name.as_str());
            // A job has a container of its own that nobody asked to work in.
            let is_job = replica.key.job_number().is_some();
            is_asked_for && !is_job && replica.state == ReplicaState::Running
        });
        let pod = match (found, pod) {
            (Some(replica), _) => replica.name,
            (None, Some(_)) => return Err(Error::NotFound("running pod")),
            (None, None) => {
                return Err(Error::conflict(
                    "not_running",
                    "no pod of the project is running; start or deploy it first",
                ));
            }
        };
        let event = self.event(access, "project.exec", format!("{}/{pod}", project.slug));
        self.store.add_event(access.scope(), &event).await?;
        let request = ExecRequest {
            command,
            env: Vec::new(),
            tty,
        };
        let session = self.driver.exec(&pod, &request).await.map_err(exec_error)?;
        Ok(Running { pod, session })
    }
}

pub(super) fn exec_error(error: DriverError) -> Error {
    match error {
        DriverError::NotFound(_) => Error::conflict(
            "not_running",
            "the pod is not running any more; try another one",
        ),
        DriverError::CannotStart(reason) => Error::invalid_field("command", reason),
        other => other.into(),
    }
}

pub(super) fn check_command(command: &[String]) -> Result<()> {
    let is_usable =
        |argument: &String| argument.chars().count() <= MAX_ARGUMENT && !argument.contains('\0');
    let names_a_program = command.first().is_some_and(|program| !program.is_empty());
    if names_a_program && command.len() <= MAX_ARGUMENTS && command.iter().all(is_usable) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "command",
        "must be a list of 1 to 100 texts of at most 4096 characters, such as [\"ls\", \"-l\"]",
    ))
}
