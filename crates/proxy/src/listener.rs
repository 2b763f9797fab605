//! Listening sockets: one a worker, all on one port.
//!
//! Workers and successors share a port by `SO_REUSEPORT`, which also lets a stranger of the same
//! user in; so a first start checks that the port is free.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};
use crate::limits::LISTEN_BACKLOG;

/// The sockets of both kinds.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// For plain HTTP.
    pub(crate) http: Vec<TcpListener>,
    /// For HTTPS.
    pub(crate) https: Vec<TcpListener>,
    /// For databases, each on a port of its own. They are the main thread's.
    pub(crate) ports: Vec<TcpListener>,
}

impl Listeners {
    /// The workers' sockets again, but only each `count`-th from `index` on.
    pub(crate) fn share(&self, index: usize, count: usize) -> io::Result<Self> {
        let part = |all: &[TcpListener]| {
            let own = all.iter().skip(index).step_by(count);
            own.map(TcpListener::try_clone)
                .collect::<io::Result<Vec<_>>>()
        };
        Ok(Self {
            http: part(&self.http)?,
            https: part(&self.https)?,
            ports: Vec::new(),
        })
    }
}

/// Whether others may listen there as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nobody does so far.
    Exclusive,
    /// Another process of ours may.
    Shared,
}

/// One listener on `addr`, which a successor can share.
pub(crate) fn open(addr: SocketAddr, sharing: Sharing) -> Result<TcpListener> {
    if sharing == Sharing::Exclusive {
        bind(addr, Sharing::Exclusive).map_err(|source| error(addr, source))?;
    }
    bind(addr, Sharing::Shared).map_err(|source| error(addr, source))
}

/// `count` listeners on `addr`, where nobody may listen so far; with port 0 all get the same.
pub(crate) fn bind_first(addr: SocketAddr, count: usize) -> Result<Vec<TcpListener>> {
    let probe = bind(addr, Sharing::Exclusive).map_err(|source| error(addr, source))?;
    let addr = probe.local_addr().map_err(|source| error(addr, source))?;
    drop(probe);
    let mut listeners = Vec::new();
    fill(&mut listeners, addr, count)?;
    Ok(listeners)
}

/// Adds listeners until there are `count`.
pub(crate) fn fill(listeners: &mut Vec<TcpListener>, addr: SocketAddr, count: usize) -> Result<()> {
    while listeners.len() < count {
        listeners.push(bind(addr, Sharing::Shared).map_err(|source| error(addr, source))?);
    }
    Ok(())
}

fn error(addr: SocketAddr, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken { addr },
        _ => Error::Listen { addr, source },
    }
}

fn bind(addr: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_also_when_the_other_would_share_it() {
        let others = bind_first(SocketAddr::from(([127, 0, 0, 1], 0)), 2).unwrap();
        let addr = others[0].local_addr().unwrap();
        assert_eq!(others[1].local_addr().unwrap(), addr);
        let error = bind_first(addr, 1).unwrap_err();
        assert!(matches!(error, Error::PortTaken { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "port {} is taken: another program listens on {addr}",
                addr.port()
            )
        );
    }
}
