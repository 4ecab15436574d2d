//! What clients are opened with.

use serde_json::{Value, json};

use super::agents::{Agent, Failed};
use crate::code::ctalk_code;

fn refused(options: &Value) -> Failed {
    let failed = Agent::open(options).err().unwrap();
    assert_eq!(failed.code, ctalk_code::CTALK_BAD_OPTIONS);
    failed
}

#[test]
fn an_option_that_is_none_is_named() {
    let failed = refused(&json!({ "passfrase": "hunter2" }));
    assert!(failed.message.contains("unknown field `passfrase`"));
    assert!(!failed.message.contains("hunter2"));
}

#[test]
fn a_value_of_the_wrong_kind_is_not_repeated() {
    for options in [
        json!({ "passphrase": 12345678 }),
        json!({ "passphrase": ["12345678"] }),
        json!({ "require": "12345678" }),
        json!({ "require": ["12345678"] }),
        json!({ "unknown\nfield": 12345678 }),
    ] {
        let failed = refused(&options);
        assert!(!failed.message.contains("12345678"), "{}", failed.message);
        assert!(failed.message.contains("at line 1 column "));
        assert!(!failed.message.contains('\n'));
    }
}
