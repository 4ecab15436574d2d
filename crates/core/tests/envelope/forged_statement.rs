//! A second way to make successions and revocations, written from `docs/TRUST.md`.

use ed25519_dalek::Signer;

use crate::{
    forge::Sign,
    support::{CREATED, Person, alice, bob},
};

pub(crate) const OLD: &[u8] = b"ctalk/succession/old/2";
pub(crate) const NEW: &[u8] = b"ctalk/succession/new/2";
pub(crate) const REVOCATION: &[u8] = b"ctalk/revocation/2";

/// A statement, free to break the page's rules.
pub(crate) struct ForgedStatement {
    pub(crate) start: Vec<u8>,
    pub(crate) created: u64,
    pub(crate) keys: Vec<[u8; 32]>,
    /// What makes each signature of what stands before all of them.
    pub(crate) signers: Vec<Sign>,
}

impl ForgedStatement {
    /// Alice hands over to bob.
    pub(crate) fn succession() -> Self {
        Self {
            start: b"ctalks\x02\x01".to_vec(),
            created: CREATED,
            keys: vec![alice().verifying(), bob().verifying()],
            signers: vec![signer(alice(), OLD), signer(bob(), NEW)],
        }
    }

    /// Alice ends.
    pub(crate) fn revocation() -> Self {
        Self {
            start: b"ctalkr\x02\x01".to_vec(),
            created: CREATED,
            keys: vec![alice().verifying()],
            signers: vec![signer(alice(), REVOCATION)],
        }
    }

    pub(crate) fn make(self) -> Vec<u8> {
        let created = self.created.to_be_bytes();
        let signed = [&self.start[..], &created, &self.keys.concat()].concat();
        let mut statement = signed.clone();
        for sign in self.signers {
            statement.extend(sign(&signed));
        }
        statement
    }
}

/// Signs under `label`.
pub(crate) fn signer(person: Person, label: &'static [u8]) -> Sign {
    Box::new(move |signed| {
        let message = [label, signed].concat();
        person.signing_key().sign(&message).to_bytes()
    })
}
