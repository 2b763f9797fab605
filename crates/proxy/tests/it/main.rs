//! The proxy from outside: real sockets on both sides, scripted byte by byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod control;
mod drain;
mod forwarding;
mod h2c;
mod harness;
mod http2;
mod limits;
mod origin;
mod pages;
mod rules;
mod smuggling;
mod tcp;
mod tls;
mod traffic;
mod upgrade;
mod websocket;
