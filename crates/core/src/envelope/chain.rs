//! What ties the segments to the header and to each other: the running hash that each signature
//! covers.

use sha2::{Digest, Sha256};

use crate::label;

/// The running hash before a segment, and that segment's index.
pub(super) struct Chain {
    hash: [u8; 32],
    index: u32,
}

/// One more segment than there are indices.
pub(super) struct IndexOverflow;

impl Chain {
    /// `H_0`.
    pub(super) fn new(header: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(label::HEADER)
            .chain_update(header)
            .finalize();
        Self {
            hash: digest.into(),
            index: 0,
        }
    }

    /// The index of the segment that comes next.
    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    /// What the sender signs of the segment that comes next.
    pub(super) fn statement(&self, last: bool, digest: &[u8; 32]) -> Vec<u8> {
        [
            label::SEGMENT,
            &self.hash,
            &self.index.to_be_bytes(),
            &[last.into()],
            digest,
        ]
        .concat()
    }

    /// Goes past a segment that is not the last.
    pub(super) fn advance(&mut self, digest: &[u8; 32]) -> Result<(), IndexOverflow> {
        self.index = self.index.checked_add(1).ok_or(IndexOverflow)?;
        let hash = Sha256::new()
            .chain_update(label::CHAIN)
            .chain_update(self.hash)
            .chain_update(digest)
            .finalize();
        self.hash = hash.into();
        Ok(())
    }
}
