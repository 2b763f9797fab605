//! Upgraded connections: bytes both ways, each direction closed on its own.

use bytes::Bytes;
use tokio::io::{self, AsyncWriteExt};

use crate::io::Observed;
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
