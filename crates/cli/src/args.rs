//! The command line's grammar.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use ctalk::{
    Class, Profile, Require,
    text::{escaped, is_unsafe},
};

use crate::{
    commands::{
        ack, admin, agents, bridge, call, card, channels, chat, completions, contact, demo, doctor,
        export, flush, health, import, inbox, inspect, keygen, listen, man, open, opendialogue,
        outbox, pair, passwd, recv, register, relay, relays, revoke, rotate, seal, send, serve,
        service, succeed, verify, webhook, whoami, wtt,
    },
    exit,
    output::Output,
};

/// End-to-end encrypted, signed messages between programs, over relays nobody has to trust.
#[derive(Parser)]
#[command(
    name = "ctalk",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Secrets are given as @FILE or in an environment variable, never as they are: \
                  other users of a machine can read the arguments of its processes."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Which of your identities to use
    #[arg(long, global = true, value_name = "NAME", default_value = "default", value_parser = profile)]
    pub(crate) profile: String,
    /// Print JSON: one object, or one per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on stderr
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Read the key store's passphrase from this file [env: CTALK_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Which relay a command talks to.
#[derive(Args, Clone)]
pub(crate) struct RelayArg {
    /// The relay's address, or its name in `ctalk relays` [default: the profile's first] [env: CLAWTALK_URL]
    #[arg(long = "relay", value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// What must hold of whoever is written to or read.
#[derive(Args)]
pub(crate) struct RequireArg {
    /// Refuse whoever is not verified, or what is no envelope; adds to the profile's setting
    #[arg(
        long = "require",
        value_name = "WHAT",
        value_parser = PossibleValuesParser::new(Require::WORDS).try_map(|word| word.parse::<Require>())
    )]
    words: Vec<Require>,
}

impl RequireArg {
    /// This, and what the profile requires.
    pub(crate) fn with(self, profile: &Profile) -> Require {
        self.words.into_iter().fold(profile.require(), Require::and)
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Relay(relay::Args),
    Admin(admin::Args),
    Keygen(keygen::Args),
    Register(register::Args),
    Agents(agents::Args),
    Channels(channels::Args),
    Health(health::Args),
    Whoami(whoami::Args),
    Card(card::Args),
    Rotate(rotate::Args),
    Succeed(succeed::Args),
    Revoke(revoke::Args),
    #[command(subcommand)]
    Contact(contact::Command),
    Pair(pair::Args),
    Send(send::Args),
    Call(call::Args),
    Chat(chat::Args),
    #[command(subcommand)]
    Outbox(outbox::Command),
    Flush(flush::Args),
    Relays(relays::Args),
    Recv(recv::Args),
    Listen(listen::Args),
    #[command(name = "opendialogue", subcommand)]
    OpenDialogue(opendialogue::Command),
    #[command(subcommand)]
    Bridge(bridge::Command),
    #[command(subcommand)]
    Webhook(webhook::Command),
    #[command(subcommand)]
    Serve(serve::Command),
    Service(service::Args),
    #[command(subcommand)]
    Inbox(inbox::Command),
    Seal(seal::Args),
    Open(open::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Ack(ack::Args),
    Passwd(passwd::Args),
    Export(export::Args),
    Import(import::Args),
    Doctor(doctor::Args),
    Wtt(wtt::Args),
    Demo(demo::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Man(man::Args),
}

fn profile(text: &str) -> Result<String, ctalk::ProfileError> {
    ctalk::check_name(text)?;
    Ok(text.to_owned())
}

/// Ends a run whose arguments are wrong, or only asked for help or the version.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let wants_json = std::env::args_os()
        .take_while(|arg| arg != "--")
        .any(|arg| arg == "--json");
    if wants_json && !asked_for {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let complaint = text.split("\n\n").next().unwrap_or(text);
        return Output::json_failure(&exit::Failure {
            class: Class::Usage,
            text: complaint.to_owned(),
            hint: Some("`ctalk --help` shows the usage".to_owned()),
        });
    }
    let text = error.to_string();
    let is_foreign = |character| character != '\n' && is_unsafe(character);
    let printed = if text.chars().any(is_foreign) {
        // An argument that came from elsewhere must not steer the terminal.
        let lines: Vec<_> = text.lines().map(escaped).collect();
        writeln!(io::stderr(), "{}", lines.join("\n"))
    } else {
        error.print()
    };
    match printed {
        Ok(()) if asked_for => ExitCode::SUCCESS,
        Ok(()) => exit::code(Class::Usage),
        Err(_) => exit::code(Class::Unexpected),
    }
}
