//! The `ctalk` command line: arguments in, terminal text or JSON out. What it does is done by the
//! crates `ctalk` and `ctalk-relay`.

mod args;
mod clear_text;
mod commands;
mod context;
mod core_dump;
mod destination;
mod duration;
mod environment;
mod exit;
mod input;
mod output;
mod peer;
mod progress;
mod qr;
mod runtime;
mod save;
mod secrets;
mod senders;
mod talk;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    core_dump::forbid();
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return args::refuse(&error),
    };
    let output = output::Output::new(&cli.global);
    match commands::run(cli, &output) {
        Ok(code) => code,
        Err(error) => output.failure(error),
    }
}
