//! The programs that talk with a database's server, run inside its replica.
//!
//! Not here: which programs there are (`tose_model::database`), and when they run.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tose_model::Driver;
use tose_model::database::Program;
use tose_model::driver::{DriverError, ExecOutput, ExecSession, ReplicaName};
use tose_model::secret::ExposeSecret;

/// The most that is kept of what a program writes, in bytes.
const MAX_KEPT: usize = 16 << 10;

/// Why a program did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The engine could not run it.
    #[error("the program could not be run")]
    Engine(#[from] DriverError),
    /// It ended without success; this is what it said.
    #[error("{0}")]
    Failed(String),
    /// It was not done in its time.
    #[error("it was not done within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// What it wrote could not be kept, or what it was to read could not be had.
    #[error("its data could not be moved")]
    Data(#[source] std::io::Error),
}

/// Where a program's input comes from.
pub(crate) trait Source: Send {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> impl Future<Output = std::io::Result<Option<Bytes>>> + Send;
}

/// Where a program's output goes.
pub(crate) trait Target: Send {
    /// Takes the next piece.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = std::io::Result<()>> + Send;
}

/// A text that is sent as a whole, or nothing.
impl Source for Option<Bytes> {
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        Ok(self.take())
    }
}

/// The first bytes of an output.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_KEPT - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}

impl Target for Kept {
    async fn write(&mut self, bytes: Bytes) -> std::io::Result<()> {
        self.add(&bytes);
        Ok(())
    }
}

/// Runs a program to its end; what it wrote.
pub(crate) async fn run(
    driver: &dyn Driver,
    replica: &ReplicaName,
    program: &Program,
    timeout: Duration,
) -> Result<String, ClientError> {
    let mut written = Kept::default();
    let mut input = program
        .input
        .as_ref()
        .map(|text| Bytes::copy_from_slice(text.expose_secret().as_bytes()));
    let moved = transfer(driver, replica, program, &mut input, &mut written);
    tokio::time::timeout(timeout, moved)
        .await
        .map_err(|_| ClientError::TimedOut(timeout))??;
    let text = written.text();
    let last = text.lines().last().unwrap_or_default().trim();
    match program.expects {
        Some(expected) if last != expected => Err(ClientError::Failed(text)),
        _ => Ok(text),
    }
}

/// Runs a program whose output is no text for people; fails unless it ends well.
pub(crate) async fn dump(
    driver: &dyn Driver,
    replica: &ReplicaName,
    program: &Program,
    target: &mut impl Target,
) -> Result<(), ClientError> {
    transfer(driver, replica, program, &mut None::<Bytes>, target).await
}

/// Runs a program that reads all of `source`; fails unless it ends well.
pub(crate) async fn feed(
    driver: &dyn Driver,
    replica: &ReplicaName,
    program: &Program,
    source: &mut impl Source,
) -> Result<(), ClientError> {
    transfer(driver, replica, program, source, &mut Kept::default()).await
}

async fn transfer(
    driver: &dyn Driver,
    replica: &ReplicaName,
    program: &Program,
    source: &mut impl Source,
    target: &mut impl Target,
) -> Result<(), ClientError> {
    let ExecSession {
        id,
        mut output,
        mut input,
    } = driver.exec(replica, &program.request).await?;
    let mut said = Kept::default();
    let write = async {
        while let Some(piece) = source.next().await.map_err(ClientError::Data)? {
            if input.send(piece).await.is_err() {
                // It reads no further: its exit code says whether that is a failure.
                return Ok(());
            }
        }
        let _ = input.close().await;
        Ok(())
    };
    let read = async {
        while let Some(piece) = output.next().await {
            match piece? {
                ExecOutput::Stdout(bytes) => {
                    target.write(bytes).await.map_err(ClientError::Data)?
                }
                ExecOutput::Stderr(bytes) => said.add(&bytes),
            }
        }
        Ok::<_, ClientError>(())
    };
    tokio::try_join!(write, read)?;
    match driver.exec_exit_code(&id).await? {
        Some(0) => Ok(()),
        code => {
            let said = said.text();
            let code = code.map_or_else(
                || "no exit code".to_owned(),
                |code| format!("exit code {code}"),
            );
            Err(ClientError::Failed(match said.is_empty() {
                true => code,
                false => said,
            }))
        }
    }
}
