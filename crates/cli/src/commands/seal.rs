//! `ctalk seal`.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use ctalk::{
    Class,
    core::{
        Card,
        envelope::{Kind, MAX_LIFE, MAX_NAME_LEN, Metadata, Sealing},
    },
    stream::{self, Form, StreamError},
};
use serde::Serialize;

use crate::{
    context::Context,
    destination::Destination,
    duration::{self, SECOND},
    exit::Complaint,
    input,
    peer::Peers,
    progress::Progress,
    runtime,
};

/// Seal a file, or stdin, into an envelope that only the recipients can open
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who shall open it: a key card, `-` or a path with a `/` to read one from, or a contact
    #[arg(long, required = true, value_name = "CARD-OR-NAME")]
    to: Vec<String>,
    /// Write the envelope to this file, which must not exist [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write one line of text instead of bytes
    #[arg(long)]
    armor: bool,
    /// For how long recipients can open it, at most 30d
    #[arg(long, value_name = duration::VALUE_NAME, default_value = "7d", value_parser = duration::between(SECOND, MAX_LIFE))]
    ttl: Duration,
    /// What to seal, or `-` for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    id: String,
    created: String,
    expires: String,
    recipients: usize,
    bytes: u64,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = *context.output;
    if !args.armor && args.out.is_none() && io::stdout().is_terminal() {
        let text = "an envelope is bytes, which a terminal cannot show";
        let complaint = Complaint::new(Class::Usage, text);
        return Err(complaint.hint("--armor writes text, -o FILE a file").into());
    }
    let stdin = args.to.iter().filter(|to| *to == "-").count();
    if stdin + usize::from(input::is_stdin(&args.file)) > 1 {
        let text = "stdin can be read once only, for a key card or for what to seal";
        return Err(Complaint::new(Class::Usage, text).into());
    }
    let profile = context.profile()?;
    let peers = Peers::new(context, &profile);
    let cards = args
        .to
        .iter()
        .map(|to| peers.card(to))
        .collect::<Result<Vec<Card>>>()?;
    let (_, secrets) = context.keystore(&profile)?;
    context.check_not_ended(&profile, &secrets)?;
    let identity = secrets.unlock()?;
    let created = super::now();
    let expires = created
        .checked_add(args.ttl)
        .ok_or_else(|| Complaint::new(Class::Usage, "this machine's clock is wrong"))?;
    let (source, length) = input::open(&args.file)?;
    let mut metadata = Metadata::new(Kind::Notification, "application/octet-stream");
    metadata.name = name(&args.file);
    let form = if args.armor { Form::Text } else { Form::Binary };
    let recipients = cards.len();

    let sealed = runtime::run(async {
        // Dropped on Ctrl-C, so that nothing is left behind.
        let (destination, writer) = Destination::begin(args.out)?;
        let work = move || {
            let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
            let sealing = Sealing::new(&identity, &cards, &metadata, created, expires, &mut rng)
                .map_err(StreamError::from)?;
            let id = sealing.id.to_string();
            let progress = Progress::new(&output, length);
            let bytes = stream::seal(sealing, form, source, writer, |done| progress.show(done))?;
            Ok(Sealed {
                id,
                created: ctalk::shown::timestamp(created),
                expires: ctalk::shown::timestamp(expires),
                recipients,
                bytes,
            })
        };
        let sealed = runtime::blocking(work).await?;
        destination.complete()?;
        Ok(sealed)
    })?;
    if output.is_json() {
        output.report(&sealed)?;
    } else {
        output.note(&format!("recipients can open it until {}", sealed.expires));
    }
    Ok(ExitCode::SUCCESS)
}

/// The file's name, where an envelope can carry it.
fn name(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    (!input::is_stdin(file) && name.len() <= MAX_NAME_LEN).then(|| name.to_owned())
}
