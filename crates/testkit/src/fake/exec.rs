//! Commands beside a replica's process: the few that tests need.
//!
//! `echo ARGS…` writes its arguments and ends with 0, `printenv KEY` writes a variable of its own,
//! `false` ends with 1, `cat` writes what it reads until its input is closed, and so does `sh` in a
//! terminal. The clients of databases are told that all went well. Any other ends with 127, as a program
//! does that is not in the image.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Sink, StreamExt};
use tokio::sync::watch;
use tose_model::driver::{
    DriverError, DriverResult, ExecId, ExecOutput, ExecRequest, ExecSession, ReplicaName, TtySize,
};
use tose_model::secret::ExposeSecret;

use super::world::{Key, World};
use super::{gone, unavailable};

/// The exit code of a process that was killed.
const KILLED: i64 = 137;

/// The exit code when there is no such program.
pub(super) const NOT_IN_IMAGE: u8 = 127;

/// A command that was started.
pub(super) struct Exec {
    /// The replica it runs in, and in which of its runs.
    pub(super) key: Key,
    pub(super) run: u32,
    pub(super) size: Option<TtySize>,
    pub(super) exit_code: Option<i64>,
    output: VecDeque<Bytes>,
}

/// What `command` writes, and the exit code unless it goes on reading.
pub(super) fn script(command: &[String], has_tty: bool) -> (Option<String>, Option<u8>) {
    let words: Vec<_> = command.iter().map(String::as_str).collect();
    match words[..] {
        ["echo", ref rest @ ..] => (Some(format!("{}\n", rest.join(" "))), Some(0)),
        ["false"] => (None, Some(1)),
        ["cat"] => (None, None),
        // The programs of databases: each is told that all went well.
        ["psql" | "mysql", ref rest @ ..] if rest.contains(&"SELECT 1") => {
            (Some("1\n".to_owned()), Some(0))
        }
        ["psql" | "mysql" | "pg_restore", ..] => (None, Some(0)),
        ["redis-cli", .., "PING"] => (Some("PONG\n".to_owned()), Some(0)),
        ["redis-cli", .., "--rdb", "-"] => (Some("REDIS0011".to_owned()), Some(0)),
        ["redis-cli", ..] => (Some("OK\n".to_owned()), Some(0)),
        ["mongosh", ..] => (Some("1\n".to_owned()), Some(0)),
        ["pg_dump", ..] => (Some("PGDMP of a fake".to_owned()), Some(0)),
        ["mysqldump", ..] => (Some("-- Dump completed\n".to_owned()), Some(0)),
        ["du", "-sk", path] => (Some(format!("2048\t{path}\n")), Some(0)),
        ["sh"] if has_tty => (None, None),
        _ => (None, Some(NOT_IN_IMAGE)),
    }
}

/// The value of a variable that a command has besides the replica's.
fn printed(request: &ExecRequest, key: &str) -> Option<String> {
    let mut env = request.env.iter();
    let (_, value) = env.find(|(name, _)| name.as_str() == key)?;
    Some(format!("{}\n", value.expose_secret()))
}

impl Exec {
    pub(super) fn new(key: Key, run: u32, request: &ExecRequest) -> Self {
        let (text, exit_code) = match request.command.as_slice() {
            [program, key] if program == "printenv" => (printed(request, key), Some(0)),
            command => script(command, request.tty.is_some()),
        };
        Self {
            key,
            run,
            size: request.tty,
            exit_code: exit_code.map(i64::from),
            output: text.map(Bytes::from).into_iter().collect(),
        }
    }
}

impl World {
    /// Begins a command in a replica that runs.
    pub(super) fn exec(
        &mut self,
        installation: &str,
        name: &ReplicaName,
        request: &ExecRequest,
    ) -> DriverResult<ExecId> {
        let replica = self.find(installation, name).ok_or_else(|| gone(name))?;
        if !replica.is_running() {
            return Err(DriverError::CannotStart(format!(
                "replica {name} does not run"
            )));
        }
        let exec = Exec::new(
            (installation.to_owned(), name.clone()),
            replica.runs,
            request,
        );
        let id = ExecId::new(&format!("exec{}", self.execs.len()));
        self.execs.insert(id.as_str().into(), exec);
        Ok(id)
    }

    /// Whether the run of the replica goes on that a command was started in.
    pub(super) fn runs_command(&self, id: &ExecId) -> bool {
        let exec = self.execs.get(id.as_str());
        let replica = exec.and_then(|exec| Some((exec, self.find(&exec.key.0, &exec.key.1)?)));
        replica.is_some_and(|(exec, replica)| replica.is_running() && replica.runs == exec.run)
    }

    /// A command that this installation started.
    pub(super) fn find_exec(&mut self, installation: &str, id: &ExecId) -> DriverResult<&mut Exec> {
        let exec = self.execs.get_mut(id.as_str());
        exec.filter(|exec| exec.key.0 == installation)
            .ok_or_else(|| DriverError::NotFound("the command".to_owned()))
    }
}

/// The way to talk with a command that is there.
pub(super) fn session(world: &Arc<Mutex<World>>, id: ExecId) -> ExecSession {
    let input = Input {
        world: Arc::clone(world),
        id: id.clone(),
    };
    ExecSession {
        output: follow(Arc::clone(world), id.clone()),
        id,
        input: Box::pin(input),
    }
}

enum Found {
    Piece(DriverResult<ExecOutput>),
    End,
    Nothing,
}

fn look(world: &mut World, id: &ExecId) -> Found {
    if world.is_down {
        return Found::Piece(Err(unavailable("the fake engine went down")));
    }
    let is_running = world.runs_command(id);
    let Some(exec) = world.execs.get_mut(id.as_str()) else {
        return Found::End;
    };
    if let Some(piece) = exec.output.pop_front() {
        return Found::Piece(Ok(ExecOutput::Stdout(piece)));
    }
    if exec.exit_code.is_none() && !is_running {
        exec.exit_code = Some(KILLED);
    }
    match exec.exit_code {
        Some(_) => Found::End,
        None => Found::Nothing,
    }
}

fn follow(world: Arc<Mutex<World>>, id: ExecId) -> BoxStream<'static, DriverResult<ExecOutput>> {
    let changes = world
        .lock()
        .expect("no test panics while it is held")
        .changes();
    let pieces = stream::unfold(Some((world, id, changes)), |state| async {
        let (world, id, mut changes): (_, _, watch::Receiver<u64>) = state?;
        loop {
            changes.borrow_and_update();
            let found = look(
                &mut world.lock().expect("no test panics while it is held"),
                &id,
            );
            match found {
                Found::Piece(Ok(piece)) => return Some((Ok(piece), Some((world, id, changes)))),
                Found::Piece(Err(error)) => return Some((Err(error), None)),
                Found::End => return None,
                Found::Nothing => changes.changed().await.ok()?,
            }
        }
    });
    pieces.boxed()
}

/// A command's standard input, which writes into its output.
struct Input {
    world: Arc<Mutex<World>>,
    id: ExecId,
}

impl Input {
    fn with(&self, act: impl FnOnce(&mut Exec)) -> DriverResult<()> {
        let mut world = self.world.lock().expect("no test panics while it is held");
        let is_running = world.runs_command(&self.id);
        let exec = world.execs.get_mut(self.id.as_str());
        let Some(exec) = exec.filter(|exec| is_running && exec.exit_code.is_none()) else {
            return Err(DriverError::Failed {
                operation: "pass input to a command".to_owned(),
                source: "it has ended".into(),
            });
        };
        act(exec);
        world.notify();
        Ok(())
    }
}

impl Sink<Bytes> for Input {
    type Error = DriverError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), DriverError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, bytes: Bytes) -> Result<(), DriverError> {
        self.with(|exec| exec.output.push_back(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), DriverError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), DriverError>> {
        // One that has ended needs no end of its input.
        let _ = self.with(|exec| exec.exit_code = Some(0));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let _ = self.with(|exec| exec.exit_code = Some(0));
    }
}
