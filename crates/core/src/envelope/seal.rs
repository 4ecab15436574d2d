//! Making an envelope: the header once, then segment by segment.
//!
//! A pipeline gives [`SegmentCipher`] to one thread and [`SegmentSigner`] to another.

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::{
    chain::{Chain, IndexOverflow},
    content_key::ContentKey,
    header::{Claims, EnvelopeId, MAX_LIFE, MAX_RECIPIENTS, is_life, write_prefix},
    hint::{HINT_LEN, hint},
    metadata::{Metadata, MetadataError},
    padding::padded_len,
    segment::{BodyCipher, SEGMENT_LEN, SIGNATURE_LEN, SLOT_LEN, USED_LEN},
    wrap::{WRAP_LEN, WrapInfo, wrap},
};
use crate::{
    card::{Card, CardNotCurrent},
    fingerprint::Fingerprint,
    identity::Identity,
    timestamp::Timestamp,
};

/// Seals a message in memory: [`Sealing`] in one step.
///
/// # Errors
///
/// [`SealError`]; the caller or its cards are at fault.
pub fn seal<'c>(
    identity: &Identity,
    recipients: impl IntoIterator<Item = &'c Card>,
    metadata: &Metadata,
    payload: &[u8],
    created: Timestamp,
    expires: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    let Sealing {
        header: mut envelope,
        first: mut segment,
        mut cipher,
        mut signer,
        ..
    } = Sealing::new(identity, recipients, metadata, created, expires, rng)?;
    let mut payload = payload;
    loop {
        let taken = segment.push(payload);
        payload = payload.get(taken..).unwrap_or_default();
        if payload.is_empty() {
            break;
        }
        envelope.extend(signer.sign(cipher.encrypt(segment)?)?);
        segment = PlainSegment::default();
    }
    for segment in cipher.finish(segment) {
        envelope.extend(signer.sign(segment?)?);
    }
    Ok(envelope)
}

/// An envelope of which the header is made, and the means to make its segments.
pub struct Sealing<'i> {
    /// The envelope's id.
    pub id: EnvelopeId,
    /// What the envelope begins with.
    pub header: Vec<u8>,
    /// The first segment, which holds the metadata so far.
    pub first: PlainSegment,
    /// Encrypts the segments.
    pub cipher: SegmentCipher,
    /// Signs the encrypted segments.
    pub signer: SegmentSigner<'i>,
}

impl<'i> Sealing<'i> {
    /// Makes the header for the given cards, with a fresh id and content key from `rng`.
    ///
    /// # Errors
    ///
    /// [`SealError`] for no, too many, repeated or outdated recipients (at `created`), times that
    /// are not in order, or metadata over a limit.
    pub fn new<'c>(
        identity: &'i Identity,
        recipients: impl IntoIterator<Item = &'c Card>,
        metadata: &Metadata,
        created: Timestamp,
        expires: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealError> {
        if !is_life(created, expires) {
            return Err(SealError::Life);
        }
        let sender = identity.public_keys().verifying();
        let mut first = PlainSegment::default();
        first.push(&metadata.encode(sender)?);

        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let id = EnvelopeId::from_bytes(id);
        let mut recipients = recipients
            .into_iter()
            .take(MAX_RECIPIENTS + 1)
            .map(|card| (hint(&id, card.signing_key(), card.xwing_key()), card))
            .collect::<Vec<_>>();
        check_recipients(&recipients, created)?;
        recipients.sort_unstable_by_key(|(hint, _)| *hint);

        let key = ContentKey::generate(rng);
        let claims = Claims {
            sender: *sender.as_bytes(),
            id,
            created,
            expires,
            recipients: u16::try_from(recipients.len())
                .map_err(|_| SealError::TooManyRecipients)?,
        };
        let hints = recipients.iter().map(|(hint, _)| *hint);
        let mut header = write_prefix(&claims, &key.commitment(&id), hints);
        let info = WrapInfo::new(&header);
        header.reserve_exact(recipients.len() * WRAP_LEN);
        for (_, card) in &recipients {
            wrap(
                &key,
                &info,
                card.signing_key(),
                card.xwing_key(),
                rng,
                &mut header,
            )
            .map_err(|_| SealError::Wrap {
                recipient: card.fingerprint(),
            })?;
        }
        let cipher = key.into_body_cipher(&Sha256::digest(&header).into());
        Ok(Self {
            id,
            first,
            cipher: SegmentCipher {
                cipher,
                index: 0,
                content_len: 0,
            },
            signer: SegmentSigner {
                identity,
                chain: Chain::new(&header),
            },
            header,
        })
    }
}

fn check_recipients(
    recipients: &[([u8; HINT_LEN], &Card)],
    now: Timestamp,
) -> Result<(), SealError> {
    if recipients.is_empty() {
        return Err(SealError::NoRecipients);
    }
    if recipients.len() > MAX_RECIPIENTS {
        return Err(SealError::TooManyRecipients);
    }
    for (_, card) in recipients {
        card.check_current(now)?;
    }
    let mut identities = recipients
        .iter()
        .map(|(_, card)| card.fingerprint())
        .collect::<Vec<_>>();
    identities.sort_unstable();
    for pair in identities.windows(2) {
        if let [recipient, same] = *pair
            && recipient == same
        {
            return Err(SealError::DuplicateRecipient { recipient });
        }
    }
    Ok(())
}

/// A segment before encryption: content in a slot of at most [`SLOT_LEN`] bytes.
#[derive(Clone)]
pub struct PlainSegment {
    /// The count of content, the content, and possibly bytes of no meaning.
    buffer: Vec<u8>,
    filled: usize,
}

impl Default for PlainSegment {
    fn default() -> Self {
        Self::reusing(Vec::new())
    }
}

impl PlainSegment {
    /// An empty segment in a buffer whose former content is forgotten. [`SEGMENT_LEN`] bytes of
    /// capacity spare growing it.
    #[must_use]
    pub fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.truncate(USED_LEN + SLOT_LEN);
        Self { buffer, filled: 0 }
    }

    /// Copies the beginning of `content` into what is free, and returns how many bytes it took.
    pub fn push(&mut self, content: &[u8]) -> usize {
        let taken = content.len().min(SLOT_LEN - self.filled);
        self.buffer.resize(USED_LEN + self.filled, 0);
        self.buffer
            .extend_from_slice(content.get(..taken).unwrap_or_default());
        self.filled += taken;
        taken
    }

    /// What is free, for reading content into; [`Self::advance`] says how much was read.
    pub fn free(&mut self) -> &mut [u8] {
        self.buffer.resize(USED_LEN + SLOT_LEN, 0);
        self.buffer
            .get_mut(USED_LEN + self.filled..)
            .unwrap_or_default()
    }

    /// Counts the first `length` bytes of [`Self::free`] as content, or as many as there are.
    pub fn advance(&mut self, length: usize) {
        let room = self.buffer.len().saturating_sub(USED_LEN + self.filled);
        self.filled += length.min(room);
    }

    /// Whether nothing is free.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.filled == SLOT_LEN
    }

    /// The plaintext with a slot of `slot_len` bytes, which the content fits into.
    fn into_plaintext(mut self, slot_len: usize) -> Vec<u8> {
        let plaintext_len = USED_LEN + slot_len;
        self.buffer.truncate(USED_LEN + self.filled);
        let missing =
            (plaintext_len + SEGMENT_LEN - USED_LEN - SLOT_LEN).saturating_sub(self.buffer.len());
        // Room for tag and signature, so that the plaintext is not copied by growing.
        self.buffer.reserve_exact(missing);
        self.buffer.resize(plaintext_len, 0);
        // At most `SLOT_LEN`, which four bytes hold.
        let used = u32::try_from(self.filled).unwrap_or_default();
        if let Some(count) = self.buffer.first_chunk_mut() {
            *count = used.to_be_bytes();
        }
        self.buffer
    }
}

/// A segment that has to be signed yet.
pub struct EncryptedSegment {
    bytes: Vec<u8>,
    last: bool,
}

/// Encrypts the segments of one envelope in their order. It counts them itself, so no nonce is ever
/// used twice.
pub struct SegmentCipher {
    cipher: BodyCipher,
    index: u32,
    content_len: u64,
}

impl SegmentCipher {
    /// Encrypts a full segment. More must follow, if only an empty one for [`Self::finish`].
    ///
    /// # Errors
    ///
    /// [`SealError::NotFull`], or [`SealError::TooLong`] after 2^32 segments.
    pub fn encrypt(&mut self, segment: PlainSegment) -> Result<EncryptedSegment, SealError> {
        if !segment.is_full() {
            return Err(SealError::NotFull);
        }
        let index = self.index;
        self.index = index.checked_add(1).ok_or(SealError::TooLong)?;
        self.content_len += SLOT_LEN as u64;
        self.encrypt_slot(index, segment, SLOT_LEN, false)
    }

    /// Encrypts the segment with which the content ends, which may be empty or full, and as many
    /// of padding as have to follow it.
    pub fn finish(mut self, segment: PlainSegment) -> FinalSegments {
        self.content_len += segment.filled as u64;
        FinalSegments {
            slots_left: padded_len(self.content_len)
                .saturating_sub(u64::from(self.index) * SLOT_LEN as u64),
            cipher: self,
            segment,
        }
    }

    fn encrypt_slot(
        &self,
        index: u32,
        segment: PlainSegment,
        slot_len: usize,
        last: bool,
    ) -> Result<EncryptedSegment, SealError> {
        let mut bytes = segment.into_plaintext(slot_len);
        self.cipher
            .encrypt(index, last, &mut bytes)
            .map_err(|_| SealError::TooLong)?;
        Ok(EncryptedSegment { bytes, last })
    }
}

/// The segments from the one with which the content ends: an iterator of one or more.
pub struct FinalSegments {
    cipher: SegmentCipher,
    segment: PlainSegment,
    /// Bytes of all slots that are still to come.
    slots_left: u64,
}

impl Iterator for FinalSegments {
    type Item = Result<EncryptedSegment, SealError>;

    fn next(&mut self) -> Option<Self::Item> {
        // No padded length is a whole number of slots, so there is always one of these.
        if self.slots_left == 0 {
            return None;
        }
        let slot_len = usize::try_from(self.slots_left).map_or(SLOT_LEN, |left| left.min(SLOT_LEN));
        self.slots_left -= slot_len as u64;
        let last = self.slots_left == 0;
        let segment = core::mem::take(&mut self.segment);
        let index = self.cipher.index;
        if !last {
            match index.checked_add(1) {
                Some(next) => self.cipher.index = next,
                None => {
                    self.slots_left = 0;
                    return Some(Err(SealError::TooLong));
                }
            }
        }
        Some(self.cipher.encrypt_slot(index, segment, slot_len, last))
    }
}

/// Signs the segments of one envelope, in their order.
pub struct SegmentSigner<'i> {
    identity: &'i Identity,
    chain: Chain,
}

impl SegmentSigner<'_> {
    /// The bytes of the segment, which come next in the envelope.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLong`] after 2^32 segments.
    pub fn sign(&mut self, segment: EncryptedSegment) -> Result<Vec<u8>, SealError> {
        let EncryptedSegment { mut bytes, last } = segment;
        let digest = Sha256::digest(&bytes).into();
        let signature: [u8; SIGNATURE_LEN] =
            self.identity.sign(&self.chain.statement(last, &digest));
        bytes.extend_from_slice(&signature);
        if !last {
            self.chain
                .advance(&digest)
                .map_err(|IndexOverflow| SealError::TooLong)?;
        }
        Ok(bytes)
    }
}

/// An envelope that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A card that nothing may be sealed to now.
    #[error(transparent)]
    Card(#[from] CardNotCurrent),
    /// One identity twice among the recipients.
    #[error("{recipient} is a recipient twice; name everyone once")]
    DuplicateRecipient {
        /// Who.
        recipient: Fingerprint,
    },
    /// An end that is not after the beginning, or a life longer than [`MAX_LIFE`].
    #[error(
        "an envelope lives longer than nothing and at most {} days",
        MAX_LIFE.as_secs() / (24 * 60 * 60)
    )]
    Life,
    /// Metadata that breaks a rule.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Nobody to seal to.
    #[error("an envelope needs a recipient")]
    NoRecipients,
    /// A segment with free room that is not the last.
    #[error("a segment that others follow has to be full")]
    NotFull,
    /// More than 2^32 segments.
    #[error("the content does not fit into an envelope; split it")]
    TooLong,
    /// More than [`MAX_RECIPIENTS`].
    #[error("an envelope has at most {MAX_RECIPIENTS} recipients; send several envelopes")]
    TooManyRecipients,
    /// The content key could not be wrapped.
    #[error("the content key could not be sealed to {recipient}; ask for the current key card")]
    Wrap {
        /// For whom.
        recipient: Fingerprint,
    },
}
