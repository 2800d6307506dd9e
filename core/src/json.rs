//! How long things are in JSON.

/// The bytes of a string in JSON, for texts without control characters.
pub(crate) fn string_bytes(text: &str) -> usize {
    2 + text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count()
}
