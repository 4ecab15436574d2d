//! The string that is signed.

use core::fmt::Write;

/// What the signature covers besides the box and its nonce. Absent members differ from empty ones.
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    /// The recipient, in the relay's exact spelling.
    pub to: &'a str,
    /// `request`, `response` or `notification`.
    pub message_type: &'a str,
    /// Conversation label.
    pub topic: Option<&'a str>,
    /// Pairs requests with responses.
    pub correlation_id: Option<&'a str>,
}

/// The canonical string, byte for byte what JavaScript's `JSON.stringify` gives for an object of
/// these members in this order. `ttl` is left out: relays drop it, so nobody could verify it.
pub(crate) fn canonical(metadata: &Metadata<'_>, payload: &str, nonce: &str) -> String {
    let Metadata {
        to,
        message_type,
        topic,
        correlation_id,
    } = metadata;
    let texts = [
        *to,
        *message_type,
        topic.unwrap_or(""),
        correlation_id.unwrap_or(""),
        nonce,
    ];
    let names = r#"{"to":"","type":"","topic":"","correlationId":"","encrypted":true,"payload":"","nonce":""}"#;
    let length = names.len() + payload.len() + texts.iter().map(|text| text.len()).sum::<usize>();

    let mut json = String::with_capacity(length);
    json.push_str("{\"to\":");
    push_string(&mut json, to);
    json.push_str(",\"type\":");
    push_string(&mut json, message_type);
    if let Some(topic) = topic {
        json.push_str(",\"topic\":");
        push_string(&mut json, topic);
    }
    if let Some(correlation_id) = correlation_id {
        json.push_str(",\"correlationId\":");
        push_string(&mut json, correlation_id);
    }
    json.push_str(",\"encrypted\":true,\"payload\":");
    push_string(&mut json, payload);
    json.push_str(",\"nonce\":");
    push_string(&mut json, nonce);
    json.push('}');
    json
}

/// Appends a JSON string. Escaped are the quotation mark, the backslash and what lies below
/// U+0020; everything else stands as it is, U+007F, U+2028 and `/` included.
fn push_string(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    while let Some(place) = rest.find(|character| matches!(character, '"' | '\\' | '\0'..='\x1f')) {
        let (plain, escaped) = rest.split_at(place);
        json.push_str(plain);
        let mut characters = escaped.chars();
        match characters.next() {
            Some('"') => json.push_str("\\\""),
            Some('\\') => json.push_str("\\\\"),
            Some('\u{8}') => json.push_str("\\b"),
            Some('\u{c}') => json.push_str("\\f"),
            Some('\n') => json.push_str("\\n"),
            Some('\r') => json.push_str("\\r"),
            Some('\t') => json.push_str("\\t"),
            Some(control) => {
                // Writing to a `String` cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(control));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    json.push_str(rest);
    json.push('"');
}
