//! `ctalk contact verify`.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::Result;
use ctalk::{
    Comparison, Error, Format, Profile,
    core::{Fingerprint, Identity, trust::Standing},
    shown,
    store::Store,
    text::distinct,
};

use super::{change, known};
use crate::{context::Context, output::Output, qr};

/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1024;
const GROUPS_PER_LINE: usize = 5;
const WORDS_PER_LINE: usize = 6;

/// Marks the contact as verified if this is its fingerprint.
pub(super) fn by_fingerprint(
    mut store: Store,
    name: &str,
    fingerprint: Fingerprint,
    output: &Output,
) -> Result<()> {
    let contact = ctalk::verify_contact(&mut store, name, fingerprint)?;
    change::standing(&contact, output)
}

/// Shows the safety number; at a terminal, asks whether the other side sees the same.
pub(super) fn compare(
    mut store: Store,
    name: String,
    profile: &Profile,
    context: &Context<'_>,
) -> Result<()> {
    let output = context.output;
    let contact = known(&store, name)?;
    if contact.standing == Standing::Blocked {
        return Err(Error::Blocked { name: contact.name }.into());
    }
    let (_, secrets) = context.keystore(profile)?;
    let me = Identity::from_keygen_json(secrets.identity())?;
    let compared = Comparison::new(me.public_keys(), &contact);
    let name = distinct(&contact.name).into_owned();
    if output.is_json() {
        return output.object(&shown::Comparison::new(&contact, &compared));
    }
    let words = compared.number.words();
    let digits = compared.number.to_string();
    let groups: Vec<_> = digits.split(' ').collect();
    output.line(&format!("safety number of {} and {name}", profile.name()))?;
    for block in [
        lines(&groups, GROUPS_PER_LINE),
        lines(&words, WORDS_PER_LINE),
        qr::draw(&compared.number.qr_text())?,
    ] {
        output.line(&format!("\n{block}"))?;
    }
    output.note(&format!(
        "{name} sees the same digits, words and QR code with `ctalk contact verify {}`, if nobody \
         is in between: compare all of them, over a channel that the relay does not control",
        profile.name()
    ));
    if compared.format == Format::Classic {
        output.hint(&format!(
            "{name} sees another number if only {name} holds a key card: then exchange them first \
             (`ctalk card`, `ctalk contact add`)"
        ));
    }
    if !(io::stdin().is_terminal() && output.is_terminal()) {
        output.hint(&format!(
            "if they are the same: ctalk contact verify {name} {}",
            compared.theirs.to_hex()
        ));
        return Ok(());
    }
    if !is_yes("Is it the same on both sides? [y/N] ")? {
        output.note(&format!("{name} stays {}", contact.standing));
        return Ok(());
    }
    change::standing(&ctalk::confirm(&mut store, contact)?, output)
}

fn lines(words: &[&str], per_line: usize) -> String {
    let lines: Vec<_> = words.chunks(per_line).map(|line| line.join(" ")).collect();
    lines.join("\n")
}

/// Asks at the terminal; what is not a yes is a no.
fn is_yes(question: &str) -> Result<bool> {
    // Nobody can answer who does not see the question.
    io::Write::write_all(&mut io::stderr(), question.as_bytes())?;
    let mut answer = String::new();
    io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
