//! Successions and revocations: any bytes, and any that are properly signed.

use ctalk_core::{Revocation, StatementError, Succession};
use ed25519_dalek::{Signer, SigningKey};

use super::people::{ALICE, ALICE_SIGNS, BOB, BOB_SIGNS};

/// Bytes of a statement before its keys.
const START_LEN: usize = 16;

/// Takes `data` as a statement, or else as one without keys and signatures.
pub(crate) fn check(data: &[u8]) -> bool {
    succession(data).is_ok()
        || revocation(data).is_ok()
        || data
            .split_at_checked(START_LEN)
            .is_some_and(|(start, more)| {
                signed_succession(start, more) | signed_revocation(start, more)
            })
}

/// Alice hands over to bob.
fn signed_succession(start: &[u8], more: &[u8]) -> bool {
    let signers: [(&[u8], &SigningKey); 2] = [
        (b"ctalk/succession/old/2", &ALICE_SIGNS),
        (b"ctalk/succession/new/2", &BOB_SIGNS),
    ];
    accepted(succession(&sign(start, &signers, more))).is_some_and(|read| {
        assert_eq!(
            Succession::sign(&ALICE, &BOB, read.created()).as_ref(),
            Ok(&read)
        );
        true
    })
}

/// Alice ends.
fn signed_revocation(start: &[u8], more: &[u8]) -> bool {
    let signers: [(&[u8], &SigningKey); 1] = [(b"ctalk/revocation/2", &ALICE_SIGNS)];
    accepted(revocation(&sign(start, &signers, more))).is_some_and(|read| {
        assert_eq!(Revocation::sign(&ALICE, read.created()), read);
        true
    })
}

fn sign(start: &[u8], signers: &[(&[u8], &SigningKey)], more: &[u8]) -> Vec<u8> {
    let mut signed = start.to_vec();
    for (_, signer) in signers {
        signed.extend(signer.verifying_key().to_bytes());
    }
    let mut bytes = signed.clone();
    for (label, signer) in signers {
        bytes.extend(signer.sign(&[*label, &signed].concat()).to_bytes());
    }
    bytes.extend(more);
    bytes
}

/// What is signed properly is refused for its grammar alone.
fn accepted<T>(outcome: Result<T, StatementError>) -> Option<T> {
    match outcome {
        Ok(statement) => Some(statement),
        Err(
            StatementError::Key { .. }
            | StatementError::NotVerified { .. }
            | StatementError::SameIdentity { .. },
        ) => panic!("keys and signatures are good"),
        Err(_) => None,
    }
}

fn succession(bytes: &[u8]) -> Result<Succession, StatementError> {
    let read = Succession::parse(bytes)?;
    assert_eq!(read.as_bytes(), bytes);
    assert_ne!(read.predecessor(), read.successor());
    assert_eq!(Succession::from_text(&read.to_text()).as_ref(), Ok(&read));
    has_one_encoding(bytes, |bytes| Succession::parse(bytes).is_ok());
    Ok(read)
}

fn revocation(bytes: &[u8]) -> Result<Revocation, StatementError> {
    let read = Revocation::parse(bytes)?;
    assert_eq!(read.as_bytes(), bytes);
    assert_eq!(Revocation::from_text(&read.to_text()).as_ref(), Ok(&read));
    has_one_encoding(bytes, |bytes| Revocation::parse(bytes).is_ok());
    Ok(read)
}

/// No altered byte, cut or addition is accepted.
fn has_one_encoding(bytes: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    let mut bytes = bytes.to_vec();
    let last = bytes.len() - 1;
    for place in [0, START_LEN - 1, START_LEN, last - 64, last] {
        bytes[place] ^= 1;
        assert!(!accepts(&bytes), "byte {place}");
        bytes[place] ^= 1;
    }
    assert!(!accepts(&bytes[..last]));
    bytes.push(0);
    assert!(!accepts(&bytes));
}
