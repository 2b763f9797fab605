//! The PROXY protocol, by which a proxy before this one says whose connection it passes on.
//!
//! Guarantee: not a byte after the header is read.

use std::io;
use std::net::IpAddr;

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest header of version 1, which is a line.
const MAX_V1_BYTES: usize = 107;
/// The most bytes that version 2 may have behind its beginning; the addresses and what clouds add to
/// them take some hundred.
const MAX_V2_BYTES: usize = 4096;

/// The visitor's address in the header that the connection begins with; `None` where the proxy speaks
/// for itself.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    // No header of either version is shorter than what tells them apart.
    let mut header = vec![0; v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut header).await?;
    if header == v2::PROTOCOL_PREFIX {
        read_binary_rest(stream, &mut header).await?;
    } else {
        read_line_rest(stream, &mut header).await?;
    }
    source(&header)
}

async fn read_binary_rest(
    stream: &mut (impl AsyncRead + Unpin),
    header: &mut Vec<u8>,
) -> io::Result<()> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let rest = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if rest > MAX_V2_BYTES {
        return Err(malformed());
    }
    header.extend(fixed);
    let begin = header.len();
    header.resize(begin + rest, 0);
    stream.read_exact(&mut header[begin..]).await?;
    Ok(())
}

async fn read_line_rest(
    stream: &mut (impl AsyncRead + Unpin),
    header: &mut Vec<u8>,
) -> io::Result<()> {
    while header.last() != Some(&b'\n') {
        if header.len() >= MAX_V1_BYTES {
            return Err(malformed());
        }
        header.push(stream.read_u8().await?);
    }
    Ok(())
}

fn source(header: &[u8]) -> io::Result<Option<IpAddr>> {
    Ok(match HeaderResult::parse(header) {
        HeaderResult::V1(parsed) => match parsed.map_err(|_| malformed())?.addresses {
            v1::Addresses::Tcp4(addresses) => Some(addresses.source_address.into()),
            v1::Addresses::Tcp6(addresses) => Some(addresses.source_address.into()),
            v1::Addresses::Unknown => None,
        },
        HeaderResult::V2(parsed) => {
            let header = parsed.map_err(|_| malformed())?;
            match (header.command, header.addresses) {
                (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => {
                    Some(addresses.source_address.into())
                }
                (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => {
                    Some(addresses.source_address.into())
                }
                _ => None,
            }
        }
    })
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found, and what is left to be read.
    async fn parse(bytes: &[u8]) -> (io::Result<Option<IpAddr>>, usize) {
        let mut rest = bytes;
        let found = read(&mut rest).await;
        (found, rest.len())
    }

    fn binary(command: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = v2::PROTOCOL_PREFIX.to_vec();
        header.extend([0x20 | command, 0x11, 0, u8::try_from(rest.len()).unwrap()]);
        header.extend(rest);
        header.extend(b"GET /");
        header
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_end_and_no_further() {
        let check = async |bytes: &[u8], expected: Option<&str>| {
            let (found, rest) = parse(bytes).await;
            assert_eq!(found.unwrap(), expected.map(|ip| ip.parse().unwrap()));
            assert_eq!(rest, b"GET /".len());
        };
        check(
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\nGET /",
            Some("203.0.113.9"),
        )
        .await;
        check(
            b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\nGET /",
            Some("2001:db8::1"),
        )
        .await;
        check(b"PROXY UNKNOWN\r\nGET /", None).await;
        let addresses = [203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
        check(&binary(1, &addresses), Some("203.0.113.9")).await;
        check(&binary(0, &addresses), None).await;
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nhost: shop.example.com\r\n\r\n"[..],
            b"PROXY TCP4 nonsense 10.0.0.1 4711 80\r\n",
            b"PROXY TCP4 203.0.113.9",
            &[b'P'; 200],
            &[v2::PROTOCOL_PREFIX, &[0x21, 0x11, 0xff, 0xff]].concat(),
            b"",
        ] {
            assert!(parse(bytes).await.0.is_err(), "{bytes:?}");
        }
    }
}
