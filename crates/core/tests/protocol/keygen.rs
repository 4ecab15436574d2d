//! ClawTalk's keygen JSON, in and out.

use ctalk_core::{Identity, KeyDefect, KeyError, KeyName, KeygenError, MAX_KEYGEN_JSON_LEN};
use serde_json::{Value, json};

use crate::support::identity;

/// What ClawTalk's key generator prints for X25519 secret 01 to 20 and Ed25519 seed 41 to 60.
const KEYGEN: &str = r#"{
  "publicKey": "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=",
  "privateKey": "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
  "signingKey": "rcFAEfgtHFbZVqpPnXPYhYNhpgYEhSXg0Ixjjcdd2Mc=",
  "signingPrivateKey": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2CtwUAR+C0cVtlWqk+dc9iFg2GmBgSFJeDQjGONx13Yxw=="
}"#;

fn import(json: &Value) -> Result<Identity, KeygenError> {
    Identity::from_keygen_json(&json.to_string())
}

fn with(member: &str, value: Value) -> Value {
    let mut json: Value = serde_json::from_str(KEYGEN).unwrap();
    json[member] = value;
    json
}

#[test]
fn an_import_is_exported_byte_for_byte() {
    let identity = Identity::from_keygen_json(KEYGEN).unwrap();
    assert_eq!(identity.to_keygen_json().as_str(), KEYGEN);
}

#[test]
fn a_generated_identity_survives_export_and_import() {
    let first = identity(7);
    let second = Identity::from_keygen_json(&first.to_keygen_json()).unwrap();
    assert_eq!(second.public_keys(), first.public_keys());
    assert_eq!(second.to_keygen_json(), first.to_keygen_json());
}

#[test]
fn identities_differ_with_their_randomness() {
    assert_ne!(identity(1).public_keys(), identity(2).public_keys());
}

#[test]
fn unknown_members_and_escapes_are_read_over() {
    let text = KEYGEN
        .replace('/', "\\/")
        .replacen('{', r#"{"note": {"a": []},"#, 1);
    assert!(Identity::from_keygen_json(&text).is_ok());
}

#[test]
fn a_public_half_of_other_keys_is_refused() {
    let other: Value = serde_json::from_str(&identity(9).to_keygen_json()).unwrap();
    for (changed, secret, public) in [
        ("publicKey", "privateKey", "publicKey"),
        ("privateKey", "privateKey", "publicKey"),
        ("signingKey", "signingPrivateKey", "signingKey"),
        ("signingPrivateKey", "signingPrivateKey", "signingKey"),
    ] {
        let refused = import(&with(changed, other[changed].clone())).unwrap_err();
        assert_eq!(
            refused,
            KeygenError::Mismatch { secret, public },
            "{changed}"
        );
    }
}

#[test]
fn a_signing_secret_with_another_public_half_inside_is_refused() {
    use base64::{Engine, engine::general_purpose::STANDARD};

    let json: Value = serde_json::from_str(KEYGEN).unwrap();
    let mut bytes = STANDARD
        .decode(json["signingPrivateKey"].as_str().unwrap())
        .unwrap();
    bytes[32..].copy_from_slice(identity(9).public_keys().verifying().as_bytes());
    let refused = import(&with("signingPrivateKey", json!(STANDARD.encode(bytes)))).unwrap_err();
    let expected = KeygenError::Mismatch {
        secret: "signingPrivateKey",
        public: "signingKey",
    };
    assert_eq!(refused, expected);
}

#[test]
fn a_bare_seed_is_no_signing_secret() {
    let seed = json!("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A=");
    let refused = import(&with("signingPrivateKey", seed)).unwrap_err();
    assert_eq!(
        refused,
        KeygenError::Secret {
            member: "signingPrivateKey",
            expected: 88
        }
    );
}

#[test]
fn each_member_is_needed_once_and_as_a_string() {
    for member in ["publicKey", "privateKey", "signingKey", "signingPrivateKey"] {
        let mut json: Value = serde_json::from_str(KEYGEN).unwrap();
        json.as_object_mut().unwrap().remove(member);
        assert_eq!(import(&json).unwrap_err(), KeygenError::Missing { member });

        for value in [json!(1), json!(null), json!(["A"])] {
            let refused = import(&with(member, value)).unwrap_err();
            assert_eq!(refused, KeygenError::NotAString { member });
        }

        let twice = KEYGEN.replacen('{', &format!(r#"{{"{member}": "","#), 1);
        let refused = Identity::from_keygen_json(&twice).unwrap_err();
        assert_eq!(refused, KeygenError::Duplicate { member });
    }
}

#[test]
fn only_padded_standard_base64_is_read() {
    let json: Value = serde_json::from_str(KEYGEN).unwrap();
    for (member, expected) in [("privateKey", 44), ("signingPrivateKey", 88)] {
        let text = json[member].as_str().unwrap();
        for bad in [
            text.trim_end_matches('=').to_owned(),
            format!("{text}\n"),
            format!("-_{}", &text[2..]),
            String::new(),
            text.repeat(2),
        ] {
            let refused = import(&with(member, json!(bad))).unwrap_err();
            assert_eq!(refused, KeygenError::Secret { member, expected }, "{bad:?}");
        }
    }
    let refused = import(&with("publicKey", json!("short"))).unwrap_err();
    let expected = KeyError {
        key: KeyName::PublicKey,
        defect: KeyDefect::Length { found: 5 },
    };
    assert_eq!(refused, KeygenError::PublicKey(expected));
}

#[test]
fn what_is_no_object_is_refused_with_its_place() {
    for text in ["", "[]", "null", "\"{}\"", "{", &KEYGEN[..KEYGEN.len() - 1]] {
        let refused = Identity::from_keygen_json(text).unwrap_err();
        assert!(
            matches!(refused, KeygenError::NotAnObject { .. }),
            "{text:?}: {refused}"
        );
    }
    let trailing = format!("{KEYGEN}\n{{}}");
    let refused = Identity::from_keygen_json(&trailing).unwrap_err();
    assert_eq!(refused, KeygenError::NotAnObject { line: 7, column: 1 });
}

#[test]
fn a_key_file_is_read_up_to_the_limit_and_not_beyond() {
    let padded = |length: usize| format!("{KEYGEN}{}", " ".repeat(length - KEYGEN.len()));
    assert!(Identity::from_keygen_json(&padded(MAX_KEYGEN_JSON_LEN)).is_ok());
    let found = MAX_KEYGEN_JSON_LEN + 1;
    let refused = Identity::from_keygen_json(&padded(found)).unwrap_err();
    assert_eq!(refused, KeygenError::TooLong { found });
}
