//! Hygiene: text without what hides in it or reorders it, and a list of the links in it.
//!
//! What a person sees and what a language model reads should be the same text. Characters without a
//! width can carry whole hidden sentences, break words apart so that no filter knows them, or turn the
//! order of what is shown.

use std::{borrow::Cow, collections::HashSet, fmt};

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        BidiControl, CanonicalCombiningClass, DefaultIgnorableCodePoint, Emoji, EmojiModifier,
        ExtendedPictographic, Ideographic, JoiningType,
    },
};
use linkify::{LinkFinder, LinkKind};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};
use serde_json::value::RawValue;

use crate::message::{Content, Received};

/// Zero width non-joiner and joiner.
const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
/// Asks for the colourful look of a character.
const EMOJI_LOOK: char = '\u{fe0f}';
/// Most marks on one character that are looked past: those of the Stream-Safe Text Format (UAX #15).
const MAX_MARKS: usize = 30;

/// What hygiene found in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hygiene {
    /// The links in text and in strings of JSON, each once, in their order. None was followed.
    pub urls: Vec<String>,
    /// What was changed.
    pub sanitized: Sanitized,
}

/// What hygiene changed in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sanitized {
    /// How many characters without a width were removed, other than directional ones.
    pub zero_width: usize,
    /// How many directional characters were removed.
    pub directional: usize,
    /// Whether something was not in Normalization Form C, and now is.
    pub normalized: bool,
}

impl Sanitized {
    /// How many characters were removed.
    #[must_use]
    pub const fn removed(&self) -> usize {
        self.zero_width.saturating_add(self.directional)
    }
}

/// Cleans the payload, topic and file name of a message, and says what was found in
/// [`Received::hygiene`]. Of JSON, the strings are cleaned, names of members too, and half a
/// surrogate pair becomes U+FFFD; the rest of it stays as written. Bytes stay as they are, and so do ids.
///
/// Removed are the characters that show nothing (Unicode's `Default_Ignorable_Code_Point`, which the
/// directional ones and the tags belong to) and interlinear annotations. One stays where writing needs
/// it: a joiner within a sequence of emoji (UAX #29, GB11) or where RFC 5892 (A.1, A.2) has it in
/// Arabic, Indic and similar scripts, and one variation selector after an emoji, an ideograph or a
/// Mongolian letter. Then everything is brought into Normalization Form C.
pub fn sanitize(message: &mut Received) {
    let mut hygiene = Hygiene::default();
    for label in [&mut message.topic, &mut message.name]
        .into_iter()
        .flatten()
    {
        if let Cow::Owned(clean) = clean(label, &mut hygiene.sanitized) {
            *label = clean;
        }
    }
    let mut links = Links::default();
    match &mut message.payload {
        Content::Text(text) => {
            if let Cow::Owned(clean) = clean(text, &mut hygiene.sanitized) {
                *text = clean;
            }
            links.find(text);
        }
        Content::Json(json) => {
            if let Some(clean) = clean_json(json.get(), &mut hygiene.sanitized, &mut links) {
                *json = clean;
            }
        }
        Content::Bytes(_) => {}
    }
    hygiene.urls = links.found;
    message.hygiene = Some(hygiene);
}

#[derive(Default)]
struct Links {
    found: Vec<String>,
    known: HashSet<String>,
}

impl Links {
    fn find(&mut self, text: &str) {
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]);
        for link in finder.links(text) {
            if self.known.insert(link.as_str().to_owned()) {
                self.found.push(link.as_str().to_owned());
            }
        }
    }
}

/// Cleans the strings of a JSON text; `None` when they are clean. What the text consists of otherwise
/// is copied, so that numbers stay as they were written.
fn clean_json(json: &str, sanitized: &mut Sanitized, links: &mut Links) -> Option<Box<RawValue>> {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (before, string) = rest.split_at(start);
        let (string, after) = string.split_at(string_end(string));
        out.push_str(before);
        rest = after;
        let text = String::from_utf8(serde_json::from_str::<JsonString>(string).ok()?.0);
        let (text, is_text) = match text {
            Ok(text) => (text, true),
            Err(error) => (
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                false,
            ),
        };
        let clean = clean(&text, sanitized);
        links.find(&clean);
        if is_text && matches!(clean, Cow::Borrowed(_)) {
            out.push_str(string);
        } else {
            sanitized.normalized |= !is_text;
            out.push_str(&serde_json::to_string(&clean).ok()?);
        }
    }
    out.push_str(rest);
    if out == json {
        return None;
    }
    RawValue::from_string(out).ok()
}

/// A string of JSON, in UTF-8 but for halves of surrogate pairs, which nothing else reads.
struct JsonString(Vec<u8>);

impl<'de> Deserialize<'de> for JsonString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsBytes;
        impl Visitor<'_> for AsBytes {
            type Value = JsonString;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<JsonString, E> {
                Ok(JsonString(bytes.to_owned()))
            }
        }
        deserializer.deserialize_bytes(AsBytes)
    }
}

/// Where the string ends that a JSON text begins with, in bytes.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The text as it may be handed on; borrowed when it is clean.
fn clean<'a>(text: &'a str, sanitized: &mut Sanitized) -> Cow<'a, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let revealed = without_hidden(text, sanitized);
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    if normalizer.is_normalized(&revealed) {
        return revealed;
    }
    sanitized.normalized = true;
    Cow::Owned(normalizer.normalize(&revealed).into_owned())
}

fn without_hidden<'a>(text: &'a str, sanitized: &mut Sanitized) -> Cow<'a, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if !is_hidden(character) || is_needed(&out, character, rest.as_str()) {
            out.push(character);
        } else if CodePointSetData::new::<BidiControl>().contains(character) {
            sanitized.directional += 1;
        } else {
            sanitized.zero_width += 1;
        }
    }
    if out == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(out)
    }
}

fn is_hidden(character: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || matches!(character, '\u{fff9}'..='\u{fffb}')
}

/// Whether writing needs a character that shows nothing, between what was kept and what follows.
fn is_needed(before: &str, character: char, after: &str) -> bool {
    let previous = before.chars().next_back();
    let follows = |is: fn(char) -> bool| previous.is_some_and(is);
    match character {
        ZWJ => follows(is_virama) || joins_emoji(before, after),
        ZWNJ => follows(is_virama) || parts_letters(before, after),
        '\u{fe0e}' | EMOJI_LOOK => {
            follows(|before| CodePointSetData::new::<Emoji>().contains(before))
        }
        '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}' => {
            follows(|before| CodePointSetData::new::<Ideographic>().contains(before))
        }
        '\u{180b}'..='\u{180d}' | '\u{180f}' => {
            follows(|before| matches!(before, '\u{1820}'..='\u{18aa}'))
        }
        _ => false,
    }
}

/// RFC 5892, A.1 and A.2.
fn is_virama(character: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(character)
        == CanonicalCombiningClass::Virama
}

/// RFC 5892, A.1: between two letters that would join.
fn parts_letters(before: &str, after: &str) -> bool {
    let joining = |character: &char| CodePointMapData::<JoiningType>::new().get(*character);
    let past_marks = |types: &mut dyn Iterator<Item = JoiningType>| {
        types
            .take(MAX_MARKS + 1)
            .find(|joining| *joining != JoiningType::Transparent)
    };
    let left = past_marks(&mut before.chars().rev().map(|before| joining(&before)));
    let right = past_marks(&mut after.chars().map(|after| joining(&after)));
    matches!(
        left,
        Some(JoiningType::LeftJoining | JoiningType::DualJoining)
    ) && matches!(
        right,
        Some(JoiningType::RightJoining | JoiningType::DualJoining)
    )
}

/// UAX #29, GB11: between two emoji, the first of which may have a colour of skin or a chosen look.
fn joins_emoji(before: &str, after: &str) -> bool {
    let is_emoji = |character: Option<char>| {
        character.is_some_and(|character| {
            CodePointSetData::new::<ExtendedPictographic>().contains(character)
        })
    };
    let is_modifier = |character: &char| {
        *character == EMOJI_LOOK || CodePointSetData::new::<EmojiModifier>().contains(*character)
    };
    is_emoji(
        before
            .chars()
            .rev()
            .take(MAX_MARKS + 1)
            .find(|before| !is_modifier(before)),
    ) && is_emoji(after.chars().next())
}
