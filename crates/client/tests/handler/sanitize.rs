//! What hides in text comes out, and nothing else.

use ctalk::{Content, Received, Sanitized, sanitize};
use proptest::prelude::*;

use crate::{json, message, text};

fn cleaned(mut message: Received) -> Received {
    sanitize(&mut message);
    message
}

/// The payload after hygiene.
fn payload(message: Received) -> String {
    match cleaned(message).payload {
        Content::Text(text) => text,
        Content::Json(json) => json.get().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hidden_and_directional_characters_are_removed_and_counted() {
    for (given, clean, zero_width, directional) in [
        (
            "i\u{200b}g\u{200c}n\u{200d}o\u{2060}r\u{feff}e\u{ad}",
            "ignore",
            6,
            0,
        ),
        (
            "\u{202e}evil\u{202c} \u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}",
            "evil a",
            0,
            7,
        ),
        // A sentence in tags, as instructions are smuggled.
        ("a\u{e0001}\u{e0068}\u{e0069}\u{e007f}b", "ab", 4, 0),
        // Bytes in variation selectors.
        ("😀\u{fe01}\u{e0105}\u{fe0f}\u{fe0f}", "😀\u{fe0f}", 3, 0),
        ("a\u{fe0f}", "a", 1, 0),
        ("a\u{fff9}b\u{fffa}c\u{fffb}", "abc", 3, 0),
        ("\u{3164}x\u{115f}", "x", 2, 0),
    ] {
        let message = cleaned(text(given));
        let hygiene = message.hygiene.unwrap();
        let expected = Sanitized {
            zero_width,
            directional,
            normalized: false,
        };
        assert_eq!(message.payload.as_bytes(), clean.as_bytes(), "{given:?}");
        assert_eq!(hygiene.sanitized, expected, "{given:?}");
    }
}

#[test]
fn what_writing_needs_stays() {
    for kept in [
        "tabs\tand\nlines\r\n\u{1b}[1m",
        // A family, a flag with a rainbow, a judge with a colour of skin, a heart on fire, a keycap.
        "👨\u{200d}👩\u{200d}👧",
        "🏳\u{fe0f}\u{200d}🌈",
        "👩🏽\u{200d}⚖\u{fe0f}",
        "❤\u{fe0f}\u{200d}🔥",
        "1\u{fe0f}\u{20e3}",
        // Persian "I want", Hindi, Sinhala.
        "می\u{200c}خواهم",
        "क\u{94d}\u{200d}ष",
        "ශ\u{dca}\u{200d}රී",
        // An ideograph of its own form.
        "葛\u{e0100}",
        "ᠠ\u{180b}",
    ] {
        let message = cleaned(text(kept));
        assert_eq!(message.payload.as_bytes(), kept.as_bytes(), "{kept:?}");
        assert_eq!(
            message.hygiene.unwrap().sanitized,
            Sanitized::default(),
            "{kept:?}"
        );
    }
}

#[test]
fn joiners_hide_nothing_beside_what_they_may_join() {
    for (given, clean) in [
        ("👨\u{200d}\u{200d}👩", "👨\u{200d}👩"),
        ("👨\u{200d}x", "👨x"),
        ("x\u{200d}👩", "x👩"),
        ("می\u{200c}\u{200c}خواهم", "می\u{200c}خواهم"),
        ("می\u{200c}", "می"),
        ("x\u{200c}y", "xy"),
        // Far more marks than any letter has are not looked past.
        (
            &format!("ب{}\u{200c}ب", "\u{64b}".repeat(31)),
            &format!("ب{}ب", "\u{64b}".repeat(31)),
        ),
    ] {
        assert_eq!(payload(text(given)), clean, "{given:?}");
    }
}

#[test]
fn text_is_brought_into_one_form() {
    let message = cleaned(text("e\u{301} \u{212b} e\u{200b}\u{301}"));
    assert_eq!(message.payload.as_bytes(), "é Å é".as_bytes());
    assert!(message.hygiene.unwrap().sanitized.normalized);
}

#[test]
fn strings_of_json_are_cleaned_and_the_rest_stays_as_written() {
    let given = "{ \"a\\u200b\": 1.50, \"n\":12345678901234567890123,\n \"s\":\"x\\\"\u{202e}\\\\\", \
                 \"kept\": \"\\u0041\\/\", \"e\":\"e\\u0301\", \"deep\":[[\"\\ud83d\\ude00\\ufeff\"]] }";
    let clean = "{ \"a\": 1.50, \"n\":12345678901234567890123,\n \"s\":\"x\\\"\\\\\", \
                 \"kept\": \"\\u0041\\/\", \"e\":\"é\", \"deep\":[[\"😀\"]] }";
    assert_eq!(payload(json(given)), clean);
    let whole = "\"\\u202e\"";
    assert_eq!(payload(json(whole)), "\"\"");
}

#[test]
fn half_a_surrogate_pair_keeps_nothing_from_being_cleaned() {
    let message = cleaned(json(r#"{"a":"\ud800 hid\u200bden \u202e"}"#));
    let Content::Json(clean) = &message.payload else {
        panic!("no JSON");
    };
    assert!(clean.get().contains("hidden"), "{clean}");
    assert!(
        clean.get().is_ascii() || clean.get().contains('\u{fffd}'),
        "{clean}"
    );
    let sanitized = message.hygiene.unwrap().sanitized;
    assert_eq!((sanitized.zero_width, sanitized.directional), (1, 1));
    let alone = payload(json(r#"["\udc00"]"#));
    assert!(
        alone.contains('\u{fffd}') && !alone.contains("udc00"),
        "{alone}"
    );
}

#[test]
fn labels_are_cleaned_and_ids_stay() {
    let mut labelled = text("");
    labelled.topic = Some("bu\u{200b}ilds".to_owned());
    labelled.name = Some("cod\u{202e}fdp.exe".to_owned());
    labelled.correlation_id = Some("c\u{200b}".to_owned());
    let labelled = cleaned(labelled);
    assert_eq!(labelled.topic.as_deref(), Some("builds"));
    assert_eq!(labelled.name.as_deref(), Some("codfdp.exe"));
    assert_eq!(labelled.correlation_id.as_deref(), Some("c\u{200b}"));
    let sanitized = labelled.hygiene.unwrap().sanitized;
    assert_eq!((sanitized.zero_width, sanitized.directional), (1, 1));
}

#[test]
fn links_are_listed_once_in_their_order() {
    let linked = "see https://b.example/x?y=1#z, (http://a.example) https://b.exam\u{200b}ple/x?y=1#z \
                  ftp://c.example a@b.example www.example.com";
    let urls = cleaned(text(linked)).hygiene.unwrap().urls;
    assert_eq!(
        urls,
        [
            "https://b.example/x?y=1#z",
            "http://a.example",
            "ftp://c.example"
        ]
    );
    let nested = json(r#"{"http://k.example/":["x https:\/\/v.example/\u0061"]}"#);
    let urls = cleaned(nested).hygiene.unwrap().urls;
    assert_eq!(urls, ["http://k.example/", "https://v.example/a"]);
}

#[test]
fn bytes_stay_as_they_are() {
    let bytes = "e\u{301}\u{200b} https://a.example".as_bytes().to_vec();
    let message = cleaned(message(Content::Bytes(bytes.clone())));
    assert_eq!(message.payload.as_bytes(), bytes);
    assert_eq!(message.hygiene, Some(ctalk::Hygiene::default()));
}

/// Text in which every fourth character is one of those that hygiene is about.
fn odd() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{202e}',
        '\u{fe0f}',
        '\u{301}',
        '\u{94d}',
        '\u{e0041}',
        '👨',
        'ب',
        'क',
        'e',
        '"',
        '\\',
        '\n',
    ]);
    prop::collection::vec(prop_oneof![3 => any::<char>(), 1 => special], 0..40)
        .prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn cleaning_text_in_json_is_cleaning_the_text(odd in odd()) {
        let clean = payload(text(&odd));
        let in_json = payload(json(&serde_json::to_string(&[&odd]).unwrap()));
        prop_assert_eq!(serde_json::from_str::<[String; 1]>(&in_json).unwrap(), [clean]);
    }

    #[test]
    fn only_what_is_counted_is_missing(odd in "[a-z \u{200b}\u{202e}\u{2066}\u{feff}]{0,40}") {
        let message = cleaned(text(&odd));
        let clean = String::from_utf8(message.payload.as_bytes().to_owned()).unwrap();
        let sanitized = message.hygiene.unwrap().sanitized;
        prop_assert!(clean.is_ascii());
        prop_assert_eq!(
            clean.chars().count() + sanitized.zero_width + sanitized.directional,
            odd.chars().count()
        );
    }
}
