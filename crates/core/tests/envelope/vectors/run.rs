//! Reading each vector through the functions that programs call.

use base64::{Engine, engine::general_purpose::STANDARD};
use ctalk_core::{
    Card, Identity, XWingSecret,
    envelope::{self, Envelope, Opened},
    part::{Part, PartError},
};

use super::{
    ExpectedCard, ExpectedEnvelope, ExpectedMetadata, ExpectedPart, InputKind, Reader, Vector,
    read_folder,
};
use crate::support::{at, identity};

/// What reading gave, in the words of the vectors.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Envelope(Box<ExpectedEnvelope>),
    Card(Box<ExpectedCard>),
    Part(Box<ExpectedPart>),
    Refused(&'static str),
    /// Verified, where nobody is given who could open it.
    Verified,
}

/// The bytes or the text that are read.
pub(super) enum Input {
    Bytes(Vec<u8>),
    Text(String),
}

impl Vector {
    pub(super) fn input(&self) -> Input {
        match self.kind {
            InputKind::Envelope | InputKind::Card | InputKind::Part => {
                Input::Bytes(STANDARD.decode(&self.input).unwrap())
            }
            InputKind::TextEnvelope | InputKind::TextCard | InputKind::TextPart => {
                Input::Text(self.input.clone())
            }
        }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.recipient.as_ref().map(Reader::identity)
    }

    /// Reads `input` in place of the vector's own.
    pub(super) fn read(&self, identity: Option<&Identity>, input: &Input) -> Outcome {
        match (self.kind, input) {
            (InputKind::Envelope, Input::Bytes(bytes)) => self.read_envelope(identity, bytes),
            (InputKind::TextEnvelope, Input::Text(text)) => match envelope::from_text(text) {
                Ok(bytes) => self.read_envelope(identity, &bytes),
                Err(error) => Outcome::Refused(error.failure().as_str()),
            },
            (InputKind::Card, Input::Bytes(bytes)) => card_outcome(Card::parse(bytes)),
            (InputKind::TextCard, Input::Text(text)) => card_outcome(Card::from_text(text)),
            (InputKind::Part, Input::Bytes(bytes)) => self.part_outcome(bytes),
            (InputKind::TextPart, Input::Text(text)) => match Part::from_text(text) {
                Ok(bytes) => self.part_outcome(&bytes),
                Err(error) => Outcome::Refused(error.failure().as_str()),
            },
            _ => panic!("another kind of input"),
        }
    }

    fn part_outcome(&self, bytes: &[u8]) -> Outcome {
        match self.read_part(bytes) {
            Ok(part) => Outcome::Part(Box::new(part)),
            Err(error) => Outcome::Refused(error.failure().as_str()),
        }
    }

    fn read_part(&self, bytes: &[u8]) -> Result<ExpectedPart, PartError> {
        let part = Part::parse(bytes)?.verify()?;
        let whole = part.whole();
        whole.check_life(at(self.now))?;
        assert_eq!(part.sender().as_bytes(), whole.sender());
        Ok(ExpectedPart {
            sender: hex::encode(whole.sender()),
            id: whole.id().to_string(),
            index: part.index(),
            count: whole.count(),
            slice_length: whole.slice_len(),
            length: whole.length(),
            expires: whole.expires().as_millis(),
            digest: hex::encode(whole.digest()),
            slice: STANDARD.encode(part.slice()),
        })
    }

    fn read_envelope(&self, identity: Option<&Identity>, bytes: &[u8]) -> Outcome {
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(error) => return Outcome::Refused(error.failure().as_str()),
        };
        let verified = match envelope.verify() {
            Ok(verified) => verified,
            Err(error) => return Outcome::Refused(error.failure().as_str()),
        };
        let recipients = verified.header().recipients();
        let Some(identity) = identity else {
            return Outcome::Verified;
        };
        match verified.open(identity, at(self.now)) {
            Ok(opened) => Outcome::Envelope(Box::new(ExpectedEnvelope::of(recipients, &opened))),
            Err(error) => Outcome::Refused(error.failure().as_str()),
        }
    }
}

impl Reader {
    fn identity(&self) -> Identity {
        let array = |text: &str| -> [u8; 32] { hex::decode(text).unwrap().try_into().unwrap() };
        let identity = identity(&array(&self.signing_seed), &[7; 32])
            .with_xwing(XWingSecret::from_seed(&array(&self.xwing_seed)));
        assert_eq!(
            hex::encode(identity.public_keys().verifying().as_bytes()),
            self.signing_key
        );
        identity
    }
}

impl ExpectedEnvelope {
    fn of(recipients: u16, opened: &Opened) -> Self {
        let metadata = &opened.metadata;
        Self {
            sender: hex::encode(opened.sender.as_bytes()),
            id: opened.id.to_string(),
            created: opened.created.as_millis(),
            expires: opened.expires.as_millis(),
            recipients,
            header_digest: hex::encode(opened.header_digest),
            metadata: ExpectedMetadata {
                kind: metadata.kind.to_string(),
                receipt: metadata.receipt,
                topic: metadata.topic.clone(),
                correlation_id: metadata.correlation_id.clone(),
                reply_to: metadata.reply_to.clone(),
                content_type: metadata.content_type.clone(),
                name: metadata.name.clone(),
                card: metadata.card.as_ref().map(Card::to_text),
            },
            payload: STANDARD.encode(&opened.payload),
        }
    }
}

fn card_outcome(card: Result<Card, ctalk_core::CardError>) -> Outcome {
    match card {
        Ok(card) => Outcome::Card(Box::new(ExpectedCard {
            fingerprint: card.fingerprint().to_hex(),
            name: card.name().to_owned(),
            serial: card.serial().to_string(),
            created: card.created().as_millis(),
            expires: card.expires().as_millis(),
            signing_key: hex::encode(card.signing_key().as_bytes()),
            encryption_key: hex::encode(card.public_keys().encryption().as_bytes()),
            xwing_key: hex::encode(card.xwing_key().as_bytes()),
            addresses: card.addresses().map(str::to_owned).collect(),
        })),
        Err(error) => Outcome::Refused(error.failure().as_str()),
    }
}

#[test]
fn every_valid_vector_reads_as_it_says() {
    let vectors = read_folder("valid");
    assert!(vectors.len() >= 25, "{} are there", vectors.len());
    for (name, vector) in vectors {
        assert_eq!(vector.class, None, "{name}");
        let expected = match (
            vector.envelope.clone(),
            vector.card.clone(),
            vector.part.clone(),
        ) {
            (Some(envelope), None, None) => Outcome::Envelope(Box::new(envelope)),
            (None, Some(card), None) => Outcome::Card(Box::new(card)),
            (None, None, Some(part)) => Outcome::Part(Box::new(part)),
            _ => panic!("{name} expects nothing"),
        };
        let outcome = vector.read(vector.identity().as_ref(), &vector.input());
        assert_eq!(outcome, expected, "{name}: {}", vector.description);
    }
}

#[test]
fn every_invalid_vector_fails_with_its_class() {
    let vectors = read_folder("invalid");
    assert!(vectors.len() >= 80, "{} are there", vectors.len());
    for (name, vector) in vectors {
        assert!(vector.envelope.is_none(), "{name}");
        assert!(vector.card.is_none() && vector.part.is_none(), "{name}");
        let outcome = vector.read(vector.identity().as_ref(), &vector.input());
        let Outcome::Refused(class) = outcome else {
            panic!("{name} was read: {}", vector.description)
        };
        assert_eq!(
            Some(class),
            vector.class.as_deref(),
            "{name}: {}",
            vector.description
        );
    }
}

#[test]
fn every_class_of_failure_has_a_vector() {
    let vectors = read_folder("invalid");
    for class in [
        "malformed",
        "newer",
        "not-verified",
        "expired",
        "not-for-me",
        "cannot-open",
    ] {
        assert!(
            vectors
                .iter()
                .any(|(_, vector)| vector.class.as_deref() == Some(class)),
            "{class}"
        );
    }
}

/// A text has one reading and a reading one text.
#[test]
fn what_is_read_is_written_the_same() {
    for (name, vector) in read_folder("valid") {
        match (vector.kind, vector.input()) {
            (InputKind::Card, Input::Bytes(bytes)) => {
                let card = Card::parse(&bytes).unwrap();
                assert_eq!(card.as_bytes(), bytes, "{name}");
                assert_eq!(Card::from_text(&card.to_text()).unwrap(), card, "{name}");
            }
            (InputKind::TextCard, Input::Text(text)) => {
                assert_eq!(Card::from_text(&text).unwrap().to_text(), text, "{name}");
            }
            (InputKind::Envelope, Input::Bytes(bytes)) => {
                let text = envelope::to_text(&bytes);
                assert_eq!(envelope::from_text(&text).unwrap(), bytes, "{name}");
            }
            (InputKind::TextEnvelope, Input::Text(text)) => {
                let bytes = envelope::from_text(&text).unwrap();
                assert_eq!(envelope::to_text(&bytes), text, "{name}");
            }
            // Only the sender can write a part; `parts.rs` has that.
            (InputKind::Part | InputKind::TextPart, _) => (),
            _ => panic!("{name}"),
        }
    }
}
