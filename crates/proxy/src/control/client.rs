//! The asking end of the control socket.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tose_api::Hostname;
use tose_model::traffic::AccessRecord;

use super::{MAX_LINE_BYTES, MAX_LISTENERS, NO_REQUEST, Request, Response, Status, Totals};
use crate::error::{Error, Result};
use crate::listener::Listeners;

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A reload reads a file and waits for every worker, also those of a predecessor.
const RELOAD_LIMIT: Duration = Duration::from_secs(15);

/// A connection to a proxy. After a failure it is of no more use; connect anew.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    is_broken: bool,
}

/// An answer with the listeners that came along.
struct Answer {
    response: Response,
    listeners: Vec<TcpListener>,
}

impl Client {
    /// Connects to the proxy that owns the socket at `path`.
    pub async fn connect(path: &Path) -> Result<Self> {
        let failed = |source| Error::ControlSocket {
            path: path.to_owned(),
            source,
        };
        match timeout(CONNECT_LIMIT, UnixStream::connect(path)).await {
            Ok(connected) => Ok(Self {
                stream: connected.map_err(failed)?,
                is_broken: false,
            }),
            Err(_) => Err(Error::ControlTimeout {
                request: "a connection",
                limit: CONNECT_LIMIT,
            }),
        }
    }

    /// How the proxy is.
    pub async fn status(&mut self) -> Result<Status> {
        match self
            .ask("a status request", &Request::Status, ANSWER_LIMIT)
            .await?
            .response
        {
            Response::Status(status) => Ok(status),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// Makes every worker use the route table's file; answers its generation.
    pub async fn reload(&mut self) -> Result<u64> {
        match self
            .ask("a reload", &Request::Reload, RELOAD_LIMIT)
            .await?
            .response
        {
            Response::Reloaded { generation } => Ok(generation),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// Makes every worker use the routes of this generation; answers the generation in use. One of a
    /// version that knows whole tables only is made to read the table.
    pub async fn use_routes(&mut self, generation: u64) -> Result<u64> {
        let name = "a request about routes";
        let request = Request::UseRoutes { generation };
        let answer = self.ask(name, &request, RELOAD_LIMIT).await;
        match answer.map_err(|error| or_too_old(error, name)) {
            Err(Error::TooOld { .. }) => self.reload().await,
            answer => match answer?.response {
                Response::Reloaded { generation } => Ok(generation),
                _ => Err(Error::UnexpectedAnswer),
            },
        }
    }

    /// Requests and tunnels that run on a replica.
    pub async fn in_flight(&mut self, replica: &str) -> Result<u64> {
        let request = Request::InFlight {
            replica: replica.to_owned(),
        };
        match self
            .ask("an in-flight request", &request, ANSWER_LIMIT)
            .await?
            .response
        {
            Response::InFlight { count } => Ok(count),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// Makes the proxy read the certificates of these hosts anew. One of a version without HTTPS is
    /// [`Error::TooOld`].
    pub async fn forget_certificates(&mut self, hosts: &[Hostname]) -> Result<()> {
        let name = "a request about certificates";
        // A line holds so many of the longest names.
        for hosts in hosts.chunks(200) {
            let request = Request::ForgetCertificates {
                hosts: hosts.to_vec(),
            };
            let answer = self.ask(name, &request, ANSWER_LIMIT).await;
            match answer.map_err(|error| or_too_old(error, name))?.response {
                Response::Forgotten => {}
                _ => return Err(Error::UnexpectedAnswer),
            }
        }
        Ok(())
    }

    /// What the proxy has counted since its start. One of a version that does not count is
    /// [`Error::TooOld`].
    pub async fn traffic(&mut self) -> Result<Totals> {
        let mut totals: Option<Totals> = None;
        loop {
            let last = totals.as_ref().and_then(|totals| {
                let (project_id, _) = totals.projects.last_key_value()?;
                Some(*project_id)
            });
            let request = Request::Traffic { after: last };
            let name = "a traffic request";
            let answer = self.ask(name, &request, ANSWER_LIMIT).await;
            let answer = answer.map_err(|error| or_too_old(error, name))?;
            let Response::Traffic {
                start_id,
                projects,
                has_more,
            } = answer.response
            else {
                return Err(Error::UnexpectedAnswer);
            };
            // A part that brings nothing new would be asked for for ever.
            if has_more && projects.keys().all(|project_id| Some(*project_id) <= last) {
                return Err(Error::UnexpectedAnswer);
            }
            let so_far = totals.get_or_insert_with(|| Totals {
                start_id,
                projects: BTreeMap::new(),
            });
            so_far.projects.extend(projects);
            if !has_more {
                return totals.ok_or(Error::UnexpectedAnswer);
            }
        }
    }

    /// Takes the oldest requests that are to be logged, and how many were lost before them; an empty
    /// list is the end for now. One of a version that logs none is [`Error::TooOld`].
    pub async fn take_access_records(&mut self) -> Result<(Vec<AccessRecord>, u64)> {
        let name = "a request for access records";
        let answer = self.ask(name, &Request::AccessRecords, ANSWER_LIMIT).await;
        match answer.map_err(|error| or_too_old(error, name))?.response {
            Response::AccessRecords { records, lost } => Ok((records, lost)),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// Makes the proxy end once what runs is done; answers when that has begun.
    pub async fn finish(&mut self) -> Result<()> {
        match self
            .ask("a finish request", &Request::Finish, ANSWER_LIMIT)
            .await?
            .response
        {
            Response::Finishing => Ok(()),
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// The proxy's listeners, which then belong to both processes.
    pub(crate) async fn hand_over(&mut self) -> Result<Listeners> {
        let answer = self
            .ask("a hand-over request", &Request::HandOver, ANSWER_LIMIT)
            .await?;
        match answer.response {
            Response::HandedOver {
                listeners,
                https,
                ports,
            } if listeners == answer.listeners.len()
                && https.saturating_add(ports) <= listeners =>
            {
                let mut ports_first = answer.listeners;
                let https = ports_first.split_off(listeners - https);
                let http = ports_first.split_off(ports);
                Ok(Listeners {
                    http,
                    https,
                    ports: ports_first,
                })
            }
            _ => Err(Error::UnexpectedAnswer),
        }
    }

    /// One exchange. One that is not finished leaves the connection broken: its answer may still
    /// come and would be taken for the next one's.
    async fn ask(
        &mut self,
        name: &'static str,
        request: &Request,
        limit: Duration,
    ) -> Result<Answer> {
        if self.is_broken {
            return Err(Error::ControlConnection(io::ErrorKind::BrokenPipe.into()));
        }
        self.is_broken = true;
        let answer = timeout(limit, self.exchange(request))
            .await
            .map_err(|_| Error::ControlTimeout {
                request: name,
                limit,
            })?
            .map_err(Error::ControlConnection)?;
        self.is_broken = false;
        match answer.response {
            Response::Error { message } => Err(Error::Refused(message)),
            _ => Ok(answer),
        }
    }

    async fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.write_all(&line).await?;
        let mut text = Vec::new();
        let mut listeners = Vec::new();
        while text.last() != Some(&b'\n') {
            let count = self
                .stream
                .async_io(Interest::READABLE, || {
                    receive(&self.stream, &mut text, &mut listeners)
                })
                .await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if text.len() > MAX_LINE_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(Answer {
            response: serde_json::from_slice(&text)?,
            listeners,
        })
    }
}

/// Says it when the proxy does not know the request.
fn or_too_old(error: Error, request: &'static str) -> Error {
    match error {
        Error::Refused(message) if message.starts_with(NO_REQUEST) => Error::TooOld { request },
        error => error,
    }
}

/// Reads what is there, listeners included.
fn receive(
    stream: &UnixStream,
    text: &mut Vec<u8>,
    listeners: &mut Vec<TcpListener>,
) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_LISTENERS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let count = recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            listeners.extend(descriptors.map(TcpListener::from));
        }
    }
    text.extend_from_slice(&buffer[..count]);
    Ok(count)
}
