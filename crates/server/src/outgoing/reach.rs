//! Which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::{CONNECT, MAIL_PORT, Unreachable, bare};

/// How far calls reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To public addresses.
    Public,
    /// To private networks and this machine as well.
    Private,
}

impl Reach {
    fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Public => is_public(address),
            Self::Private => !is_never_called(address),
        }
    }

    /// # Errors
    /// `NotPublic` for an address that may not be called; a name passes.
    pub(super) fn check_literal(self, host: &str) -> Result<(), Unreachable> {
        match bare(host).parse() {
            Ok(address) if !self.allows(address) => Err(Unreachable::NotPublic),
            _ => Ok(()),
        }
    }

    /// The addresses of a host that may be called; at least one.
    pub(super) async fn lookup(
        self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Unreachable> {
        if port == MAIL_PORT {
            return Err(Unreachable::NotPublic);
        }
        let found = match timeout(CONNECT, lookup_host((bare(host), port))).await {
            Ok(Ok(found)) => found.collect::<Vec<_>>(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        if found.is_empty() {
            return Err(Unreachable::Unknown);
        }
        let allowed = found.into_iter().filter(|found| self.allows(found.ip()));
        let allowed: Vec<SocketAddr> = allowed.collect();
        match allowed.is_empty() {
            true => Err(Unreachable::NotPublic),
            false => Ok(allowed),
        }
    }
}

/// Ranges of IPv4 that are no public addresses of single machines: RFC 6890 and the registry that it began.
const NOT_PUBLIC: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The same of IPv6, within what is given to machines at all.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    // Protocols of their own, among them ways to reach IPv4.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// What is given to machines.
const UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// IPv4 behind IPv6 (RFC 6052).
const TRANSLATED: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// Where one cloud keeps its metadata.
const METADATA: (Ipv6Addr, u32) = (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32);

fn is_in(address: Ipv4Addr, (range, bits): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ range.to_bits()).leading_zeros() >= bits
}

fn is_in_v6(address: Ipv6Addr, (range, bits): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ range.to_bits()).leading_zeros() >= bits
}

/// Whether it is the address of a single machine that everybody can call.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_PUBLIC.iter().any(|range| is_in(address, *range)),
        IpAddr::V6(address) if is_in_v6(address, TRANSLATED) => {
            let [.., a, b, c, d] = address.octets();
            is_public(IpAddr::from([a, b, c, d]))
        }
        IpAddr::V6(address) => {
            let is_out = |range: &(Ipv6Addr, u32)| is_in_v6(address, *range);
            is_in_v6(address, UNICAST) && !NOT_PUBLIC_V6.iter().any(is_out)
        }
    }
}

/// What is not called even where private networks are.
fn is_never_called(address: IpAddr) -> bool {
    if address.is_unspecified() || address.is_multicast() {
        return true;
    }
    match address {
        IpAddr::V4(address) => {
            address.is_link_local() || address.is_broadcast() || address.octets()[0] == 0
        }
        IpAddr::V6(address) if is_in_v6(address, TRANSLATED) => {
            let [.., a, b, c, d] = address.octets();
            is_never_called(IpAddr::from([a, b, c, d]))
        }
        IpAddr::V6(address) => address.is_unicast_link_local() || is_in_v6(address, METADATA),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for (address, public, private) in [
            ("8.8.8.8", true, true),
            ("2606:4700::1", true, true),
            ("64:ff9b::808:808", true, true),
            ("::ffff:8.8.8.8", true, true),
            ("10.1.2.3", false, true),
            ("100.64.0.1", false, true),
            ("127.0.0.1", false, true),
            ("172.16.0.1", false, true),
            ("172.32.0.1", true, true),
            ("192.168.1.1", false, true),
            ("::1", false, true),
            ("fd12::1", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("64:ff9b::a00:1", false, true),
            ("2001::1", false, true),
            ("2002:7f00:1::", false, true),
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("fd00:ec2::254", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("::", false, false),
            ("fe80::1", false, false),
            ("ff02::1", false, false),
        ] {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(Reach::Public.allows(parsed), public, "{address}");
            assert_eq!(Reach::Private.allows(parsed), private, "{address}");
        }
    }

    #[tokio::test]
    async fn mail_is_no_matter_of_drains() {
        let found = Reach::Private.lookup("127.0.0.1", 25).await;
        assert_eq!(found, Err(Unreachable::NotPublic));
    }
}
