//! Sockets: where a replica's processes listen.
//!
//! The kernel shows a process's network namespace under `/proc/<pid>/net`, so an engine on this
//! machine needs no help from inside the container. Anything that cannot be read means "not known".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tose_model::driver::{DriverError, DriverResult, Listening, ReplicaName};

use crate::DockerDriver;

/// Where the engine answers name look-ups inside each container; that is none of the app's.
const ENGINE_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// The kernel's number for a listening TCP socket.
const LISTEN: &str = "0A";

impl DockerDriver {
    pub(crate) async fn list_listening(
        &self,
        name: &ReplicaName,
    ) -> DriverResult<Option<Vec<Listening>>> {
        let Some(inspected) = self.find(name).await? else {
            return Err(DriverError::NotFound(format!("replica {name}")));
        };
        let Some(pid) = inspected.pid() else {
            return Ok(Some(Vec::new()));
        };
        if !self.engine.is_local() {
            return Ok(None);
        }
        Ok(read_sockets(pid, &inspected.container.id).await)
    }
}

async fn read_sockets(pid: u32, container_id: &str) -> Option<Vec<Listening>> {
    let read = |name: &str| tokio::fs::read_to_string(format!("/proc/{pid}/{name}"));
    let v4 = read("net/tcp").await.ok()?;
    // A kernel without IPv6 has no such file.
    let v6 = read("net/tcp6").await.unwrap_or_default();
    // Behind a socket of this machine there may still be an engine with other process ids.
    if !read("cgroup").await.ok()?.contains(container_id) {
        return None;
    }
    let sockets = v4.lines().chain(v6.lines()).filter_map(listening_socket);
    let mut sockets: Vec<_> = sockets
        .filter(|addr| addr.ip().to_canonical() != ENGINE_RESOLVER)
        .map(|addr| Listening { addr })
        .collect();
    sockets.sort_unstable();
    sockets.dedup();
    Some(sockets)
}

/// The address in a line such as `0: 0100007F:1F90 00000000:0000 0A …`.
fn listening_socket(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    if state != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(SocketAddr::new(
        parse_address(address)?,
        u16::from_str_radix(port, 16).ok()?,
    ))
}

/// Addresses are words in the machine's byte order, in hex.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read_as_the_kernel_writes_them() {
        let cases = [
            (
                "   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1",
                Some("0.0.0.0:3000"),
            ),
            (
                "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 2",
                Some("127.0.0.1:8080"),
            ),
            (
                "   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0",
                Some("[::]:80"),
            ),
            (
                "   3: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0",
                Some("[::1]:80"),
            ),
            (
                "   4: 0200D20A:A0C4 0100D20A:0050 01 00000000:00000000 00:00000000 00000000 0 0 3",
                None,
            ),
            (
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt",
                None,
            ),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|text| text.parse().expect("an address"));
            assert_eq!(listening_socket(line), expected, "{line}");
        }
    }
}
