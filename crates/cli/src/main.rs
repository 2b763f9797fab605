//! `tose`, the command line tool: reads what was asked for, does it, and ends with the code that
//! [`exit`] documents.

mod archive;
mod cli;
mod clock;
mod commands;
mod config;
mod context;
mod dotenv;
mod download;
mod error;
mod exit;
mod link;
mod list;
mod output;
mod pages;
mod plot;
mod process;
mod prompt;
mod qr;
mod replay;
mod span;
mod subject;
mod terminal;
mod text;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use config::Environment;
use context::Context;
use output::Output;

fn main() -> ExitCode {
    let environment = Environment::read();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(stop) => {
            return Output::default().usage(&stop, environment.no_color || environment.is_dumb);
        }
    };
    let output = Output::new(&cli.global, &environment);
    let result = Context::new(output.clone(), cli.global, environment)
        .and_then(|ctx| commands::run(&ctx, cli.command));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.fail(&error),
    }
}
