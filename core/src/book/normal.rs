//! The normal form of texts: what looks the same is the same.

use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// A text in canonical composition (NFC), without characters that are not seen, and with one space where it has white space of any
/// kind; none at its ends.
///
/// The joiners U+200C and U+200D stay between letters that are not ASCII: Persian and Indic scripts are spelled with them.
pub(crate) fn normal(text: &str) -> String {
    if text.is_ascii() {
        return collapsed(text);
    }
    // Composed twice: what is not seen stands between letters and marks, and letters may become ASCII.
    let seen = without_invisible(&composed(text));
    collapsed(&composed(&seen))
}

fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() }
}

fn collapsed(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut collapsed = String::with_capacity(text.len());
    collapsed.push_str(words.next().unwrap_or_default());
    for word in words {
        collapsed.push(' ');
        collapsed.push_str(word);
    }
    collapsed
}

fn without_invisible(text: &str) -> String {
    let shapes = |c: char| !c.is_ascii() && !c.is_whitespace() && !is_invisible(c);
    let mut seen = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut joins = || seen.ends_with(shapes) && rest.peek().is_some_and(|next| shapes(*next));
        if !is_invisible(c) || (matches!(c, '\u{200c}' | '\u{200d}') && joins()) {
            seen.push(c);
        }
    }
    seen
}

/// Whether a character of Unicode's category `Cf` is not seen by itself: soft hyphens, direction marks, joiners, byte order marks,
/// tags. The Arabic number signs of the category are seen.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (text, same) in [
            ("Garci\u{301}a Ma\u{301}rquez", "García Márquez"),
            ("\u{212b}ngstr\u{f6}m", "Ångström"),
            ("soft\u{ad}ware \u{2066}engineering\u{2069}\u{200b}", "software engineering"),
            ("\u{feff}two\tor\r\nmore\u{a0}\u{2003} words ", "two or more words"),
            ("A\u{200d}B", "AB"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("خواهم\u{200c}", "خواهم"),
            ("書店 📚", "書店 📚"),
            ("", ""),
            (" \u{200b}\u{ad}\n", ""),
        ] {
            assert_eq!(normal(text), same, "{text:?}");
            assert_eq!(normal(same), same);
        }
    }
}
