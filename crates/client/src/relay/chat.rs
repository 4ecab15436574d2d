//! Relays that carry people's words, too: ctalk's texts among those, and words instead of them.

use ctalk_core::classic::MAX_MESSAGE_LEN;

use super::OWN_PREFIXES;

/// Longest id of a message that is kept.
const MAX_ID: usize = 128;

/// What all prefixes of ctalk's texts begin with.
const COMMON: &str = "ctalk";

/// The texts of ctalk's that stand anywhere in a message, up to the first character that none of them has.
/// Nothing of the message is looked at twice, however many there are.
pub(super) fn texts(content: &str) -> impl Iterator<Item = &str> {
    let mut begins = content.match_indices(COMMON);
    let mut end = 0;
    std::iter::from_fn(move || {
        loop {
            let (begin, _) = begins.find(|(begin, _)| *begin >= end)?;
            let text = content.get(begin..)?;
            let mut prefixes = OWN_PREFIXES.iter();
            let Some(prefix) = prefixes.find(|prefix| text.starts_with(**prefix)) else {
                continue;
            };
            let body = text.get(prefix.len()..)?;
            let length = body.find(|character: char| !is_base64url(character));
            let length = prefix.len() + length.unwrap_or(body.len());
            end = begin + length;
            return text.get(..length);
        }
    })
}

const fn is_base64url(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Whether an id of a message may be kept and shown.
pub(super) fn is_usable_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// As much of a frame as can matter: one that is longer can only be set aside as over-long.
pub(super) fn bounded(frame: &str) -> Box<[u8]> {
    let bytes = frame.as_bytes();
    bytes.get(..=MAX_MESSAGE_LEN).unwrap_or(bytes).into()
}

/// What a peer without ctalk is to read: words where the payload is nothing else.
pub(super) fn spoken(json: &str) -> String {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Words {
        text: String,
    }
    serde_json::from_str(json).map_or_else(|_| json.to_owned(), |Words { text }| text)
}

#[cfg(test)]
mod tests {
    use super::{COMMON, OWN_PREFIXES, texts};

    #[test]
    fn texts_are_found_anywhere_and_end_with_their_letters() {
        let batched = "[2 messages]\n[1] ctalk2:AbC-_9\n[2] look: ctalk2p:Zz, and ctalk-pair:q";
        let found: Vec<_> = texts(batched).collect();
        assert_eq!(found, ["ctalk2:AbC-_9", "ctalk2p:Zz", "ctalk-pair:q"]);
        assert_eq!(texts("ctalk1:abc ctalk and words").count(), 0);
        assert_eq!(texts("ctalk2:").collect::<Vec<_>>(), ["ctalk2:"]);
        let close: Vec<_> = texts("ctalk2:ctalk2:a").collect();
        assert_eq!(close, ["ctalk2:ctalk2"]);
    }

    #[test]
    fn every_text_begins_as_all_do() {
        assert!(OWN_PREFIXES.iter().all(|prefix| prefix.starts_with(COMMON)));
    }

    #[test]
    fn a_message_full_of_beginnings_is_looked_at_once() {
        // Looked at anew from each of them, that would be more than an hour.
        let content = "ctalk2:.".repeat(1 << 19);
        assert_eq!(texts(&content).count(), 1 << 19);
    }
}
