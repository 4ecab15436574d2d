//! Texts that are refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    super::{InputKind, Vector},
    Vectors, reader,
};
use crate::{
    forge::{Forge, ForgedCard, text_content},
    forged_part::ForgedPart,
    support::{CREATED, DAY, bob},
};

/// All of them.
pub(super) fn all() -> Vectors {
    let envelope = Forge::new("vector/text", &text_content(b"hello, bob")).make();
    let line = format!("ctalk2:{}", URL_SAFE_NO_PAD.encode(&envelope));
    let card = ForgedCard::new(&bob());
    let card = format!("ctalk-card:{}", URL_SAFE_NO_PAD.encode(card.make()));
    let text = |kind: InputKind, file: &str, description: &str, text: String| {
        let vector = Vector {
            description: description.to_owned(),
            class: Some("malformed".to_owned()),
            kind,
            now: CREATED + DAY,
            recipient: (kind == InputKind::TextEnvelope).then(|| reader(&bob()).unwrap()),
            input: text,
            ..Vector::default()
        };
        (file.to_owned(), vector)
    };
    let trailing_bits = |line: &str| {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = alphabet.find(line.chars().last().unwrap()).unwrap();
        format!(
            "{}{}",
            &line[..line.len() - 1],
            &alphabet[last + 1..last + 2]
        )
    };
    // 1,630 bytes leave one over from groups of three, 1,381 bytes as well.
    assert_eq!((envelope.len() % 3, line.len() % 4), (1, (7 + 2) % 4));
    let part = line.replacen("ctalk2:", "ctalk2p:", 1);
    let forms = [
        (InputKind::TextEnvelope, "text", line, "ctalk2:"),
        (InputKind::TextCard, "card-text", card, "ctalk-card:"),
        (
            InputKind::TextPart,
            "part-text",
            format!(
                "ctalk2p:{}",
                URL_SAFE_NO_PAD.encode(ForgedPart::last().make())
            ),
            "ctalk2p:",
        ),
    ];
    let mut all = Vec::new();
    for (kind, name, line, prefix) in forms {
        let bare = line[prefix.len()..].to_owned();
        let middle = prefix.len() + 100;
        for (defect, description, text_of) in [
            ("empty", "nothing at all", String::new()),
            ("prefix-only", "nothing after the prefix", prefix.to_owned()),
            ("without-prefix", "no prefix", bare.clone()),
            (
                "prefix-upper-case",
                "the prefix in capitals",
                line.replacen(prefix, &prefix.to_uppercase(), 1),
            ),
            (
                "prefix-of-another-version",
                "another prefix",
                format!("ctalk9:{bare}"),
            ),
            ("padded", "padding at the end", format!("{line}==")),
            (
                "trailing-bits",
                "unused bits that are not zero",
                trailing_bits(&line),
            ),
            (
                "standard-alphabet",
                "a character of the standard alphabet",
                format!("{}+{}", &line[..middle], &line[middle + 1..]),
            ),
            ("space-before", "a space before it", format!(" {line}")),
            (
                "space-inside",
                "a space within",
                format!("{} {}", &line[..middle], &line[middle..]),
            ),
            (
                "wrapped",
                "broken into two lines",
                format!("{}\n{}", &line[..middle], &line[middle..]),
            ),
            ("quoted", "quoted by a mail program", format!("> {line}")),
            ("two-lines", "two of them", format!("{line}\n{line}")),
            (
                "one-character-more",
                "a group of one character",
                format!("{line}AAA"),
            ),
            (
                "line-feed-after",
                "a line feed after it",
                format!("{line}\n"),
            ),
            (
                "carriage-return-after",
                "a carriage return after it",
                format!("{line}\r"),
            ),
            (
                "zero-inside",
                "a zero within",
                format!("{}\0{}", &line[..middle], &line[middle..]),
            ),
        ] {
            all.push(text(
                kind,
                &format!("{name}-{defect}"),
                description,
                text_of,
            ));
        }
    }
    all.push(text(
        InputKind::TextEnvelope,
        "text-prefix-of-a-part",
        "an envelope behind the prefix of a part",
        part,
    ));
    all.push(text(
        InputKind::TextPart,
        "part-text-prefix-of-an-envelope",
        "a part behind the prefix of an envelope",
        format!(
            "ctalk2:{}",
            URL_SAFE_NO_PAD.encode(ForgedPart::last().make())
        ),
    ));
    all.push(text(
        InputKind::TextPart,
        "part-text-too-long",
        "59,967 characters",
        format!("ctalk2p:{}", "A".repeat(59_959)),
    ));
    let long = format!("ctalk-card:{}", "A".repeat(4001));
    all.push(text(
        InputKind::TextCard,
        "card-text-too-long",
        "4,012 characters",
        long,
    ));
    all
}
