//! `ctalk relay`.

mod logs;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk_relay::{AdminKey, Config, RateLimit, Server};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use logs::{Format, Level};

use crate::{environment, output::Output, secrets};

/// Run a relay
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// The folder of the relay's database, made when missing
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The key that registers agents [default: made and kept in the data folder] [env: ADMIN_KEY]
    #[arg(long, value_name = "@FILE")]
    admin_key: Option<secrets::SecretArg>,
    /// How many messages one agent may send per window, or `off`
    #[arg(long, value_name = "N/SECONDSs", default_value_t)]
    rate_limit: RateLimit,
    /// What goes into the log on stderr [default: info; error with -q, debug with -v]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: Format,
}

#[derive(Serialize)]
struct Listening<'a> {
    listening: &'a str,
}

pub(crate) fn run(args: Args, output: &Output) -> Result<ExitCode> {
    let level = args.log_level.unwrap_or_else(|| Level::of(output));
    logs::install(level, args.log_format)?;
    let admin_key = admin_key(&args, output)?;
    let mut config = Config::new(args.listen, args.data, admin_key);
    config.rate_limit = args.rate_limit;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        // Before anybody can know that the relay runs, so that no signal finds it unprepared.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let server = Server::bind(config).await?;
        let url = server.url();
        if output.is_json() {
            output.object(&Listening { listening: &url })?;
        } else {
            output.line(&format!("listening on {url}"))?;
        }
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        server.run(stop).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn admin_key(args: &Args, output: &Output) -> Result<AdminKey> {
    let given = match args.admin_key.clone() {
        Some(given) => Some(secrets::from_option(
            "--admin-key",
            environment::ADMIN_KEY,
            given,
            output,
        )?),
        None => secrets::from_environment(environment::ADMIN_KEY)?,
    };
    if let Some(key) = given {
        return Ok(AdminKey::new(key.as_str())?);
    }
    let (key, path, made) = AdminKey::load_or_create(&args.data)?;
    let origin = if made { "made" } else { "found" };
    output.note(&format!("admin key {origin} in {}", path.display()));
    Ok(key)
}
