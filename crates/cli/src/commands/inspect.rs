//! `ctalk inspect`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use ctalk::{
    core::{Fingerprint, VerifyingKey},
    stream::{self, Form},
};
use serde::Serialize;

use crate::{context::Context, input, progress::Progress, runtime};

/// Show what everybody can see of an envelope, none of it proven
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The envelope, or `-` for stdin
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    form: &'a str,
    /// Of whom it says that it is from; `null` where that is no key.
    claimed_sender: Option<String>,
    id: String,
    created: String,
    expires: String,
    recipients: u16,
    segments: u32,
    padded_bytes: u64,
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let output = *context.output;
    let (source, length) = input::open(&args.file)?;
    let outside = runtime::run(runtime::blocking(move || {
        let progress = Progress::new(&output, length);
        Ok(stream::inspect(source, |done| progress.show(done))?)
    }))?;
    let claims = &outside.claims;
    let sender = VerifyingKey::from_bytes(claims.sender).ok();
    let fingerprint = sender.as_ref().map(Fingerprint::native);
    let form = match outside.form {
        Form::Binary => "bytes",
        Form::Text => "text",
    };
    if output.is_json() {
        output.object(&Shown {
            form,
            claimed_sender: fingerprint.map(|fingerprint| fingerprint.to_hex()),
            id: claims.id.to_string(),
            created: ctalk::shown::timestamp(claims.created),
            expires: ctalk::shown::timestamp(claims.expires),
            recipients: claims.recipients,
            segments: outside.segments,
            padded_bytes: outside.padded_len,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |label: &str, value: String| [label.to_owned(), value];
    let sender = fingerprint.map_or_else(
        || "a key that nobody can have".to_owned(),
        |fingerprint| fingerprint.to_string(),
    );
    output.table(&[
        row("form", form.to_owned()),
        row("claims to be from", sender),
        row("id", claims.id.to_string()),
        row("created", ctalk::shown::timestamp(claims.created)),
        row("expires", ctalk::shown::timestamp(claims.expires)),
        row("recipients", claims.recipients.to_string()),
        row("segments", outside.segments.to_string()),
        row("content", format!("about {} bytes", outside.padded_len)),
    ])?;
    Ok(ExitCode::SUCCESS)
}
