//! `ctalk doctor`.

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use ctalk::{
    Class, Error, Profile,
    clock::SystemClock,
    doctor::{self, Check, Finding},
    keystore::{KeystoreError, Secrets},
    relay::{Relay, clawtalk::ClawTalk},
    text::escaped,
};
use serde::Serialize;

use crate::{args::RelayArg, context::Context, exit, output::Output, runtime};

/// Say what is not as it should be, and what to do about it; repairs nothing
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    relay: RelayArg,
}

/// A line of output.
#[derive(Serialize)]
struct Line<'a> {
    check: &'static str,
    ok: bool,
    finding: Option<&'a str>,
    hint: Option<&'a str>,
    class: Option<&'static str>,
}

/// What was told so far.
struct Report<'o> {
    output: &'o Output,
    first: Option<Class>,
}

impl Report<'_> {
    /// Tells what a check found.
    fn tell(&mut self, check: Check, found: &[Finding]) -> Result<()> {
        if found.is_empty() {
            return self.line(check, None);
        }
        found
            .iter()
            .try_for_each(|finding| self.line(check, Some(finding)))
    }

    /// As [`Report::tell`], for a check that may fail itself, which is a finding as well.
    fn tell_of<E: Into<Error>>(
        &mut self,
        check: Check,
        found: Result<Vec<Finding>, E>,
    ) -> Result<()> {
        let found = found.unwrap_or_else(|error| vec![Finding::from(error.into())]);
        self.tell(check, &found)
    }

    fn line(&mut self, check: Check, finding: Option<&Finding>) -> Result<()> {
        let check = check.as_str();
        if let Some(finding) = finding {
            self.first.get_or_insert(finding.class);
        }
        if self.output.is_json() {
            return self.output.object(&Line {
                check,
                ok: finding.is_none(),
                finding: finding.map(|finding| finding.text.as_str()),
                hint: finding.map(|finding| finding.hint.as_str()),
                class: finding.map(|finding| finding.class.as_str()),
            });
        }
        match finding {
            None => self.output.line(&format!("ok       {check}")),
            Some(Finding { text, hint, .. }) => {
                let (text, hint) = (escaped(text), escaped(hint));
                self.output.line(&format!("finding  {check}: {text}"))?;
                self.output.line(&format!("         {hint}"))
            }
        }
    }
}

pub(crate) fn run(args: Args, context: &Context<'_>) -> Result<ExitCode> {
    let mut report = Report {
        output: context.output,
        first: None,
    };
    match Profile::open(&context.folder()?) {
        Err(error) => report.tell(Check::Profile, &[Error::from(error).into()])?,
        Ok(profile) => {
            report.tell(Check::Profile, &[])?;
            examine(args, context, &profile, &mut report)?;
        }
    }
    Ok(report.first.map_or(ExitCode::SUCCESS, exit::code))
}

fn examine(
    args: Args,
    context: &Context<'_>,
    profile: &Profile,
    report: &mut Report<'_>,
) -> Result<()> {
    report.tell_of(Check::Permissions, doctor::permissions(profile.folder()))?;
    let secrets = key_store(context, profile, report)?;
    report.tell_of(Check::Store, doctor::store(profile))?;
    if let Some(secrets) = &secrets {
        let found = doctor::card(profile, secrets, super::now());
        report.tell_of(Check::Card, found)?;
    }
    let Some(url) = context.known_relay_url(args.relay, Some(profile))? else {
        context
            .output
            .note("no relay is known, so nothing about one was checked");
        return Ok(());
    };
    let store = context.store(
        profile,
        RelayArg {
            url: Some(url.clone()),
        },
    );
    if let Ok(store) = store {
        report.tell_of(Check::Outbox, doctor::outbox(&store, super::now()))?;
    }
    let relay = match &secrets {
        Some(secrets) => context.connect(&url, secrets)?,
        None => ClawTalk::new(&url, None, Arc::new(SystemClock))?,
    };
    at_relay(&relay, profile, secrets.as_ref(), report)
}

/// Opens the key store; `None` where that is a finding.
fn key_store(
    context: &Context<'_>,
    profile: &Profile,
    report: &mut Report<'_>,
) -> Result<Option<Secrets>> {
    match context.keystore(profile) {
        Ok((_, secrets)) => {
            report.tell_of(Check::KeyStore, doctor::key_files(profile))?;
            Ok(Some(secrets))
        }
        Err(error) => {
            let error = error.downcast::<KeystoreError>()?;
            let check = doctor::key_store_check(&error);
            // Permissions are told of already.
            if check != Check::Permissions {
                report.tell(check, &[Error::from(error).into()])?;
            }
            Ok(None)
        }
    }
}

fn at_relay(
    relay: &ClawTalk,
    profile: &Profile,
    secrets: Option<&Secrets>,
    report: &mut Report<'_>,
) -> Result<()> {
    let (health, entries) = runtime::run(async {
        let health = relay.health().await;
        let entries = match (&health, secrets) {
            (Ok(_), Some(_)) => Some(relay.directory().await),
            _ => None,
        };
        Ok((health, entries))
    })?;
    let health = match health {
        Ok(health) => health,
        Err(error) => return report.tell(Check::Relay, &[Error::from(error).into()]),
    };
    report.tell(Check::Relay, &doctor::relay(&health))?;
    report.tell(Check::Clock, &doctor::clock(&health, super::now()))?;
    let (Some(entries), Some(secrets)) = (entries, secrets) else {
        return Ok(());
    };
    let looked = entries
        .map_err(Error::from)
        .and_then(|entries| doctor::directory(profile, secrets, &entries));
    match looked {
        Ok((entry, receivers)) => {
            report.tell(Check::Directory, &entry)?;
            report.tell(Check::Receivers, &receivers)
        }
        Err(error) => report.tell(Check::Directory, &[error.into()]),
    }
}
