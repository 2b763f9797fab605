//! A command in this terminal: keys go there, and what it writes comes back.
//!
//! Guarantees: the terminal is as it was before when [`run`] is over, however it ends.

use std::io::{self, Read};
use std::thread;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tose_api::client::{self, ExecChunk, ExecInput, ExecOutput, ExecStream, TerminalSize};
use tose_api::exec::{ExecControl, ExecEvent};

use crate::context::Context;
use crate::terminal::{self, ChangedModes};

/// How many keys are read at once.
const MAX_KEYS: usize = 4096;
/// How many such reads may wait to be sent.
const MAX_WAITING: usize = 16;

/// Carries bytes both ways until the command ends; answers its exit code.
pub(super) async fn run(ctx: &Context, stream: ExecStream) -> Result<i64> {
    let ExecStream { input, output } = stream;
    let resizes = signal(SignalKind::window_change())
        .context("cannot listen for changes of the terminal's size")?;
    let raw = ChangedModes::raw().context("cannot take the terminal over")?;
    let result = tokio::select! {
        result = show(ctx, output) => result,
        never = send(input, read_keys(), resizes) => match never {},
    };
    drop(raw);
    result
}

/// Shows what the command writes, up to its end.
async fn show(ctx: &Context, mut output: ExecOutput) -> Result<i64> {
    while let Some(chunk) = output.next().await {
        match chunk? {
            ExecChunk::Bytes(bytes) => ctx.output.raw(&bytes)?,
            ExecChunk::End(ExecEvent::ExitCode(code)) => return Ok(code),
            ExecChunk::End(ExecEvent::Error(reason)) => bail!("the command was lost: {reason}"),
        }
    }
    bail!("the connection ended before the command did, which may go on")
}

/// Sends keys and sizes for as long as there are some. What cannot be sent is told by the other
/// half of the connection, so that this one never ends by itself.
async fn send(
    mut input: ExecInput,
    mut keys: mpsc::Receiver<Vec<u8>>,
    mut resizes: Signal,
) -> std::convert::Infallible {
    while send_next(&mut input, &mut keys, &mut resizes).await.is_ok() {}
    std::future::pending().await
}

async fn send_next(
    input: &mut ExecInput,
    keys: &mut mpsc::Receiver<Vec<u8>>,
    resizes: &mut Signal,
) -> client::Result<()> {
    tokio::select! {
        Some(bytes) = keys.recv() => input.send(bytes).await,
        Some(()) = resizes.recv() => match terminal::size() {
            Some(TerminalSize { cols, rows }) => {
                input.control(ExecControl::Resize { cols, rows }).await
            }
            None => Ok(()),
        },
        else => std::future::pending().await,
    }
}

/// Reads keys on a thread of its own: a read of a terminal cannot be called off.
fn read_keys() -> mpsc::Receiver<Vec<u8>> {
    let (sender, keys) = mpsc::channel(MAX_WAITING);
    thread::spawn(move || {
        let mut buffer = [0; MAX_KEYS];
        while let Ok(length @ 1..) = io::stdin().lock().read(&mut buffer) {
            if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    keys
}
