//! `ctalk contact export` and `ctalk contact import`.

use std::{io::BufReader, path::Path, process::ExitCode};

use anyhow::Result;
use ctalk::{
    Class, Error, ImportError, Imported, LineError, ListedContact, Profile, core::trust::Standing,
    shown, store::Store,
};
use serde::Serialize;

use super::{NO_RELAY, known};
use crate::{
    commands,
    context::Context,
    exit::{self, Complaint, Failure},
    input,
    output::Output,
};

/// A line that was refused, in JSON.
#[derive(Serialize)]
struct Refused<'a> {
    line: u64,
    #[serde(flatten)]
    error: shown::Failure<'a>,
}

/// Prints these contacts, or all that are not blocked.
pub(super) fn export(store: &Store, names: Vec<String>, output: &Output) -> Result<()> {
    if names.is_empty() {
        let mut printed = Ok(());
        let mut blocked = 0_u64;
        store.each_contact(|contact| {
            if contact.standing == Standing::Blocked {
                blocked += 1;
            } else {
                printed = output.object(&ListedContact::from(&contact));
            }
            printed.is_ok()
        })?;
        if blocked > 0 {
            output.note(&format!("{blocked} blocked left out"));
        }
        return printed;
    }
    // All of them are looked up before anything is printed.
    let contacts = names
        .into_iter()
        .map(|name| {
            let contact = known(store, name)?;
            match contact.standing {
                Standing::Blocked => Err(Error::Blocked { name: contact.name }.into()),
                _ => Ok(contact),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    contacts
        .iter()
        .try_for_each(|contact| output.object(&ListedContact::from(contact)))
}

/// Pins everybody on a list.
pub(super) fn import(file: &Path, profile: &Profile, context: &Context<'_>) -> Result<ExitCode> {
    let output = context.output;
    let (list, _) = input::open(file)?;
    let (_, secrets) = context.keystore(profile)?;
    let me = secrets.unlock()?;
    let mut store = context.store(profile, NO_RELAY)?;
    let report = |line, error: &LineError| refuse(line, error, output);
    let list = BufReader::new(list);
    let imported = ctalk::import_contacts(&mut store, &me, list, commands::now(), report).map_err(
        |error| match error {
            ImportError::Store(error) => anyhow::Error::from(error),
            ImportError::Read(_) => Complaint::new(Class::Usage, error.to_string()).into(),
            _ => Complaint::new(Class::Malformed, error.to_string()).into(),
        },
    )?;
    if output.is_json() {
        output.object(&imported)?;
    } else {
        let Imported {
            added,
            renewed,
            known,
            refused,
            ..
        } = imported;
        output.line(&format!(
            "{added} added, {renewed} renewed, {known} known, {refused} refused"
        ))?;
    }
    Ok(if imported.refused == 0 {
        ExitCode::SUCCESS
    } else {
        exit::code(Class::Malformed)
    })
}

fn refuse(line: u64, error: &LineError, output: &Output) {
    let mut failure = Failure {
        class: error.class(),
        text: error.to_string(),
        hint: error.hint(),
    };
    if output.is_json() {
        let error = failure.shown();
        // Strings and numbers always are JSON.
        let _ = output.report(&Refused { line, error });
    } else {
        failure.text = format!("line {line}: {}", failure.text);
        output.failure(failure);
    }
}
