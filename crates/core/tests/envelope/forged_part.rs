//! A second way to make parts, written from `docs/ENVELOPE.md` section 7.1.

use crate::{
    forge::{Sign, sha256},
    forged_statement::signer,
    support::{EXPIRES, alice, bob, seal_to},
};

pub(crate) const PART: &[u8] = b"ctalk/part/2";
pub(crate) const SLICE: u16 = 2048;

/// An envelope from alice to bob that three slices of [`SLICE`] bytes hold.
pub(crate) fn envelope() -> Vec<u8> {
    let envelope = seal_to(&[bob().card()], &[b'x'; 3500]);
    assert_eq!(envelope.len().div_ceil(SLICE.into()), 3);
    envelope
}

/// A part, free to break the page's rules. As it comes from [`ForgedPart::new`] it keeps all.
pub(crate) struct ForgedPart {
    pub(crate) start: Vec<u8>,
    pub(crate) id: [u8; 16],
    pub(crate) index: u16,
    pub(crate) slice_len: u16,
    pub(crate) length: u32,
    pub(crate) expires: u64,
    pub(crate) sender: [u8; 32],
    pub(crate) digest: [u8; 32],
    pub(crate) slice: Vec<u8>,
    /// From what stands before the signature to the signature.
    pub(crate) sign: Sign,
}

impl ForgedPart {
    /// A part of [`envelope`] from alice.
    pub(crate) fn new(index: u16) -> Self {
        Self::of(&envelope(), index)
    }

    /// The last part of [`envelope`], which is the shortest.
    pub(crate) fn last() -> Self {
        Self::new(2)
    }

    pub(crate) fn of(envelope: &[u8], index: u16) -> Self {
        let slices: Vec<_> = envelope.chunks(SLICE.into()).collect();
        Self {
            start: b"ctalkp\x02\x01".to_vec(),
            id: *envelope[8..].first_chunk().unwrap(),
            index,
            slice_len: SLICE,
            length: envelope.len().try_into().unwrap(),
            expires: EXPIRES,
            sender: alice().verifying(),
            digest: sha256(&[envelope]),
            slice: slices[usize::from(index)].to_vec(),
            sign: signer(alice(), PART),
        }
    }

    pub(crate) fn make(&self) -> Vec<u8> {
        let mut part = self.start.clone();
        part.extend(self.id);
        part.extend(self.index.to_be_bytes());
        part.extend(self.slice_len.to_be_bytes());
        part.extend(self.length.to_be_bytes());
        part.extend(self.expires.to_be_bytes());
        part.extend(self.sender);
        part.extend(self.digest);
        part.extend(&self.slice);
        let signature = (self.sign)(&part);
        part.extend(signature);
        part
    }
}
