//! Making foreign text fit to be shown to a person.

use std::borrow::Cow;

/// Whether a character can steer a terminal or hide and reorder its neighbours: controls
/// (Unicode category Cc), directional marks, zero-width characters and line separators.
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The text with every unsafe character written as `\u{…}`.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// A name with everything but printable ASCII written as `\u{…}`, so that no two of them look alike.
#[must_use]
pub fn distinct(name: &str) -> Cow<'_, str> {
    let is_plain = |character: char| character.is_ascii() && !character.is_ascii_control();
    if name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut shown = String::with_capacity(name.len() + 16);
    for character in name.chars() {
        if is_plain(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    Cow::Owned(shown)
}

/// A text that was read from a file, without the one line end after it: CRLF or LF, and no lone CR.
#[must_use]
pub fn without_line_end(text: &str) -> &str {
    text.strip_suffix("\r\n")
        .or_else(|| text.strip_suffix('\n'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::{distinct, escaped, without_line_end};

    #[test]
    fn names_that_look_like_others_are_shown_as_what_they_are() {
        assert_eq!(distinct("bob-2"), "bob-2");
        assert_eq!(distinct("b\u{43e}b\u{202e}\n"), r"b\u{43e}b\u{202e}\u{a}");
    }

    #[test]
    fn one_line_end_is_taken_off_and_no_lone_carriage_return() {
        for (text, line) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\r", "a\r"),
            ("a\n\n", "a\n"),
            ("a\n\r", "a\n\r"),
            ("a\r\r\n", "a\r"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(without_line_end(text), line, "{text:?}");
        }
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(
            escaped("héllo, wörld 🦀 / \"q\""),
            "héllo, wörld 🦀 / \"q\""
        );
    }

    #[test]
    fn controls_and_directional_marks_become_visible() {
        assert_eq!(
            escaped("a\u{1b}[31mb\u{202e}c\n"),
            "a\\u{1b}[31mb\\u{202e}c\\u{a}"
        );
    }
}
