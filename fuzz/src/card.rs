//! Key cards: any bytes, and any statement that is properly signed.

use ctalk_core::{Card, CardError, CardStatement};
use ed25519_dalek::Signer;

use super::people::{BOB, BOB_SIGNS};

/// Bytes of a card before its keys.
const START_LEN: usize = 32;

/// Where the serial begins.
const SERIAL: usize = 8;

/// Takes `data` as a card, or else as a card without keys and signature.
pub(crate) fn check(data: &[u8]) -> bool {
    match Card::parse(data) {
        Ok(card) => {
            assert_eq!(card.as_bytes(), data);
            has_one_encoding(&card);
            true
        }
        Err(_) => data
            .split_at_checked(START_LEN)
            .is_some_and(|(start, statement)| signed(start, statement)),
    }
}

/// What is signed properly is refused for its grammar alone, and what is accepted is what signing
/// makes of the same statement.
fn signed(start: &[u8], statement: &[u8]) -> bool {
    let keys = BOB.public_keys();
    let xwing = BOB.xwing_keys().next().unwrap();
    let mut bytes = [
        start,
        keys.verifying().as_bytes(),
        keys.encryption().as_bytes(),
        xwing.as_bytes(),
        statement,
    ]
    .concat();
    let signature = BOB_SIGNS.sign(&[b"ctalk/card/2", &bytes[..]].concat());
    bytes.extend(signature.to_bytes());

    let card = match Card::parse(&bytes) {
        Ok(card) => card,
        Err(CardError::Key(_) | CardError::NotVerified { .. }) => {
            panic!("keys and signature are good")
        }
        Err(_) => return false,
    };
    assert_eq!(card.as_bytes(), bytes);
    has_one_encoding(&card);
    let addresses: Vec<_> = card.addresses().collect();
    let statement = CardStatement {
        name: card.name(),
        serial: card.serial(),
        created: card.created(),
        expires: card.expires(),
        addresses: &addresses,
    };
    assert_eq!(Card::sign(&BOB, xwing, &statement).unwrap(), card);
    true
}

/// The text reads back, and no altered byte, cut or addition is accepted.
fn has_one_encoding(card: &Card) {
    let text = card.to_text();
    assert_eq!(Card::from_text(&text).as_ref(), Ok(card));
    assert!(Card::from_text(&format!("{text}A")).is_err());

    let mut bytes = card.as_bytes().to_vec();
    let last = bytes.len() - 1;
    for place in [0, SERIAL, last - 64, last] {
        bytes[place] ^= 1;
        assert!(Card::parse(&bytes).is_err(), "byte {place}");
        bytes[place] ^= 1;
    }
    assert!(Card::parse(&bytes[..last]).is_err());
    bytes.push(0);
    assert!(Card::parse(&bytes).is_err());
}
