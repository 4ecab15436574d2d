//! How an agent proves to the relay that it holds its secret, and each frame that it comes from its
//! connection: HMAC-SHA256 (RFC 2104) over fields joined with `|`, in lower-case hex. The relay signs what
//! it delivers with the receiver's own key, so that none of this says who wrote a message.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Hex digits of a conversation's id.
const CONVERSATION_LEN: usize = 32;

/// The signed fields of a message frame.
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) kind: &'a str,
    pub(super) content: &'a str,
    pub(super) conversation: &'a str,
    pub(super) turn: Option<u64>,
    /// In milliseconds since the Unix epoch.
    pub(super) timestamp: i64,
    pub(super) nonce: &'a str,
}

impl Signed<'_> {
    /// The signature under the key of the connection, as text.
    pub(super) fn sign(&self, key: &str) -> Option<String> {
        let timestamp = self.timestamp.to_string();
        let turn = self.turn.map(|turn| turn.to_string());
        let mut fields = vec![
            self.id,
            self.from,
            self.to,
            self.kind,
            self.content,
            self.conversation,
        ];
        fields.extend(turn.as_deref());
        fields.extend([&*timestamp, self.nonce]);
        mac(key, &fields)
    }
}

/// What an agent signs to open a connection, under its secret.
pub(super) fn opening(agent: &str, secret: &str, timestamp: i64, nonce: &str) -> Option<String> {
    Signed {
        id: agent,
        from: agent,
        to: "server",
        kind: "connect",
        content: "connect",
        conversation: "",
        turn: None,
        timestamp,
        nonce,
    }
    .sign(secret)
}

/// The id of one of an agent's conversations with a peer: 32 hex digits, the same in every process, and
/// nobody's to guess.
pub(super) fn conversation(secret: &str, peer: &str, number: u32) -> Option<String> {
    let number = number.to_string();
    let mut id = mac(secret, &["ctalk conversation", peer, &number])?;
    id.truncate(CONVERSATION_LEN);
    Some(id)
}

/// The key is the text of its hex digits, and not the bytes that those stand for.
fn mac(key: &str, fields: &[&str]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            mac.update(b"|");
        }
        mac.update(field.as_bytes());
    }
    Some(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Signed, opening};

    const TIMESTAMP: i64 = 1_700_000_000_000;
    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn connecting_is_signed_with_the_text_of_the_secret() {
        let secret = "00112233445566778899aabbccddeeff".repeat(2);
        assert_eq!(
            opening("12345678", &secret, TIMESTAMP, NONCE).unwrap(),
            "415d1ccb9f86a731d453509415274905768fb41305573e8129a9639ce95336c6"
        );
    }

    #[test]
    fn a_message_is_signed_with_and_without_a_turn() {
        let key = "ffeeddccbbaa99887766554433221100".repeat(2);
        let mut signed = Signed {
            id: "00000000000000aa",
            from: "12345678",
            to: "87654321",
            kind: "text",
            content: "hello",
            conversation: "conv-1",
            turn: None,
            timestamp: TIMESTAMP,
            nonce: NONCE,
        };
        assert_eq!(
            signed.sign(&key).unwrap(),
            "434ee375d7e0b954abc41afdc69ffe6b6082e97fb2ee346be266baf7bb994ced"
        );
        signed.turn = Some(3);
        assert_eq!(
            signed.sign(&key).unwrap(),
            "e44b12f6a038e8a6b235f2db4caa06434a9a5298cadde8b99b9bf1539cadead5"
        );
    }
}
