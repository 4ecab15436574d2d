//! Every file of `tests/vectors/classic`, and the vectors that sealing must reproduce.

use std::{fs, path::Path};

use crate::support::{Ascending, raw};
use ctalk_core::{
    Identity, PublicKeys,
    classic::{self, BoxKeys, CannotOpen, Malformed, Message, Metadata},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    about: String,
    expect: String,
    sender: Sender,
    recipient: Box<RawValue>,
    relayed: String,
    payload: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sender {
    public_key: String,
    signing_key: String,
}

fn vectors() -> Vec<(String, Vector)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/classic");
    let mut vectors: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let vector = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            (name, vector)
        })
        .collect();
    vectors.sort_by(|(left, _), (right, _)| left.cmp(right));
    vectors
}

fn keys(vector: &Vector) -> (PublicKeys, Identity) {
    let Sender {
        public_key,
        signing_key,
    } = &vector.sender;
    (
        PublicKeys::from_base64(public_key, signing_key).unwrap(),
        Identity::from_keygen_json(vector.recipient.get()).unwrap(),
    )
}

/// The outcome in the words of the vectors, and the payload if there is one.
fn read(vector: &Vector) -> (String, Option<String>) {
    let (sender, recipient) = keys(vector);
    let keys = &mut BoxKeys::default();
    let outcome = match Message::parse(vector.relayed.as_bytes()) {
        Err(error) => return (format!("malformed: {}", member(&error)), None),
        Ok(Message::Plain(message)) => Ok(("unauthenticated", message.accept().into_payload())),
        Ok(Message::Unsigned(message)) => message
            .open(&sender, &recipient, keys)
            .map(|message| ("unauthenticated", message.into_payload())),
        Ok(Message::Signed(message)) => match message.verify(&sender) {
            Err(error) => {
                assert_eq!(error.sender, sender.fingerprint());
                return ("not verified".to_owned(), None);
            }
            Ok(message) => message
                .open(&recipient, keys)
                .map(|message| ("opened", message.into_payload())),
        },
    };
    match outcome {
        Ok((class, payload)) => (class.to_owned(), Some(payload.get().to_owned())),
        Err(CannotOpen::WrongKeys) => ("cannot open: wrong keys".to_owned(), None),
        Err(CannotOpen::NotJson) => ("cannot open: not json".to_owned(), None),
        Err(error) => panic!("{error}"),
    }
}

fn member(error: &Malformed) -> &'static str {
    match error {
        Malformed::NotAnObject { .. } => "object",
        Malformed::Duplicate { member }
        | Malformed::Missing { member }
        | Malformed::WrongType { member, .. }
        | Malformed::NotBase64 { member }
        | Malformed::WrongLength { member, .. } => member,
        Malformed::BoxTooShort { .. } => "payload",
        other => panic!("{other}"),
    }
}

#[test]
fn every_vector_is_read_as_it_says() {
    let vectors = vectors();
    for name in ["v1", "v2", "v3", "v4"] {
        assert!(
            vectors.iter().any(|(found, _)| found == name),
            "{name} is missing"
        );
    }
    for (name, vector) in &vectors {
        let expected = (vector.expect.clone(), vector.payload.clone());
        assert_eq!(read(vector), expected, "{name}: {}", vector.about);
    }
}

#[test]
fn sealing_reproduces_the_reference_vectors() {
    // X25519 secret 01 to 20 and Ed25519 seed 41 to 60, in hex.
    let alice = Identity::from_keygen_json(
        r#"{
  "publicKey": "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=",
  "privateKey": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
  "signingKey": "rcFAEfgtHFbZVqpPnXPYhYNhpgYEhSXg0Ixjjcdd2Mc=",
  "signingPrivateKey": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2CtwUAR+C0cVtlWqk+dc9iFg2GmBgSFJeDQjGONx13Yxw=="
}"#,
    )
    .unwrap();
    for (name, vector) in vectors() {
        if !["v1", "v2", "v3"].contains(&name.as_str()) {
            continue;
        }
        let message: Value = serde_json::from_str(&vector.relayed).unwrap();
        let text = |name: &str| message.get(name).map(|value| value.as_str().unwrap());
        let metadata = Metadata {
            to: text("to").unwrap(),
            message_type: text("type").unwrap(),
            topic: text("topic"),
            correlation_id: text("correlationId"),
        };
        let (_, bob) = keys(&vector);
        let sealed = classic::seal(
            &alice,
            &mut BoxKeys::default(),
            bob.public_keys().encryption(),
            &metadata,
            &raw(vector.payload.as_deref().unwrap()),
            &mut Ascending(0x80),
        )
        .unwrap();
        assert_eq!(Some(sealed.payload.as_str()), text("payload"), "{name}");
        assert_eq!(Some(sealed.nonce.as_str()), text("nonce"), "{name}");
        assert_eq!(Some(sealed.signature.as_str()), text("signature"), "{name}");
    }
}
