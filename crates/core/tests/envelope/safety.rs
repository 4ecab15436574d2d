//! Safety numbers: what two people compare.

use ctalk_core::{
    Fingerprint, SAFETY_DIGITS, SAFETY_PREFIX, SAFETY_WORDS, SafetyNumber, SafetyNumberError,
};
use serde::Deserialize;

use crate::support::{alice, bob, carol};

/// `tests/vectors/safety.json`, which was made from `docs/TRUST.md` by other arithmetic.
const VECTORS: &str = include_str!("../../../../tests/vectors/safety.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    description: String,
    /// 64 hex digits each.
    fingerprints: [String; 2],
    digits: String,
    words: String,
    qr: String,
}

fn number() -> SafetyNumber {
    SafetyNumber::of(&alice().card().fingerprint(), &bob().card().fingerprint())
}

/// A number from its words, as decimal digits without grouping.
fn from_words(words: &[&str]) -> String {
    let list = bip39::Language::English.word_list();
    let mut digits = vec![0; SAFETY_DIGITS];
    for word in words {
        let mut carry = list.iter().position(|other| other == word).unwrap();
        for digit in digits.iter_mut().rev() {
            carry += *digit * 2048;
            *digit = carry % 10;
            carry /= 10;
        }
        assert_eq!(carry, 0, "more than {SAFETY_DIGITS} digits");
    }
    digits.iter().map(ToString::to_string).collect()
}

fn ungrouped(number: &SafetyNumber) -> String {
    number.to_string().replace(' ', "")
}

#[test]
fn every_vector_gives_its_number() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
    assert!(vectors.len() >= 5);
    for vector in vectors {
        let [one, other] = vector
            .fingerprints
            .map(|hex| hex.parse::<Fingerprint>().unwrap());
        let number = SafetyNumber::of(&one, &other);
        assert_eq!(number.to_string(), vector.digits, "{}", vector.description);
        assert_eq!(
            number.words().join(" "),
            vector.words,
            "{}",
            vector.description
        );
        assert_eq!(number.qr_text(), vector.qr, "{}", vector.description);
        assert_eq!(vector.digits.parse(), Ok(number));
        assert_eq!(vector.qr.parse(), Ok(number));
    }
}

#[test]
fn both_sides_see_the_same_number() {
    let (alice, bob) = (alice().card().fingerprint(), bob().card().fingerprint());
    let (at_alices, at_bobs) = (
        SafetyNumber::of(&alice, &bob),
        SafetyNumber::of(&bob, &alice),
    );
    assert_eq!(at_alices, at_bobs);
    assert_eq!(at_alices.qr_text(), at_bobs.qr_text());
    assert_eq!(at_alices.words(), at_bobs.words());
}

#[test]
fn another_key_on_either_side_gives_another_number() {
    let (alice, bob) = (alice().card().fingerprint(), bob().card().fingerprint());
    let carol = carol().card().fingerprint();
    assert_ne!(SafetyNumber::of(&alice, &carol), number());
    assert_ne!(SafetyNumber::of(&carol, &bob), number());
    for bit in 0..256 {
        let mut bytes = *bob.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let other = Fingerprint::from_bytes(bytes);
        assert_ne!(SafetyNumber::of(&alice, &other), number(), "bit {bit}");
    }
}

#[test]
fn a_number_is_shown_in_groups_of_five_digits() {
    let text = number().to_string();
    let groups: Vec<_> = text.split(' ').collect();
    assert_eq!((groups.len(), text.len()), (15, 89));
    for group in groups {
        assert!(
            group.len() == 5 && group.bytes().all(|digit| digit.is_ascii_digit()),
            "{text}"
        );
    }
    assert_eq!(
        number().qr_text(),
        format!("{SAFETY_PREFIX}{}", ungrouped(&number()))
    );
}

#[test]
fn words_and_digits_write_the_same_number() {
    let edges = [
        "0".repeat(75),
        "9".repeat(75),
        format!("{}1", "0".repeat(74)),
    ];
    let numbers = edges.iter().map(|digits| digits.parse().unwrap());
    for number in numbers.chain([number()]) {
        let words = number.words();
        assert_eq!(words.len(), SAFETY_WORDS);
        assert_eq!(from_words(&words), ungrouped(&number));
    }
}

#[test]
fn any_grouping_is_read() {
    let digits = ungrouped(&number());
    let (start, end) = digits.split_at(38);
    for text in [
        digits.clone(),
        number().to_string(),
        number().to_string().replace(' ', "-"),
        number().to_string().replace(' ', "\r\n"),
        format!("{start}  {end}\n"),
        number().qr_text(),
    ] {
        assert_eq!(text.parse(), Ok(number()), "{text:?}");
    }
}

#[test]
fn a_part_of_a_number_is_none() {
    let digits = ungrouped(&number());
    for found in [0, 1, 5, 60, 74] {
        assert_eq!(
            digits[..found].parse::<SafetyNumber>(),
            Err(SafetyNumberError::Length { found })
        );
    }
    assert_eq!(
        format!("{digits}0").parse::<SafetyNumber>(),
        Err(SafetyNumberError::Length { found: 76 })
    );
    assert_eq!(
        digits.repeat(1000).parse::<SafetyNumber>(),
        Err(SafetyNumberError::Length { found: 75_000 })
    );
}

#[test]
fn other_characters_are_refused() {
    let digits = ungrouped(&number());
    for other in ["a", ".", "+", "٣", "\u{200b}", "ctalk-safety:"] {
        assert_eq!(
            format!("{}{other}{}", &digits[..10], &digits[10..]).parse::<SafetyNumber>(),
            Err(SafetyNumberError::NotDigits),
            "{other:?}"
        );
    }
    assert_eq!(
        bob().card().to_text().parse::<SafetyNumber>(),
        Err(SafetyNumberError::NotDigits)
    );
}
