//! Which posts are believed.

use std::collections::BTreeSet;

use ctalk_wire::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, WebhookSecret};
use hyper::HeaderMap;

/// How far a post's time may be from this machine's, in seconds.
const TOLERANCE: i64 = 300;
/// The longest id of a post, in bytes.
const MAX_ID: usize = 128;
/// Posts that are remembered; only what is signed is.
const MAX_SEEN: usize = 10_000;

/// Why a post was refused. Nothing was fetched because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its body did not arrive.
    #[error("it broke off")]
    Broken,
    /// It is no POST.
    #[error("it is no POST")]
    NoPost,
    /// The headers of Standard Webhooks are missing or cannot be read.
    #[error("its webhook headers are missing or malformed")]
    Malformed,
    /// Exactly this was taken before.
    #[error("it was posted before")]
    Replayed,
    /// Its time is too far from this machine's.
    #[error("its time is more than 5 minutes from this machine's clock")]
    Stale,
    /// Its body is longer than any message.
    #[error("it is too long")]
    TooLong,
    /// It is not signed under the profile's secret.
    #[error("its signature is not by the profile's webhook secret")]
    Unsigned,
}

impl Refusal {
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Broken | Self::Malformed => 400,
            Self::NoPost => 405,
            Self::Replayed => 409,
            Self::Stale | Self::Unsigned => 401,
            Self::TooLong => 413,
        }
    }
}

/// What a post says before its body.
pub(super) struct Head {
    id: String,
    /// In seconds since the Unix epoch.
    timestamp: i64,
    signatures: String,
}

impl Head {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let text = |name| {
            let mut values = headers.get_all(name).iter();
            let only = values.next().filter(|_| values.next().is_none());
            only.and_then(|value| value.to_str().ok())
                .ok_or(Refusal::Malformed)
        };
        let id = text(WEBHOOK_ID)?;
        // A dot ends it in what is signed.
        if !(1..=MAX_ID).contains(&id.len()) || id.contains('.') {
            return Err(Refusal::Malformed);
        }
        let timestamp = text(WEBHOOK_TIMESTAMP)?;
        // Written in one way only, because it is what was signed.
        if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) || timestamp.starts_with('0') {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            id: id.to_owned(),
            timestamp: timestamp.parse().map_err(|_| Refusal::Malformed)?,
            signatures: text(WEBHOOK_SIGNATURE)?.to_owned(),
        })
    }

    pub(super) fn check_time(&self, now: i64) -> Result<(), Refusal> {
        let away = self.timestamp.abs_diff(now);
        if away > TOLERANCE.unsigned_abs() {
            return Err(Refusal::Stale);
        }
        Ok(())
    }

    pub(super) fn check_signature(
        &self,
        secret: &WebhookSecret,
        body: &[u8],
    ) -> Result<(), Refusal> {
        if !secret.verifies(&self.signatures, &self.id, self.timestamp, body) {
            return Err(Refusal::Unsigned);
        }
        Ok(())
    }
}

/// What was taken and may still be posted again by somebody else than the relay, which gives each of its
/// attempts its own time.
#[derive(Default)]
pub(super) struct Seen(BTreeSet<(i64, String)>);

impl Seen {
    pub(super) fn check_new(&mut self, head: Head, now: i64) -> Result<(), Refusal> {
        // What is older is refused for its age.
        let oldest = now.saturating_sub(TOLERANCE);
        self.0 = self.0.split_off(&(oldest, String::new()));
        if self.0.len() >= MAX_SEEN {
            self.0.pop_first();
        }
        if !self.0.insert((head.timestamp, head.id)) {
            return Err(Refusal::Replayed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_774_094_400;

    fn secret() -> WebhookSecret {
        WebhookSecret::from_bytes([7; 32]).unwrap()
    }

    fn headers(id: &str, timestamp: &str) -> HeaderMap {
        let signature = secret().sign(id, timestamp.parse().unwrap_or(0), b"{}");
        let mut headers = HeaderMap::new();
        headers.insert(WEBHOOK_ID, id.parse().unwrap());
        headers.insert(WEBHOOK_TIMESTAMP, timestamp.parse().unwrap());
        headers.insert(WEBHOOK_SIGNATURE, signature.parse().unwrap());
        headers
    }

    fn judge(seen: &mut Seen, headers: &HeaderMap, now: i64) -> Result<(), Refusal> {
        let head = Head::of(headers)?;
        head.check_time(now)?;
        head.check_signature(&secret(), b"{}")?;
        seen.check_new(head, now)
    }

    #[test]
    fn what_is_signed_and_of_these_five_minutes_is_taken_once() {
        let mut seen = Seen::default();
        for (id, away) in [("a", 0), ("b", -300), ("c", 300), ("a", 1)] {
            let headers = headers(id, &(NOW + away).to_string());
            assert_eq!(judge(&mut seen, &headers, NOW), Ok(()), "{id} {away}");
            assert_eq!(judge(&mut seen, &headers, NOW), Err(Refusal::Replayed));
        }
        for away in [-301, 301, i64::MAX - NOW] {
            let headers = headers("d", &(NOW + away).to_string());
            assert_eq!(judge(&mut seen, &headers, NOW), Err(Refusal::Stale));
        }
        // What is too old for being taken is forgotten.
        assert_eq!(seen.0.len(), 4);
        judge(
            &mut seen,
            &headers("e", &(NOW + 301).to_string()),
            NOW + 301,
        )
        .unwrap();
        assert_eq!(seen.0.len(), 3);
    }

    #[test]
    fn what_lacks_a_header_or_has_it_twice_or_in_another_form_is_refused() {
        let mut seen = Seen::default();
        let good = headers("a", &NOW.to_string());
        for name in [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE] {
            let mut without = good.clone();
            without.remove(name);
            let mut twice = good.clone();
            twice.append(name, good[name].clone());
            for headers in [without, twice] {
                let judged = judge(&mut seen, &headers, NOW);
                assert_eq!(judged, Err(Refusal::Malformed), "{name}");
            }
        }
        let long = "i".repeat(MAX_ID + 1);
        for id in ["", "a.b", &long] {
            let headers = headers(id, &NOW.to_string());
            assert_eq!(judge(&mut seen, &headers, NOW), Err(Refusal::Malformed));
        }
        for timestamp in [
            "",
            "+1774094400",
            "01774094400",
            "-5",
            "1e9",
            "99999999999999999999",
        ] {
            let headers = headers("a", timestamp);
            assert_eq!(judge(&mut seen, &headers, NOW), Err(Refusal::Malformed));
        }
        assert_eq!(judge(&mut seen, &good, NOW), Ok(()));
    }

    #[test]
    fn no_more_than_ten_thousand_posts_are_remembered() {
        let mut seen = Seen::default();
        for number in 0..=MAX_SEEN {
            let headers = headers(&number.to_string(), &NOW.to_string());
            seen.check_new(Head::of(&headers).unwrap(), NOW).unwrap();
        }
        assert_eq!(seen.0.len(), MAX_SEEN);
    }
}
