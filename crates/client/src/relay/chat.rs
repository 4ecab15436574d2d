//! Relays that carry people's words, too: ctalk's texts among those, and words instead of them.

use ctalk_core::classic::MAX_MESSAGE_LEN;

use super::OWN_PREFIXES;

/// Longest id of a message that is kept.
const MAX_ID: usize = 128;

/// The texts of ctalk's that stand anywhere in a message, up to the first character that none of them has.
pub(super) fn texts(content: &str) -> impl Iterator<Item = &str> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let found = OWN_PREFIXES
            .iter()
            .filter_map(|prefix| Some((rest.find(prefix)?, prefix.len())));
        let (begin, prefix) = found.min()?;
        let text = rest.get(begin..)?;
        let body = text.get(prefix..)?;
        let length = body.find(|character: char| !is_base64url(character));
        let (text, after) = text.split_at(prefix + length.unwrap_or(body.len()));
        rest = after;
        Some(text)
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
    use super::texts;

    #[test]
    fn texts_are_found_anywhere_and_end_with_their_letters() {
        let batched = "[2 messages]\n[1] ctalk2:AbC-_9\n[2] look: ctalk2p:Zz, and ctalk-pair:q";
        let found: Vec<_> = texts(batched).collect();
        assert_eq!(found, ["ctalk2:AbC-_9", "ctalk2p:Zz", "ctalk-pair:q"]);
        assert_eq!(texts("ctalk1:abc ctalk and words").count(), 0);
        assert_eq!(texts("ctalk2:").collect::<Vec<_>>(), ["ctalk2:"]);
    }
}
