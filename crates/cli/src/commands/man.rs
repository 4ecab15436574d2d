//! `ctalk man`, which packagers call.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::Cli;

/// Write the man pages
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder to write to, made when missing
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    fs::create_dir_all(&args.out)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.out))
        .with_context(|| format!("cannot write man pages to {}", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}
