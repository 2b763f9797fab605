//! Readers of what replicas print.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tose_api::Timestamp;
use tose_model::driver::{DriverResult, ReplicaName};
use tose_model::log::LogLine;

use super::unavailable;
use super::world::World;

impl World {
    pub(super) fn open_log(
        &self,
        installation: &str,
        name: &ReplicaName,
        since: Option<Timestamp>,
    ) -> Option<LogReader> {
        let replica = self.find(installation, name)?;
        let until = if replica.is_running() {
            Until::EndOfRun(replica.runs)
        } else {
            Until::Line(replica.lines.len())
        };
        Some(LogReader {
            installation: installation.to_owned(),
            name: name.clone(),
            since,
            next: 0,
            until,
            changes: self.changes(),
        })
    }
}

/// Where a reader stops: a stream follows one run.
#[derive(Debug, Clone, Copy)]
enum Until {
    Line(usize),
    EndOfRun(u32),
}

/// Someone who reads a replica's output.
pub(super) struct LogReader {
    installation: String,
    name: ReplicaName,
    since: Option<Timestamp>,
    next: usize,
    until: Until,
    changes: watch::Receiver<u64>,
}

enum Found {
    Line(DriverResult<LogLine>),
    End,
    Nothing,
}

impl LogReader {
    fn look(&mut self, world: &World) -> Found {
        if world.is_down {
            return Found::Line(Err(unavailable("the fake engine went down")));
        }
        let Some(replica) = world.find(&self.installation, &self.name) else {
            return Found::End;
        };
        loop {
            let line = replica.lines.get(self.next);
            let is_over = match (self.until, line) {
                (Until::Line(end), _) => self.next >= end,
                (Until::EndOfRun(run), Some((of, _))) => *of > run,
                (Until::EndOfRun(run), None) => replica.runs != run || !replica.is_running(),
            };
            if is_over {
                return Found::End;
            }
            let Some((_, line)) = line else {
                return Found::Nothing;
            };
            self.next += 1;
            if self.since.is_none_or(|since| line.time >= since) {
                return Found::Line(Ok(line.clone()));
            }
        }
    }
}

/// The lines that a reader finds, as they come.
pub(super) fn follow(
    world: Arc<Mutex<World>>,
    reader: LogReader,
) -> BoxStream<'static, DriverResult<LogLine>> {
    let lines = stream::unfold(Some((world, reader)), |state| async {
        let (world, mut reader) = state?;
        loop {
            reader.changes.borrow_and_update();
            let found = reader.look(&world.lock().expect("no test panics while it is held"));
            match found {
                Found::Line(Ok(line)) => return Some((Ok(line), Some((world, reader)))),
                Found::Line(Err(error)) => return Some((Err(error), None)),
                Found::End => return None,
                Found::Nothing => reader.changes.changed().await.ok()?,
            }
        }
    });
    lines.boxed()
}
