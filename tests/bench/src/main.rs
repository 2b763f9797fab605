//! Benches that print ratios against a peer, measured round by round in the same run.
//!
//! Everything runs on this machine's loopback; absolute numbers are only as good as the machine.
//! Never a test: nothing here fails because something was slow.

#![expect(clippy::print_stdout, reason = "a bench reports to the terminal")]

mod api;
mod app;
mod deploy;
mod fanout;
mod growth;
mod h2load;
mod http;
mod load;
mod logs;
mod meter;
mod process;
mod proxy;
mod ratio;
mod service;
mod uptime;

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
    /// The API against PocketBase: one record, a list, a write; and a crash in the middle of writes.
    Api(api::Arguments),
    /// A deploy against bare docker build and docker run.
    Deploy(deploy::Arguments),
    /// Requests that fail while versions replace each other under load.
    DeployCrowd(deploy::crowd::Arguments),
    /// Live logs to many readers against nginx with nchan.
    Fanout(fanout::Arguments),
    /// Start, memory and CPU at rest with more and more projects, beside PocketBase.
    Growth(growth::Arguments),
    /// The log store against VictoriaLogs: taking lines, size, queries.
    Logs(logs::Arguments),
    /// The meter and the ledger: a look against bare SQLite, a year, debits by many writers.
    Meter(meter::Arguments),
    /// The proxy against HAProxy and nginx: HTTP, HTTPS, HTTP/2, handshakes, domains, WebSockets.
    Proxy(proxy::Arguments),
    /// Uptime checks against HAProxy's: CPU a check, due times, how soon people are told.
    Uptime(uptime::Arguments),
    /// The app behind the proxies; the proxy bench starts it.
    #[command(hide = true)]
    ServeApp(app::Arguments),
    /// The proxy from this crate's own build; the proxy bench starts it.
    #[command(hide = true)]
    ServeProxy(proxy::product::Arguments),
    /// The log store behind HTTP; the logs bench starts it.
    #[command(hide = true)]
    ServeLogs(logs::store::Arguments),
    /// Our server with an engine in memory; the uptime bench starts it.
    #[command(hide = true)]
    ServeUptime(uptime::server::Arguments),
    /// A load of fresh connections; the proxy bench starts it.
    #[command(hide = true)]
    ShakeHands(proxy::handshakes::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().bench {
        Bench::Api(arguments) => api::run(&arguments),
        Bench::Deploy(arguments) => deploy::run(&arguments),
        Bench::DeployCrowd(arguments) => deploy::crowd::run(&arguments),
        Bench::Fanout(arguments) => fanout::run(&arguments),
        Bench::Growth(arguments) => growth::run(&arguments),
        Bench::Logs(arguments) => logs::run(&arguments),
        Bench::Meter(arguments) => meter::run(&arguments),
        Bench::ServeLogs(arguments) => logs::store::serve(&arguments),
        Bench::Proxy(arguments) => proxy::run(&arguments),
        Bench::ServeApp(arguments) => app::serve(&arguments),
        Bench::ServeUptime(arguments) => uptime::server::serve(&arguments),
        Bench::Uptime(arguments) => uptime::run(&arguments),
        Bench::ServeProxy(arguments) => proxy::product::serve(&arguments),
        Bench::ShakeHands(arguments) => proxy::handshakes::shake(&arguments),
    }
}
