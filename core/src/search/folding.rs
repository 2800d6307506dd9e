//! Texts as they are compared: in lower case, without accents, with the letters that people type without their keyboard.

use unicode_normalization::{
    UnicodeNormalization as _,
    char::{decompose_compatible, is_combining_mark},
};

/// Words that do not count at the beginning of a title.
const ARTICLES: [&str; 3] = ["a ", "an ", "the "];

/// A title as titles are sorted, by its bytes: its words in lower case with one space between them, letters folded as in a search
/// (`Łódź` is `lodz`), without a leading English article.
///
/// ```
/// use bookstore_core::search::title_key;
///
/// assert_eq!(title_key("The “Łódź” e-mails!"), "lodz e mails");
/// assert_eq!(title_key("A"), "a");
/// ```
#[must_use]
pub fn title_key(title: &str) -> String {
    let line = folded_line(title);
    let article = ARTICLES.into_iter().find_map(|article| line.strip_prefix(article));
    article.map_or_else(|| line.clone(), str::to_owned)
}

/// The words of a text in one line, folded, with one space between them.
pub(super) fn folded_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut gap = false;
    for c in folded(text) {
        if !is_letter(c) {
            // An apostrophe is within a word.
            gap |= c != '\'';
            continue;
        }
        if gap && !line.is_empty() {
            line.push(' ');
        }
        gap = false;
        line.push(c);
    }
    line
}

/// A name as it is compared as a whole: without regard to case, in any script.
pub(super) fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The characters of a text in lower case, without accents and points; hyphens and apostrophes are ASCII.
pub(super) fn folded(text: &str) -> Vec<char> {
    let mut chars = Vec::with_capacity(text.len());
    for c in text.nfc() {
        if c.is_ascii() {
            chars.push(c.to_ascii_lowercase());
        } else if is_unspaced(c) {
            chars.push(c);
        } else {
            decompose_compatible(c, |c| {
                if !is_accent(c) {
                    c.to_lowercase().for_each(|c| fold(c, &mut chars));
                }
            });
        }
    }
    chars
}

/// Letters that no decomposition takes apart, as people type them without their keyboard.
fn fold(c: char, to: &mut Vec<char>) {
    let letters = match c {
        'ł' => "l",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ı' => "i",
        'ħ' => "h",
        'ŧ' => "t",
        '’' | '‘' | 'ʼ' | 'ʻ' | 'ʿ' | 'ʾ' | '´' | '`' | '′' => "'",
        '‐' | '‑' => "-",
        // Invisible: soft hyphen, joiners, direction marks.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => "",
        _ => {
            return if !is_accent(c) {
                to.push(c);
            };
        }
    };
    to.extend(letters.chars());
}

/// Accents of European letters, and the points of Hebrew and Arabic; not the vowels of Indian scripts.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Chinese, Japanese and Korean characters.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3134f}')
}

pub(super) fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || (!c.is_ascii() && is_combining_mark(c))
}
