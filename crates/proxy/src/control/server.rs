//! The answering end of the control socket.
//!
//! Guarantee: whatever a line holds, the answer is a line, and the next one is read.

use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::{UnixListener, UnixStream};

use super::{MAX_LINE_BYTES, MAX_LISTENERS, MAX_PROJECTS, NO_REQUEST, Request, Response};
use crate::error::{Error, Result};
use crate::listener::Listeners;
use crate::process::Process;

/// The control socket of this process.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Makes the socket and puts it in place of what is at `path`.
    pub(crate) fn bind(path: &Path) -> Result<Self> {
        let failed = |source| Error::ControlSocket {
            path: path.to_owned(),
            source,
        };
        let own_path = own_path(path);
        let listener = UnixListener::bind(&own_path).map_err(failed)?;
        let publish = || {
            fs::set_permissions(&own_path, fs::Permissions::from_mode(0o600))?;
            let inode = fs::metadata(&own_path)?.ino();
            fs::rename(&own_path, path)?;
            Ok(inode)
        };
        let inode = publish().map_err(|error| {
            // The first error says more than that of cleaning up.
            let _ = fs::remove_file(&own_path);
            failed(error)
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode,
        })
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A successor's socket stays.
        if fs::metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A path beside `path` that nobody else uses.
fn own_path(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{count}", std::process::id()));
    PathBuf::from(name)
}

/// Answers one connection until it ends.
pub(crate) async fn serve(process: Rc<Process>, stream: UnixStream) {
    if let Err(error) = answer_lines(&process, stream).await {
        tracing::debug!(%error, "a control connection broke");
    }
}

async fn answer_lines(process: &Process, stream: UnixStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let limit = MAX_LINE_BYTES as u64;
        (&mut stream)
            .take(limit)
            .read_until(b'\n', &mut line)
            .await?;
        if line.last() != Some(&b'\n') {
            // The end, or a line that is too long to find the next one.
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(Request::HandOver) => {
                let listeners = process.listeners()?;
                send_listeners(stream.get_mut(), &listeners).await?;
            }
            Ok(Request::Finish) => {
                process.stop_accepting().await;
                let sent = send(stream.get_mut(), &Response::Finishing).await;
                process.end();
                sent?;
            }
            Ok(request) => send(stream.get_mut(), &answer(process, request).await).await?,
            Err(error) => {
                let message = format!("{NO_REQUEST}: {error}");
                send(stream.get_mut(), &Response::Error { message }).await?;
            }
        }
    }
}

async fn answer(process: &Process, request: Request) -> Response {
    match request {
        Request::Status => Response::Status(process.status()),
        Request::Reload => reloaded(process.reload().await),
        Request::UseRoutes { generation } => reloaded(process.use_routes(generation).await),
        Request::InFlight { replica } => Response::InFlight {
            count: process.in_flight(&replica).await,
        },
        Request::Traffic { after } => {
            let (projects, has_more) = process.traffic(after, MAX_PROJECTS);
            Response::Traffic {
                start_id: process.start_id().to_owned(),
                projects,
                has_more,
            }
        }
        Request::AccessRecords => {
            let (records, lost) = process.take_access_records();
            Response::AccessRecords { records, lost }
        }
        Request::ForgetCertificates { hosts } => {
            process.forget_certificates(&hosts);
            Response::Forgotten
        }
        Request::HandOver | Request::Finish => Response::Error {
            message: "this request is answered elsewhere".to_owned(),
        },
    }
}

fn reloaded(outcome: Result<u64>) -> Response {
    match outcome {
        Ok(generation) => Response::Reloaded { generation },
        Err(error) => Response::Error {
            message: crate::error::chain(&error),
        },
    }
}

async fn send(stream: &mut UnixStream, response: &Response) -> io::Result<()> {
    stream.write_all(&line_of(response)?).await
}

fn line_of(response: &Response) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    Ok(line)
}

/// Answers a hand-over: the line is short enough to leave whole, so the listeners go with it.
async fn send_listeners(stream: &mut UnixStream, listeners: &Listeners) -> io::Result<()> {
    let https = listeners.https.len();
    // What does not fit is bound anew beside ours.
    let room = MAX_LISTENERS.saturating_sub(listeners.http.len() + https);
    let ports = listeners.ports.len().min(room);
    let workers = listeners.http.iter().chain(&listeners.https);
    let listeners: Vec<_> = listeners.ports[..ports].iter().chain(workers).collect();
    if listeners.is_empty() || listeners.len() > MAX_LISTENERS {
        let message = format!("{} listeners cannot be handed over", listeners.len());
        return send(stream, &Response::Error { message }).await;
    }
    let line = line_of(&Response::HandedOver {
        listeners: listeners.len(),
        https,
        ports,
    })?;
    let descriptors: Vec<_> = listeners.iter().map(|one| one.as_fd()).collect();
    let sent = stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let slices = [IoSlice::new(&line)];
            Ok(sendmsg(
                &*stream,
                &slices,
                &mut control,
                SendFlags::NOSIGNAL,
            )?)
        })
        .await?;
    if sent == line.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}
