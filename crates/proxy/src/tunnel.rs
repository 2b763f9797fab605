//! Upgraded connections: bytes both ways, each direction closed on its own.

use std::rc::Rc;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{self, AsyncWriteExt};
use tokio::task::spawn_local;

use crate::connection::{Phase, Visitor};
use crate::io::{Observed, Wire};
use crate::table::Lease;

/// The app's end of an upgraded connection. It counts as a running request of its replica.
pub(crate) struct Tunnel {
    upstream: Observed,
    from_upstream: Bytes,
    _lease: Lease,
}

impl Tunnel {
    /// The stream of an app that has said 101, and what came after that.
    pub(crate) fn new(upstream: Observed, from_upstream: Bytes, lease: Lease) -> Self {
        Self {
            upstream,
            from_upstream,
            _lease: lease,
        }
    }

    /// Copies until both sides have closed or one breaks; `from_visitor` came with the request.
    pub(crate) async fn run(mut self, mut visitor: Observed, from_visitor: Bytes) {
        // A broken tunnel has nobody to tell: both ends see their connection close.
        let _: io::Result<()> = async {
            visitor.write_all(&self.from_upstream).await?;
            self.upstream.write_all(&from_visitor).await?;
            io::copy_bidirectional(&mut visitor, &mut self.upstream).await?;
            Ok(())
        }
        .await;
    }
}

/// Runs a tunnel on a stream of a connection that carries others, from when the visitor has the answer.
pub(crate) fn open_on_stream(visitor: Rc<Visitor>, on_upgrade: OnUpgrade, tunnel: Tunnel) {
    visitor.tally().keep();
    spawn_local(async move {
        // It fails when the visitor is gone.
        if let Ok(upgraded) = on_upgrade.await {
            let wire = Wire::Stream(Box::new(TokioIo::new(upgraded)));
            let io = Observed::new(wire, Rc::clone(visitor.activity()));
            let copied = tunnel.run(io, Bytes::new());
            visitor.within(Phase::Tunnel, copied).await;
        }
    });
}
