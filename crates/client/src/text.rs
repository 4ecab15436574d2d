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

#[cfg(test)]
mod tests {
    use super::escaped;

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
