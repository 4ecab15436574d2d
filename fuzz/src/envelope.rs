//! Envelopes from somebody who can sign nothing: the outer form, and signatures that exist.

use ctalk_core::envelope::{Claims, Envelope, HEADER_START_LEN, Header, MAX_LIFE, MAX_RECIPIENTS};

use super::people::{BOB, NOW, at};

const HINT_LEN: usize = 16;
const WRAP_LEN: usize = 1168;

/// Takes `data` as an envelope and goes as far as it goes.
pub(crate) fn check(data: &[u8]) -> bool {
    let parsed = Envelope::parse(data);
    match Header::parse(data) {
        Ok((header, body)) => {
            let length = data.len() - body.len();
            assert_eq!(Header::length(data), Ok(length));
            assert!(Header::parse(&data[..length - 1]).is_err());
            has_one_encoding(header.claims(), &data[..length]);
        }
        Err(error) => assert_eq!(parsed.as_ref().err(), Some(&error)),
    }
    let Ok(envelope) = parsed else {
        return false;
    };
    let claims = *envelope.claims();
    assert!(envelope.padded_len() < data.len());
    let Ok(verified) = envelope.verify() else {
        return false;
    };
    assert_eq!(verified.header().sender().as_bytes(), &claims.sender);
    if is_verified(data) {
        no_alteration_verifies(data);
    }
    let Ok(opened) = verified.open(&BOB, at(NOW)) else {
        return false;
    };
    assert_eq!(opened.sender.as_bytes(), &claims.sender);
    assert_eq!(
        (opened.id, opened.created, opened.expires),
        (claims.id, claims.created, claims.expires)
    );
    true
}

/// The header, written again from what was read and from the parts that only keys can judge, is the
/// same.
fn has_one_encoding(claims: &Claims, header: &[u8]) {
    let recipients = usize::from(claims.recipients);
    assert!((1..=MAX_RECIPIENTS).contains(&recipients));
    let life = claims.expires.as_millis() - claims.created.as_millis();
    assert!((1..=MAX_LIFE.as_millis()).contains(&life.into()));

    let (start, rest) = header.split_at(HEADER_START_LEN);
    let (hints, wraps) = rest.split_at(recipients * HINT_LEN);
    assert_eq!(wraps.len(), recipients * WRAP_LEN);
    let hints: Vec<_> = hints.chunks(HINT_LEN).collect();
    assert!(hints.windows(2).all(|pair| pair[0] < pair[1]));

    let commitment = &start[72..104];
    let written = [
        b"ctalke\x02\x01",
        &claims.id.as_bytes()[..],
        &claims.created.as_millis().to_be_bytes(),
        &claims.expires.as_millis().to_be_bytes(),
        &claims.sender,
        commitment,
        &claims.recipients.to_be_bytes(),
    ]
    .concat();
    assert_eq!(written, start);
}

/// A signature covers every byte and stands for one end.
fn no_alteration_verifies(data: &[u8]) {
    let mut altered = data.to_vec();
    for place in [0, 8, 40, 72, data.len() / 2, data.len() - 1] {
        altered[place] ^= 1;
        assert!(!is_verified(&altered), "byte {place}");
        altered[place] ^= 1;
    }
    assert!(!is_verified(&data[..data.len() - 1]));
    altered.push(0);
    assert!(!is_verified(&altered));
}

fn is_verified(data: &[u8]) -> bool {
    Envelope::parse(data)
        .ok()
        .and_then(|envelope| envelope.verify().ok())
        .is_some_and(|verified| verified.verify_all().is_ok())
}
