//! `tests/vectors/succession.json`: read as it says, and made again.

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ctalk_core::{Fingerprint, Revocation, StatementError, Succession, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::{
    forge::{mixed_order_key, plus_order, sign_mixed},
    forged_statement::{ForgedStatement, NEW, OLD, REVOCATION, signer},
    support::{Person, alice, bob},
};

/// Keys and seeds are hex. A valid one has all that was stated, a refused one its class.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    description: String,
    kind: Kind,
    text: String,
    /// A class of `docs/ENVELOPE.md` section 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Statement>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    #[default]
    Succession,
    Revocation,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Statement {
    /// Milliseconds since 1970.
    created: u64,
    /// In the order of the bytes.
    identities: Vec<Signer>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Signer {
    signing_key: String,
    fingerprint: String,
    /// For implementations that sign the statement themselves; none for keys that no seed makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_seed: Option<String>,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/succession.json")
}

fn read_file() -> Vec<Vector> {
    serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap()
}

/// What a vector's text says.
fn read(vector: &Vector) -> Result<(u64, Vec<VerifyingKey>), StatementError> {
    match vector.kind {
        Kind::Succession => Succession::from_text(&vector.text).map(|read| {
            assert_eq!(read.to_text(), vector.text);
            let keys = vec![*read.predecessor(), *read.successor()];
            (read.created().as_millis(), keys)
        }),
        Kind::Revocation => Revocation::from_text(&vector.text).map(|read| {
            assert_eq!(read.to_text(), vector.text);
            (read.created().as_millis(), vec![*read.identity()])
        }),
    }
}

#[test]
fn every_vector_is_read_as_it_says() {
    let vectors = read_file();
    assert!(vectors.iter().any(|vector| vector.class.is_some()));
    for vector in vectors {
        let name = &vector.description;
        match (read(&vector), &vector.statement, &vector.class) {
            (Ok((created, keys)), Some(expected), None) => {
                assert_eq!(created, expected.created, "{name}");
                let keys: Vec<_> = keys
                    .iter()
                    .map(|key| {
                        (
                            hex::encode(key.as_bytes()),
                            Fingerprint::native(key).to_hex(),
                        )
                    })
                    .collect();
                let expected = expected.identities.iter();
                let expected: Vec<_> = expected
                    .map(|signer| (signer.signing_key.clone(), signer.fingerprint.clone()))
                    .collect();
                assert_eq!(keys, expected, "{name}");
            }
            (Err(error), None, Some(class)) => {
                assert_eq!(error.failure().as_str(), class, "{name}: {error}");
            }
            (outcome, ..) => panic!("{name}: {outcome:?}"),
        }
    }
}

#[test]
fn the_statement_vectors_are_those_that_are_made() {
    assert_eq!(read_file(), all());
}

#[test]
#[ignore = "writes files"]
fn make_the_statement_vectors() {
    let text = serde_json::to_string_pretty(&all()).unwrap();
    fs::write(path(), text + "\n").unwrap();
}

fn all() -> Vec<Vector> {
    [accepted(), refused()].into_iter().flatten().collect()
}

fn accepted() -> Vec<Vector> {
    let seeded = |person: Person| Signer {
        signing_key: hex::encode(person.verifying()),
        fingerprint: person.card().fingerprint().to_hex(),
        signing_seed: Some(hex::encode(person.signing_seed)),
    };
    let valid = |description: &str, kind, forged: ForgedStatement, identities| {
        let created = forged.created;
        Vector {
            statement: Some(Statement {
                created,
                identities,
            }),
            ..vector(description, kind, &forged.make())
        }
    };
    let mut first = ForgedStatement::succession();
    first.created = 0;
    let mut last = ForgedStatement::revocation();
    last.created = (1 << 53) - 1;
    let mixed = mixed_order_key(&alice());
    let mut mixed_order = ForgedStatement::revocation();
    mixed_order.keys[0] = mixed;
    mixed_order.signers[0] = Box::new(|signed| {
        let message = [REVOCATION, signed].concat();
        sign_mixed(&alice(), true, &message)
    });
    let mixed_identity = Signer {
        signing_key: hex::encode(mixed),
        fingerprint: Fingerprint::native(&VerifyingKey::from_bytes(mixed).unwrap()).to_hex(),
        signing_seed: None,
    };
    vec![
        valid(
            "alice hands over to bob",
            Kind::Succession,
            ForgedStatement::succession(),
            vec![seeded(alice()), seeded(bob())],
        ),
        valid(
            "the earliest time",
            Kind::Succession,
            first,
            vec![seeded(alice()), seeded(bob())],
        ),
        valid(
            "alice ends",
            Kind::Revocation,
            ForgedStatement::revocation(),
            vec![seeded(alice())],
        ),
        valid(
            "the latest time",
            Kind::Revocation,
            last,
            vec![seeded(alice())],
        ),
        valid(
            "a key with a part of small order, whose signature satisfies the equation as it is",
            Kind::Revocation,
            mixed_order,
            vec![mixed_identity],
        ),
    ]
}

fn refused() -> Vec<Vector> {
    use Kind::{Revocation, Succession};
    let change = |class, description, kind, change: &dyn Fn(&mut ForgedStatement)| {
        let mut forged = match kind {
            Succession => ForgedStatement::succession(),
            Revocation => ForgedStatement::revocation(),
        };
        change(&mut forged);
        refusal(class, description, kind, &forged.make())
    };
    let succession = ForgedStatement::succession().make();
    let swapped = |at: usize, half: usize| {
        let mut bytes = succession.clone();
        bytes[at..at + 2 * half].rotate_left(half);
        bytes
    };
    let text = |description, change: &dyn Fn(String) -> String| {
        let vector = refusal("malformed", description, Succession, &succession);
        Vector {
            text: change(vector.text.clone()),
            ..vector
        }
    };
    let mut vectors = vec![
        refusal("malformed", "nothing at all", Succession, b""),
        refusal(
            "malformed",
            "the last byte is missing",
            Succession,
            &succession[..207],
        ),
        refusal(
            "malformed",
            "a byte follows",
            Succession,
            &[&succession[..], &[0]].concat(),
        ),
        refusal(
            "malformed",
            "a revocation under the prefix of a succession",
            Succession,
            &ForgedStatement::revocation().make(),
        ),
        refusal(
            "malformed",
            "a succession under the prefix of a revocation",
            Revocation,
            &succession,
        ),
        refusal(
            "not-verified",
            "the keys are exchanged, the signatures are not",
            Succession,
            &swapped(16, 32),
        ),
        refusal(
            "not-verified",
            "the signatures are exchanged",
            Succession,
            &swapped(80, 64),
        ),
        text("a line end", &|text| text + "\n"),
        text("padding", &|text| text + "=="),
        text("unused bits that are not zero", &|text| {
            let (start, _) = text.split_at(text.len() - 1);
            format!("{start}_")
        }),
        text("capital letters in the prefix", &|text| {
            text.replacen("ctalk", "CTALK", 1)
        }),
    ];
    vectors.extend([
        change("malformed", "another magic", Succession, &|forged| {
            forged.start[0] = b'C';
        }),
        change("newer", "a later version", Succession, &|forged| {
            forged.start[6] = 3;
        }),
        change("newer", "another suite", Revocation, &|forged| {
            forged.start[7] = 2;
        }),
        change(
            "malformed",
            "a time beyond 2^53 - 1",
            Succession,
            &|forged| {
                forged.created = 1 << 53;
            },
        ),
        change("malformed", "alice succeeds alice", Succession, &|forged| {
            forged.keys[1] = alice().verifying();
            forged.signers[1] = signer(alice(), NEW);
        }),
        change("malformed", "a key of small order", Revocation, &|forged| {
            forged.keys[0] = [0; 32];
        }),
        change(
            "malformed",
            "a key that is no point",
            Succession,
            &|forged| {
                forged.keys[1] = [2; 32];
            },
        ),
        change(
            "not-verified",
            "the old identity signed for the new role",
            Succession,
            &|forged| forged.signers[0] = signer(alice(), NEW),
        ),
        change(
            "not-verified",
            "bob signed for alice too",
            Succession,
            &|forged| forged.signers[0] = signer(bob(), OLD),
        ),
        change(
            "not-verified",
            "alice signed for bob too",
            Succession,
            &|forged| forged.signers[1] = signer(alice(), NEW),
        ),
        change(
            "not-verified",
            "a signature under the label of cards",
            Revocation,
            &|forged| forged.signers[0] = signer(alice(), b"ctalk/card/2"),
        ),
        change(
            "not-verified",
            "a signature's number is above the group order",
            Revocation,
            &|forged| {
                let sign = signer(alice(), REVOCATION);
                forged.signers[0] = Box::new(move |signed| plus_order(sign(signed)));
            },
        ),
        change(
            "not-verified",
            "a signature that holds only with the cofactor",
            Revocation,
            &|forged| {
                forged.keys[0] = mixed_order_key(&alice());
                forged.signers[0] = Box::new(|signed| {
                    let message = [REVOCATION, signed].concat();
                    sign_mixed(&alice(), false, &message)
                });
            },
        ),
    ]);
    vectors
}

fn vector(description: &str, kind: Kind, bytes: &[u8]) -> Vector {
    let prefix = match kind {
        Kind::Succession => "ctalk-succession:",
        Kind::Revocation => "ctalk-revocation:",
    };
    Vector {
        description: description.to_owned(),
        kind,
        text: prefix.to_owned() + &URL_SAFE_NO_PAD.encode(bytes),
        ..Vector::default()
    }
}

fn refusal(class: &str, description: &str, kind: Kind, bytes: &[u8]) -> Vector {
    Vector {
        class: Some(class.to_owned()),
        ..vector(description, kind, bytes)
    }
}
