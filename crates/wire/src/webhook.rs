//! Signatures of webhooks, as in Standard Webhooks 1.0.0.
//!
//! A relay signs what it posts with HMAC-SHA256 (RFC 2104) under a secret that it shares with the
//! receiver, over `ID.TIMESTAMP.BODY`: the values of the headers below and the bytes of the body.

use core::fmt;
use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header with the message's id, the same each time that a message is posted.
pub const WEBHOOK_ID: &str = "webhook-id";
/// The header with the time of this attempt, in seconds since the Unix epoch.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// The header with signatures, separated by spaces; those of this kind begin with `v1,`.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";

/// What a relay and the receiver of its webhooks share. Written `whsec_` and standard base64.
#[derive(Clone)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Bytes of a secret that this crate's users make.
    pub const LEN: usize = 32;

    /// Takes 24 to 64 secret bytes; `None` for fewer or more.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The secret's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as it is shown and stored: `whsec_` and base64.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The value of the signature's header for a `body` posted with these other two headers.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let tag = self.mac(id, timestamp, body).map(Mac::finalize);
        let tag = tag.map(|tag| STANDARD.encode(tag.into_bytes()));
        format!("{VERSION}{}", tag.unwrap_or_default())
    }

    /// Whether one of `signatures`, the value of the signature's header, is of these other two
    /// headers and this `body`. Takes time that does not depend on how much of one is right.
    #[must_use]
    pub fn verifies(&self, signatures: &str, id: &str, timestamp: i64, body: &[u8]) -> bool {
        let Some(mac) = self.mac(id, timestamp, body) else {
            return false;
        };
        let tags = signatures
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION)?).ok());
        tags.fold(false, |verified, tag| {
            verified | mac.clone().verify_slice(&tag).is_ok()
        })
    }

    fn mac(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
        // Keys of any length fit.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(mac)
    }
}

impl FromStr for WebhookSecret {
    type Err = InvalidWebhookSecret;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidWebhookSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidWebhookSecret)?;
        Self::from_bytes(bytes).ok_or(InvalidWebhookSecret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WebhookSecret(..)")
    }
}

/// The text is no webhook secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidWebhookSecret;

impl fmt::Display for InvalidWebhookSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a webhook secret is `whsec_` and 24 to 64 bytes in standard base64")
    }
}

impl core::error::Error for InvalidWebhookSecret {}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret() -> WebhookSecret {
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()
    }

    #[test]
    fn the_published_example_is_reproduced() {
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(secret().sign(ID, TIMESTAMP, BODY), signature);
        assert!(secret().verifies(signature, ID, TIMESTAMP, BODY));
        assert_eq!(secret().reveal(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }

    #[test]
    fn one_right_signature_among_others_is_enough_and_none_is_not() {
        let right = secret().sign(ID, TIMESTAMP, BODY);
        let other = WebhookSecret::from_bytes([7; 32]).unwrap();
        let wrong = other.sign(ID, TIMESTAMP, BODY);
        let verifies = |signatures: &str| secret().verifies(signatures, ID, TIMESTAMP, BODY);
        assert!(verifies(&format!("{wrong} v1a,junk {right}")));
        let cut = &right[..right.len() - 4];
        let unversioned = right.trim_start_matches(VERSION);
        for signatures in ["", " ", "v1,", "junk", &wrong, cut, unversioned] {
            assert!(!verifies(signatures), "{signatures:?}");
        }
    }

    #[test]
    fn a_signature_covers_id_time_and_body() {
        let right = secret().sign(ID, TIMESTAMP, BODY);
        assert!(!secret().verifies(&right, "other", TIMESTAMP, BODY));
        assert!(!secret().verifies(&right, ID, TIMESTAMP + 1, BODY));
        assert!(!secret().verifies(&right, ID, TIMESTAMP, b"{}"));
    }

    #[test]
    fn secrets_of_another_form_or_length_are_refused_and_none_is_printed() {
        let short = format!("{PREFIX}{}", STANDARD.encode([7; 23]));
        let long = format!("{PREFIX}{}", STANDARD.encode([7; 65]));
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_!",
            &short,
            &long,
        ] {
            assert!(text.parse::<WebhookSecret>().is_err(), "{text}");
        }
        assert_eq!(format!("{:?}", secret()), "WebhookSecret(..)");
    }
}
