//! The digits of an ISBN as people and programs spell it.

/// The values of the digits; 10 is an X.
pub(super) fn digits(text: &str) -> Result<Vec<u8>, &'static str> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\'' | '[' | ']'));
    let (bare, named) = match text.to_ascii_lowercase().find("isbn") {
        Some(at) if matches!(&text[..at].to_ascii_lowercase()[..], "" | "urn:") => (&text[at + 4..], true),
        _ => (text, false),
    };
    let bare = bare.split('(').next().unwrap_or_default();
    let bare = bare.trim_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '.' | ',' | ';'));
    if bare.contains("E+") || bare.contains("e+") {
        return Err("was rounded by a spreadsheet; format the column as text there, and export it again");
    }
    let mut digits = Vec::with_capacity(15);
    for c in bare.chars() {
        match c {
            '0'..='9' => digits.push(c as u8 - b'0'),
            'x' | 'X' => digits.push(10),
            _ if is_between_digits(c) || (named && c == ':') => {}
            _ => return Err("is no ISBN: one has 10 or 13 digits, such as 978-0-306-40615-7"),
        }
    }
    // `ISBN-13: 978…`
    if named && matches!((digits.len(), &digits[..]), (15, [1, 3, ..]) | (12, [1, 0, ..])) {
        digits.drain(..2);
    }
    Ok(digits)
}

/// Spaces, hyphens and dashes of any kind, and what is not seen at all.
fn is_between_digits(c: char) -> bool {
    c.is_whitespace()
        || crate::book::normal::is_invisible(c)
        || matches!(c, '-' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
}
