//! `ctalk relay`.

mod backup;
mod logs;
mod settings;
mod values;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk_relay::{AddressHeader, AdminKey, Audit, Config, Networks, RateLimit, Server};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use logs::{Format, Level};
use settings::{AdminKeySource, Settings};
pub(crate) use values::Limit;
use values::{OrOff, Switch};

use crate::{
    environment,
    output::Output,
    secrets::{self, SecretArg},
};

/// Run a relay
#[derive(clap::Args)]
#[command(
    after_help = "Every setting can also stand in the environment, such as CTALK_RELAY_LISTEN for \
                  --listen, or in the file of --config, such as listen = \"127.0.0.1:8787\". The \
                  command line comes before the environment, and that before the file.",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The folder of the relay's database, made when missing
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where to listen for /metrics and /ready, which need no key there, or `off` [default: off]
    #[arg(long, value_name = "ADDRESS:PORT")]
    monitoring: Option<OrOff<SocketAddr>>,
    /// The key that registers agents [default: made and kept in the data folder] [env: ADMIN_KEY]
    #[arg(long, value_name = "@FILE")]
    admin_key: Option<SecretArg>,
    /// The relay's certificate for TLS, in PEM, with those that lead to a root after it
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<OrOff<String>>,
    /// The private key of the certificate, in PEM, or `off` for plain HTTP [default: off]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<OrOff<String>>,
    /// How many connections there may be at once; idle ones make room for new ones [default: 16384]
    #[arg(long, value_name = "N")]
    max_connections: Option<NonZeroU32>,
    /// And how many from one address, such as a proxy's [default: 8192]
    #[arg(long, value_name = "N")]
    max_connections_per_address: Option<NonZeroU32>,
    /// How many messages one agent may send per window, or `off` [default: 10/10s]
    #[arg(long, value_name = "N/SECONDSs")]
    rate_limit: Option<RateLimit>,
    /// How often one address may try to register with an invite, or `off` [default: 20/60s]
    #[arg(long, value_name = "N/SECONDSs")]
    registration_limit: Option<RateLimit>,
    /// The header in which a proxy in front of this relay names who is behind a request; only for a
    /// relay that nobody reaches but through that proxy
    #[arg(long, value_name = "NAME")]
    address_header: Option<AddressHeader>,
    /// How many messages an inbox may hold, or `off` [default: 100000]
    #[arg(long, value_name = "N")]
    max_messages: Option<Limit>,
    /// How many bytes of messages an inbox may hold, or `off` [default: 1073741824]
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<Limit>,
    /// Whether the admin key shows everybody's messages [default: on]
    #[arg(long, value_name = "on|off")]
    admin_view: Option<Switch>,
    /// Who writes into the audit log: nobody, agents, or also the relay about what is sent in the
    /// clear [default: off]
    #[arg(long, value_name = "off|posted|automatic")]
    audit: Option<Audit>,
    /// Where webhooks may lead besides the open internet, such as 10.1.0.0/16,::1/128 [default: none]
    #[arg(long, value_name = "NETWORKS")]
    webhook_networks: Option<Networks>,
    /// What goes into the log on stderr [default: info; error with -q, debug with -v]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// How the log is written [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// A TOML file of settings [env: CTALK_RELAY_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every setting and where it comes from, and start nothing
    #[arg(long)]
    print_config: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Copy the database of a relay, which may be running, to a new file
    Backup(backup::Args),
}

#[derive(Serialize)]
struct Listening<'a> {
    listening: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitoring: Option<String>,
}

pub(crate) fn run(args: Args, output: &Output) -> Result<ExitCode> {
    if let Some(Command::Backup(args)) = args.command {
        return backup::run(args, output);
    }
    let settings = Settings::of(&args, output)?;
    if args.print_config {
        settings.print(output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (level, format) = settings.log();
    logs::install(level, format)?;
    let admin_key = admin_key(&settings, output)?;
    let mut config = Config::new(settings.listen(), settings.data(), admin_key);
    config.rate_limit = settings.rate_limit();
    config.registration_limit = settings.registration_limit();
    config.address_header = settings.address_header();
    config.quota = settings.quota();
    config.admin_view = settings.admin_view();
    config.audit = settings.audit();
    config.monitoring = settings.monitoring();
    config.tls = settings.tls()?;
    (config.max_connections, config.max_connections_per_address) = settings.max_connections();
    allow_files();
    config.webhook_networks = settings.webhook_networks();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        // Before anybody can know that the relay runs, so that no signal finds it unprepared.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let server = Server::bind(config).await?;
        let url = server.url();
        let monitoring = server.monitoring_addr();
        let monitoring = monitoring.map(|address| format!("http://{address}"));
        if output.is_json() {
            let listening = &url;
            output.object(&Listening {
                listening,
                monitoring,
            })?;
        } else {
            output.line(&format!("listening on {url}"))?;
            if let Some(url) = monitoring {
                output.line(&format!("monitoring on {url}"))?;
            }
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

/// Has the system allow this process as many open files as it may have: each connection is one.
fn allow_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused, the relay takes fewer connections, and says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn admin_key(settings: &Settings, output: &Output) -> Result<AdminKey> {
    let given = match settings.admin_key() {
        Some(AdminKeySource::Given(given)) => Some(secrets::from_option(
            "--admin-key",
            environment::ADMIN_KEY,
            given,
            output,
        )?),
        Some(AdminKeySource::Variable) => secrets::from_environment(environment::ADMIN_KEY)?,
        None => None,
    };
    if let Some(key) = given {
        return Ok(AdminKey::new(key.as_str())?);
    }
    let (key, path, made) = AdminKey::load_or_create(settings.data())?;
    let origin = if made { "made" } else { "found" };
    output.note(&format!("admin key {origin} in {}", path.display()));
    Ok(key)
}
