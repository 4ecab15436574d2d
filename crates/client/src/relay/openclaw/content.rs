//! ctalk's texts within what is said.

use ctalk_core::{
    Fingerprint, VerifyingKey,
    envelope::{self, Envelope},
    part::Part,
};

use crate::relay::{OWN_PREFIXES, chat::texts};

/// A text that is whole: whoever it names signed exactly this.
pub(super) struct Found {
    pub(super) text: String,
    /// Of the envelope, 32 hex digits.
    pub(super) id: String,
    /// Of the signer, 64 hex digits.
    pub(super) fingerprint: String,
}

/// Most texts that are looked at in what is said at once.
const MOST: usize = 64;

/// The whole texts that stand anywhere, each once. Hosts put cut copies in front of whole ones.
pub(super) fn whole(content: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for text in texts(content).take(MOST) {
        if found.iter().all(|before| before.text != text)
            && let Some(whole) = envelope(text).or_else(|| part(text))
        {
            found.push(whole);
        }
    }
    found
}

fn envelope(text: &str) -> Option<Found> {
    let bytes = envelope::from_text(text).ok()?;
    let envelope = Envelope::parse(&bytes).ok()?;
    let id = envelope.claims().id.to_string();
    let header = envelope.verify().ok()?.verify_all().ok()?;
    Some(Found {
        text: text.to_owned(),
        id,
        fingerprint: Fingerprint::native(header.sender()).to_hex(),
    })
}

fn part(text: &str) -> Option<Found> {
    let bytes = Part::from_text(text).ok()?;
    let part = Part::parse(&bytes).ok()?;
    let (id, sender) = (part.claims().id().to_string(), *part.claims().sender());
    part.verify().ok()?;
    let sender = VerifyingKey::from_bytes(sender).ok()?;
    Some(Found {
        text: text.to_owned(),
        id,
        fingerprint: Fingerprint::native(&sender).to_hex(),
    })
}

/// Whether a text of ctalk's begins in it.
pub(super) fn begins_one(content: &str) -> bool {
    OWN_PREFIXES.iter().any(|prefix| content.contains(prefix))
}

/// Whether it ends within a text of ctalk's, which may go on with what comes next.
pub(super) fn ends_within_one(content: &str) -> bool {
    let last = OWN_PREFIXES
        .iter()
        .filter_map(|prefix| Some(content.rfind(prefix)? + prefix.len()))
        .max();
    let rest = last.and_then(|begin| content.get(begin..));
    rest.is_some_and(|rest| {
        rest.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

/// What is left of some content without these texts.
pub(super) fn beside(content: &str, found: &[Found]) -> String {
    let mut rest = content.to_owned();
    for found in found {
        rest = rest.replace(&found.text, "");
    }
    rest.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{begins_one, ends_within_one, whole};

    #[test]
    fn what_only_looks_like_a_text_of_ctalks_is_none() {
        for content in [
            "",
            "words",
            "ctalk2:",
            "ctalk2:AAAA and words",
            "ctalk2p:AAAA",
        ] {
            assert!(whole(content).is_empty(), "{content}");
        }
    }

    #[test]
    fn only_what_ends_within_a_text_goes_on() {
        for (content, begins, goes_on) in [
            ("words", false, false),
            ("ctalk2:AbC-_", true, true),
            ("here: ctalk2:AbC", true, true),
            ("ctalk2:AbC.", true, false),
            ("ctalk2:AbC and ctalk2p:", true, true),
        ] {
            assert_eq!(begins_one(content), begins, "{content}");
            assert_eq!(ends_within_one(content), goes_on, "{content}");
        }
    }
}
