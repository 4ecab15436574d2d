//! Envelopes and cards that are accepted.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ctalk_core::{
    Card, CardStatement,
    envelope::{self, Kind, Metadata},
};

use super::{
    super::{ExpectedCard, ExpectedEnvelope, ExpectedMetadata, InputKind, Vector},
    At, Vectors,
    cards::longest_addresses,
    reader,
};
use crate::{
    forge::{self, Forge, ForgedCard, SLOT, sha256, text_content},
    support::{CREATED, DAY, EXPIRES, Person, SKEW, Seeded, alice, at, bob, carol, text_metadata},
};

/// What a valid vector is made of.
struct Message {
    sender: Person,
    recipients: Vec<Person>,
    reader: Person,
    metadata: Metadata,
    payload: Vec<u8>,
    created: u64,
    expires: u64,
    now: u64,
}

impl Message {
    fn new(payload: &[u8]) -> Self {
        Self {
            sender: alice(),
            recipients: vec![bob()],
            reader: bob(),
            metadata: text_metadata(),
            payload: payload.to_vec(),
            created: CREATED,
            expires: EXPIRES,
            now: CREATED + DAY,
        }
    }

    fn of(change: impl FnOnce(&mut Self)) -> Self {
        let mut message = Self::new(b"hello, bob");
        change(&mut message);
        message
    }

    fn seal(&self, seed: &str) -> Vec<u8> {
        let cards: Vec<Card> = self
            .recipients
            .iter()
            .map(|person| {
                person.card_of(&CardStatement {
                    name: "recipient",
                    serial: 1,
                    created: at(self.created.saturating_sub(1)),
                    expires: at(self.created + DAY),
                    addresses: &[],
                })
            })
            .collect();
        envelope::seal(
            &self.sender.identity(),
            &cards,
            &self.metadata,
            &self.payload,
            at(self.created),
            at(self.expires),
            &mut Seeded::new(seed),
        )
        .unwrap()
    }

    fn vector(&self, file: &str, description: &str) -> (String, Vector) {
        let seed = format!("vector/{file}");
        let bytes = self.seal(&seed);
        let id: [u8; 16] = Seeded::new(seed).array();
        let header = 106 + self.recipients.len() * (16 + 1168);
        let Metadata {
            kind,
            receipt,
            topic,
            correlation_id,
            reply_to,
            content_type,
            name,
            card,
        } = self.metadata.clone();
        let expected = ExpectedEnvelope {
            sender: hex::encode(self.sender.verifying()),
            id: hex::encode(id),
            created: self.created,
            expires: self.expires,
            recipients: self.recipients.len().try_into().unwrap(),
            header_digest: hex::encode(sha256(&[&bytes[..header]])),
            metadata: ExpectedMetadata {
                kind: kind.to_string(),
                receipt,
                topic,
                correlation_id,
                reply_to,
                content_type,
                name,
                card: card
                    .map(|card| format!("ctalk-card:{}", URL_SAFE_NO_PAD.encode(card.as_bytes()))),
            },
            payload: STANDARD.encode(&self.payload),
        };
        let vector = Vector {
            description: description.to_owned(),
            class: None,
            kind: InputKind::Envelope,
            now: self.now,
            recipient: reader(&self.reader),
            input: STANDARD.encode(bytes),
            envelope: Some(expected),
            ..Vector::default()
        };
        (file.to_owned(), vector)
    }
}

/// All of them.
pub(super) fn all() -> Vectors {
    let mut vectors = valid_envelopes();
    vectors.extend(valid_cards());
    vectors
}

fn valid_envelopes() -> Vectors {
    let mut all = vec![
        Message::new(b"hello, bob").vector("text", "a short text to one recipient"),
        Message::new(b"hello, bob").vector("worked-example", "the example of the specification"),
        Message::new(b"").vector("payload-empty", "a payload of no bytes"),
        Message::new(b"x").vector("payload-one-byte", "a payload of one byte"),
        Message::new(&[0; 20]).vector("payload-zeros", "a payload that looks like padding"),
        // The metadata of these takes 18 bytes.
        Message::new(&[b'x'; 256 - 18]).vector("content-256", "content of exactly 256 bytes"),
        Message::new(&[b'x'; 257 - 18]).vector(
            "content-257",
            "one byte more than is padded to 256, so padded to 272",
        ),
        Message::new(&[b'x'; 272 - 18]).vector(
            "content-272",
            "content that is as long as its padded length",
        ),
        Message::new(&[b'x'; 1024]).vector("payload-1024", "a payload of 1,024 bytes"),
        Message::of(|message| message.recipients.push(carol())).vector(
            "two-recipients",
            "bob's copy of an envelope to bob and carol",
        ),
        Message::of(|message| {
            message.recipients.push(carol());
            message.reader = carol();
        })
        .vector(
            "two-recipients-other",
            "carol's copy of an envelope to bob and carol",
        ),
        Message::of(|message| {
            message.recipients = (0..10)
                .map(|number| Person::new(&format!("p{number}")))
                .collect();
            message.reader = message.recipients[7].clone();
        })
        .vector("ten-recipients", "one of ten recipients"),
        Message::of(|message| {
            message.recipients = vec![alice()];
            message.reader = alice();
        })
        .vector("to-myself", "sender and recipient are the same identity"),
        Message::of(|message| message.expires = CREATED + 30 * DAY)
            .vector("life-30-days", "the longest life"),
        Message::of(|message| message.expires = CREATED + 1)
            .vector(
                "life-1-ms",
                "read within the tolerance after the shortest life",
            )
            .at(CREATED + 1 + SKEW),
        Message::new(b"hello, bob")
            .vector(
                "now-end-of-life",
                "read at the last moment, expires + 5 minutes",
            )
            .at(EXPIRES + SKEW),
        Message::new(b"hello, bob")
            .vector(
                "now-before-created",
                "read as early as possible, created - 5 minutes",
            )
            .at(CREATED - SKEW),
        Message::of(|message| {
            message.created = (1 << 53) - 1 - 2 * DAY;
            message.expires = (1 << 53) - 1;
            message.now = (1 << 53) - 1;
        })
        .vector("expires-latest", "the latest time that there is"),
        Message::of(|message| {
            message.metadata = Metadata {
                kind: Kind::Response,
                receipt: true,
                topic: Some("builds/nightly".to_owned()),
                correlation_id: Some("c-17".to_owned()),
                reply_to: Some("00112233445566778899aabbccddeeff".to_owned()),
                content_type: "application/json".to_owned(),
                name: Some("report.json".to_owned()),
                card: Some(alice().card()),
            };
            message.payload = br#"{"ok":true}"#.to_vec();
        })
        .vector(
            "metadata-all",
            "every field of the metadata, the sender's card too",
        ),
        Message::of(|message| {
            message.metadata.card = Some(alices_card(CREATED - 2 * DAY, CREATED - DAY));
        })
        .vector(
            "metadata-card-expired",
            "the sender's card, which has expired",
        ),
        Message::of(|message| {
            message.metadata.card = Some(alices_card(CREATED + 20 * DAY, CREATED + 30 * DAY));
        })
        .vector(
            "metadata-card-from-the-future",
            "the sender's card, which was created later than now",
        ),
        Message::of(|message| {
            message.metadata.topic = Some(String::new());
            message.metadata.correlation_id = Some(String::new());
            message.metadata.reply_to = Some(String::new());
            message.metadata.name = Some(String::new());
            message.metadata.content_type = "~".to_owned();
        })
        .vector("metadata-empty-texts", "texts that are there and empty"),
        Message::of(|message| {
            message.metadata.topic = Some("\u{0}\n\u{1b}[31m\u{202e}\u{10ffff}".to_owned());
            message.metadata.name = Some("../../\u{e9}\u{1f600}".to_owned());
        })
        .vector(
            "metadata-any-characters",
            "control, bidirectional and astral characters in texts",
        ),
        Message::of(|message| {
            message.metadata.topic = Some("t".repeat(1024));
            message.metadata.correlation_id = Some("\u{e9}".repeat(512));
            message.metadata.reply_to = Some("r".repeat(1024));
            message.metadata.content_type = "c".repeat(255);
            message.metadata.name = Some("n".repeat(255));
        })
        .vector(
            "metadata-longest",
            "every text of the metadata at its limit",
        ),
        Message::new(&vec![b'x'; SLOT - 18]).vector(
            "two-segments",
            "content that fills the first slot, so that padding needs a second segment",
        ),
    ];
    for kind in [
        Kind::Request,
        Kind::Response,
        Kind::Notification,
        Kind::Receipt,
        Kind::Card,
        Kind::Succession,
        Kind::Pairing,
    ] {
        all.push(
            Message::of(|message| message.metadata.kind = kind)
                .vector(&format!("kind-{kind}"), "one of the kinds of message"),
        );
    }
    for kind in [Kind::Request, Kind::Response, Kind::Notification] {
        all.push(
            Message::of(|message| {
                message.metadata.kind = kind;
                message.metadata.receipt = true;
            })
            .vector(
                &format!("kind-{kind}-with-receipt"),
                "a message whose sender asks for a receipt",
            ),
        );
    }
    all.push(mixed_order_sender());
    all.push(base_point_encapsulation());
    all.push(as_text(
        &all[0].1,
        "text-form",
        "the one-line form of an envelope",
    ));
    all
}

fn alices_card(created: u64, expires: u64) -> Card {
    alice().card_of(&CardStatement {
        name: "alice",
        serial: 1,
        created: at(created),
        expires: at(expires),
        addresses: &[],
    })
}

/// Unusual, but an accepted X25519 value.
fn base_point_encapsulation() -> (String, Vector) {
    let file = "encapsulation-base-point";
    let (_, plain) = Message::new(b"hello, bob").vector(file, "");
    let mut forge = Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob"));
    let mut base_point = [0; 32];
    base_point[0] = 9;
    forge.x25519 = Some((base_point, bob().xwing()[1184..].try_into().unwrap()));
    forged(
        file,
        "the X25519 part of the encapsulation is the base point",
        forge,
        plain,
    )
}

/// `plain` with what `forge` makes in place of its input.
fn forged(file: &str, description: &str, forge: Forge, plain: Vector) -> (String, Vector) {
    let sender = forge.sender;
    let (header, segments) = forge.parts();
    let mut expected = plain.envelope.clone().unwrap();
    expected.sender = hex::encode(sender);
    expected.header_digest = hex::encode(sha256(&[&header]));
    let vector = Vector {
        description: description.to_owned(),
        input: STANDARD.encode([header, segments.concat()].concat()),
        envelope: Some(expected),
        ..plain
    };
    (file.to_owned(), vector)
}

/// A key with a part of small order is accepted, and a signature under it only if the equation
/// holds without the cofactor.
fn mixed_order_sender() -> (String, Vector) {
    let file = "sender-mixed-order";
    let (_, plain) = Message::new(b"hello, bob").vector(file, "");
    let mut forge = Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob"));
    forge.sender = forge::mixed_order_key(&alice());
    forge.sign = Box::new(|statement| forge::sign_mixed(&alice(), true, statement));
    let description = "the sender's key has a part of small order, and the equation holds as it is";
    forged(file, description, forge, plain)
}

fn valid_card(
    file: &str,
    description: &str,
    change: impl FnOnce(&mut ForgedCard),
) -> (String, Vector) {
    let mut card = ForgedCard::new(&bob());
    change(&mut card);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let expected = ExpectedCard {
        fingerprint: hex::encode(sha256(&[b"ctalk/fingerprint/native/2", &card.signing])),
        name: text(&card.name),
        serial: card.serial.to_string(),
        created: card.created,
        expires: card.expires,
        signing_key: hex::encode(card.signing),
        encryption_key: hex::encode(card.encryption),
        xwing_key: hex::encode(card.xwing),
        addresses: card.addresses.iter().map(|address| text(address)).collect(),
    };
    let vector = Vector {
        description: description.to_owned(),
        kind: InputKind::Card,
        now: CREATED,
        input: STANDARD.encode(card.make()),
        card: Some(expected),
        ..Vector::default()
    };
    (file.to_owned(), vector)
}

fn valid_cards() -> Vectors {
    let mut all = vec![
        valid_card("card", "a card without addresses", |_| ()),
        valid_card(
            "card-longest-name",
            "a name of 64 bytes, four to a character",
            |card| {
                card.name = "\u{1f600}".repeat(16).into_bytes();
            },
        ),
        valid_card(
            "card-eight-addresses",
            "eight addresses, the shortest of one byte",
            |card| {
                card.addresses = (0..8)
                    .map(|number| "x".repeat(1 + number * 20).into_bytes())
                    .collect();
            },
        ),
        valid_card(
            "card-longest",
            "3,000 bytes, with addresses of 255 bytes",
            |card| {
                card.addresses = longest_addresses(&card.name);
            },
        ),
        valid_card(
            "card-extreme-numbers",
            "the largest serial and the widest times",
            |card| {
                card.serial = u64::MAX;
                card.created = 0;
                card.expires = (1 << 53) - 1;
            },
        ),
        valid_card("card-serial-zero", "the smallest serial and life", |card| {
            card.serial = 0;
            card.expires = card.created + 1;
        }),
        valid_card(
            "card-unusual-text",
            "spaces, bidirectional and format characters",
            |card| {
                card.name = "\u{a0}\u{202e}\u{200b} b".as_bytes().to_vec();
                card.addresses = vec![b" ".to_vec()];
            },
        ),
        valid_card(
            "card-xwing-on-the-twist",
            "an X-Wing key whose X25519 part is on the twist",
            |card| {
                card.xwing[1184..].fill(0);
                card.xwing[1184] = 2;
            },
        ),
    ];
    all.push(as_text(
        &all[0].1,
        "card-text-form",
        "the one-line form of a card",
    ));
    all.push(as_text(
        &all[3].1,
        "card-text-form-longest",
        "the longest one-line form of a card",
    ));
    all
}

fn as_text(vector: &Vector, file: &str, description: &str) -> (String, Vector) {
    let (kind, prefix) = match vector.kind {
        InputKind::Card => (InputKind::TextCard, "ctalk-card:"),
        _ => (InputKind::TextEnvelope, "ctalk2:"),
    };
    let bytes = STANDARD.decode(&vector.input).unwrap();
    let vector = Vector {
        description: description.to_owned(),
        kind,
        input: format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)),
        ..vector.clone()
    };
    (file.to_owned(), vector)
}
