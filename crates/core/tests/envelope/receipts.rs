//! Receipts: `tests/vectors/receipt.json` read as it says and made again, and a receipt's way through
//! an envelope.

use std::{fs, path::PathBuf};

use ctalk_core::envelope::{
    self, EnvelopeId, Kind, Metadata, MetadataError, Receipt, ReceiptError, ReceiptOutcome,
    SealError,
};
use serde::{Deserialize, Serialize};

use crate::support::{CREATED, EXPIRES, Seeded, alice, at, bob, open};

const ID: [u8; 16] = [0xa5; 16];

/// Metadata and payload of an envelope of kind receipt. A refused one has no `receipt`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    description: String,
    content_type: String,
    reply_to: Option<String>,
    /// Hex, because not every payload is a text.
    payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Expected>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    id: String,
    outcome: String,
    attempt: u32,
    digest: String,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/receipt.json")
}

fn read_file() -> Vec<Vector> {
    serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap()
}

#[test]
fn every_receipt_vector_is_read_as_it_says() {
    let vectors = read_file();
    assert!(vectors.iter().any(|vector| vector.receipt.is_some()));
    assert!(vectors.iter().any(|vector| vector.receipt.is_none()));
    for vector in vectors {
        let mut metadata = Metadata::new(Kind::Receipt, vector.content_type);
        metadata.reply_to = vector.reply_to;
        let read = Receipt::parse(&metadata, &hex::decode(vector.payload).unwrap());
        let read = read.ok().map(|receipt| Expected {
            id: receipt.id.to_string(),
            outcome: receipt.outcome.to_string(),
            attempt: receipt.attempt,
            digest: hex::encode(receipt.digest),
        });
        assert_eq!(read, vector.receipt, "{}", vector.description);
    }
}

#[test]
fn the_receipt_vectors_are_those_that_are_made() {
    assert_eq!(read_file(), all());
}

#[test]
#[ignore = "writes files"]
fn make_the_receipt_vectors() {
    let text = serde_json::to_string_pretty(&all()).unwrap();
    fs::write(path(), text + "\n").unwrap();
}

fn all() -> Vec<Vector> {
    let id = hex::encode(ID);
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let vector = |description: &str, payload: &[u8]| Vector {
        description: description.to_owned(),
        content_type: "application/json".to_owned(),
        reply_to: Some(id.clone()),
        payload: hex::encode(payload),
        receipt: None,
    };
    let read = |description: &str, payload: &str, outcome: &str, attempt| Vector {
        receipt: Some(Expected {
            id: id.clone(),
            outcome: outcome.to_owned(),
            attempt,
            digest: digest.to_owned(),
        }),
        ..vector(description, payload.as_bytes())
    };
    let object = |outcome: &str, attempt: &str, digest: &str| {
        format!(r#"{{"attempt":{attempt},"digest":{digest},"outcome":{outcome}}}"#)
    };
    let quoted = format!(r#""{digest}""#);
    let done = object(r#""done""#, "1", &quoted);
    let with = |outcome, attempt, digest: &str| object(outcome, attempt, digest).into_bytes();
    let mut longest = done.clone();
    longest.extend(std::iter::repeat_n(' ', 1024 - done.len()));
    let mut all = vec![
        read("done at the first attempt", &done, "done", 1),
        read(
            "failed after as many attempts as can be counted",
            &object(r#""failed""#, "4294967295", &quoted),
            "failed",
            u32::MAX,
        ),
        read(
            "refused before any attempt",
            &object(r#""refused""#, "0", &quoted),
            "refused",
            0,
        ),
        read(
            "other members, which are not looked at",
            &done.replacen('{', r#"{"reason":"none","next":[{"outcome":1}],"#, 1),
            "done",
            1,
        ),
        read(
            "white space and escapes, up to 1,024 bytes",
            &longest.replacen("done", r"d\u006fne", 1)[..1024],
            "done",
            1,
        ),
        vector("1,025 bytes", &[longest.as_bytes(), &b" "[..]].concat()),
        vector("no payload", b""),
        vector("not UTF-8", b"{\"outcome\":\"\xff\"}"),
        vector("an array", b"[]"),
        vector("two objects", format!("{done}{done}").as_bytes()),
        vector("cut", &done.as_bytes()[..done.len() - 1]),
        vector("no members", b"{}"),
        vector(
            "outcome twice",
            done.replacen('{', r#"{"outcome":"done","#, 1).as_bytes(),
        ),
        vector(
            "no outcome",
            format!(r#"{{"attempt":1,"digest":{quoted}}}"#).as_bytes(),
        ),
        vector(
            "no attempt",
            format!(r#"{{"digest":{quoted},"outcome":"done"}}"#).as_bytes(),
        ),
        vector("no digest", br#"{"attempt":1,"outcome":"done"}"#),
        vector(
            "an outcome that there is not",
            &with(r#""maybe""#, "1", &quoted),
        ),
        vector("an outcome in capitals", &with(r#""Done""#, "1", &quoted)),
        vector("an outcome that is null", &with("null", "1", &quoted)),
        vector(
            "an outcome that is an object",
            &with(r#"{"done":null}"#, "1", &quoted),
        ),
        vector(
            "an attempt of minus zero",
            &with(r#""done""#, "-0", &quoted),
        ),
        vector("a negative attempt", &with(r#""done""#, "-1", &quoted)),
        vector(
            "an attempt with a fraction",
            &with(r#""done""#, "1.0", &quoted),
        ),
        vector(
            "an attempt with an exponent",
            &with(r#""done""#, "1e0", &quoted),
        ),
        vector(
            "an attempt of 2^32",
            &with(r#""done""#, "4294967296", &quoted),
        ),
        vector(
            "an attempt that is a text",
            &with(r#""done""#, r#""1""#, &quoted),
        ),
        vector(
            "a digest in capitals",
            &with(r#""done""#, "1", &quoted.to_uppercase()),
        ),
        vector(
            "a digest of 31 bytes",
            &with(r#""done""#, "1", &format!(r#""{}""#, &digest[2..])),
        ),
        vector(
            "a digest of 33 bytes",
            &with(r#""done""#, "1", &format!(r#""00{digest}""#)),
        ),
        vector("a digest that is null", &with(r#""done""#, "1", "null")),
    ];
    for (description, reply_to) in [
        ("no reply-to", None),
        ("an empty reply-to", Some(String::new())),
        ("a reply-to in capitals", Some(id.to_uppercase())),
        ("a reply-to of 15 bytes", Some(id[2..].to_owned())),
        ("a reply-to with a line end", Some(format!("{id}\n"))),
    ] {
        let mut vector = vector(description, done.as_bytes());
        vector.reply_to = reply_to;
        all.push(vector);
    }
    let mut vector = vector("another content type", done.as_bytes());
    vector.content_type = "text/plain".to_owned();
    all.push(vector);
    all
}

#[test]
fn a_receipt_is_the_same_after_its_way_through_an_envelope() {
    let id = EnvelopeId::from_bytes(ID);
    for (outcome, attempt) in [
        (ReceiptOutcome::Done, 1),
        (ReceiptOutcome::Failed, 8),
        (ReceiptOutcome::Refused, 0),
    ] {
        let receipt = Receipt::new(id, outcome, attempt, b"a result");
        let sealed = envelope::seal(
            &bob().identity(),
            [&alice().card()],
            &receipt.metadata(),
            &receipt.payload(),
            at(CREATED),
            at(EXPIRES),
            &mut Seeded::new("receipt"),
        )
        .unwrap();
        let opened = open(&sealed, &alice()).unwrap();
        assert_eq!(
            Receipt::parse(&opened.metadata, &opened.payload),
            Ok(receipt)
        );
    }
}

#[test]
fn another_kind_of_message_is_no_receipt() {
    let receipt = Receipt::new(EnvelopeId::from_bytes(ID), ReceiptOutcome::Done, 1, b"");
    let mut metadata = receipt.metadata();
    metadata.kind = Kind::Notification;
    assert_eq!(
        Receipt::parse(&metadata, &receipt.payload()),
        Err(ReceiptError::Kind {
            found: Kind::Notification
        })
    );
}

#[test]
fn nothing_that_ctalk_sends_for_itself_can_ask_for_a_receipt() {
    for kind in [Kind::Receipt, Kind::Card, Kind::Succession, Kind::Pairing] {
        let mut metadata = Metadata::new(kind, "text/plain");
        metadata.receipt = true;
        let refused = envelope::seal(
            &alice().identity(),
            [&bob().card()],
            &metadata,
            b"",
            at(CREATED),
            at(EXPIRES),
            &mut Seeded::new("receipt"),
        );
        assert_eq!(
            refused,
            Err(SealError::Metadata(MetadataError::Receipt { kind }))
        );
    }
}
