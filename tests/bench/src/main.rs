//! Benches that print ratios against a peer, measured round by round in the same run.
//!
//! Everything runs on this machine's loopback; absolute numbers are only as good as the machine.
//! Never a test: nothing here fails because something was slow.

#![expect(clippy::print_stdout, reason = "a bench reports to the terminal")]

mod app;
mod deploy;
mod process;
mod proxy;
mod ratio;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "tose-bench",
    about = "Measures TOSE against its peers on this machine"
)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// A deploy against bare docker build and docker run.
    Deploy(deploy::Arguments),
    /// The proxy against nginx or HAProxy: requests per second, CPU per request, p99, memory.
    Proxy(proxy::Arguments),
    /// The app behind the proxies; the proxy bench starts it.
    #[command(hide = true)]
    ServeApp(app::Arguments),
    /// The proxy from this crate's own build; the proxy bench starts it.
    #[command(hide = true)]
    ServeProxy(proxy::product::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().bench {
        Bench::Deploy(arguments) => deploy::run(&arguments),
        Bench::Proxy(arguments) => proxy::run(&arguments),
        Bench::ServeApp(arguments) => app::serve(&arguments),
        Bench::ServeProxy(arguments) => proxy::product::serve(&arguments),
    }
}
