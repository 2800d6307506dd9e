//! How long things are in JSON, and JSON written without serde, for what is answered most often.

/// The bytes of a string in JSON, for texts without control characters.
pub(crate) fn string_bytes(text: &str) -> usize {
    2 + text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count()
}

/// Appends a string. serde writes those that need escapes.
pub(crate) fn put_string(to: &mut Vec<u8>, text: &str) {
    // All bytes are looked at, so that the processor compares many of them at once.
    let special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | special(byte)) {
        serde_json::to_writer(to, text).expect("a Vec takes a string");
        return;
    }
    to.push(b'"');
    to.extend_from_slice(text.as_bytes());
    to.push(b'"');
}

/// Appends strings as a list.
pub(crate) fn put_strings<'a>(to: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    to.push(b'[');
    for (place, text) in texts.enumerate() {
        if place > 0 {
            to.push(b',');
        }
        put_string(to, text);
    }
    to.push(b']');
}

/// Appends a whole number.
pub(crate) fn put_number(to: &mut Vec<u8>, number: impl itoa::Integer) {
    to.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
