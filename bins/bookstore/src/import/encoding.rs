//! The encodings of text files: UTF-8, UTF-16 and Windows-1252.

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::io::{self, Read};

/// Bytes that are read at once.
const BUFFER: usize = 16 << 10;

/// The encoding of a file: by its mark, by its zeros, or by all of its bytes.
///
/// UTF-8 is told from Windows-1252 by sequences of bytes that only one of them has. A file with sequences of both kinds is taken for
/// UTF-8, so that its broken lines are named.
///
/// # Errors
/// - The file cannot be read, or is no text at all.
pub(super) fn of_file(mut file: impl Read) -> io::Result<&'static Encoding> {
    let (mut bytes, mut first, mut seen) = (vec![0; BUFFER], true, Seen::default());
    let mut kept = 0;
    loop {
        let n = file.read(&mut bytes[kept..])?;
        let end = kept + n;
        if first && n > 0 {
            if let Some(encoding) = of_beginning(&bytes[..end])? {
                return Ok(encoding);
            }
            first = false;
        }
        kept = seen.add(&bytes[..end], n == 0);
        if n == 0 {
            return Ok(if seen.broken && !seen.multibyte { WINDOWS_1252 } else { UTF_8 });
        }
        bytes.copy_within(end - kept..end, 0);
    }
}

/// The encoding that the first bytes of a file say.
///
/// # Errors
/// - It is no text, but an archive or a workbook.
pub(super) fn of_beginning(bytes: &[u8]) -> io::Result<Option<&'static Encoding>> {
    let no_text = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Ok(Some(encoding));
    }
    match *bytes {
        [b'P', b'K', 3, 4, ..] | [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            no_text("this is a workbook or an archive, not text; save it as CSV in UTF-8")
        }
        [0x1f, 0x8b, ..] => no_text("this is compressed with gzip; unpack it first"),
        [a, 0, b, 0, ..] if a > 0 && b > 0 => Ok(Some(UTF_16LE)),
        [0, a, 0, b, ..] if a > 0 && b > 0 => Ok(Some(UTF_16BE)),
        _ => Ok(None),
    }
}

/// What the bytes of a file have.
#[derive(Default)]
struct Seen {
    /// Sequences of several bytes that are UTF-8.
    multibyte: bool,
    /// Bytes that are not UTF-8.
    broken: bool,
}

impl Seen {
    /// Looks at more bytes, and says how many at their end are the beginning of a sequence.
    fn add(&mut self, mut bytes: &[u8], at_end: bool) -> usize {
        loop {
            let Err(error) = std::str::from_utf8(bytes) else {
                self.multibyte |= !bytes.is_ascii();
                return 0;
            };
            let (good, rest) = bytes.split_at(error.valid_up_to());
            self.multibyte |= !good.is_ascii();
            match error.error_len() {
                Some(length) => {
                    self.broken = true;
                    bytes = &rest[length..];
                }
                None => {
                    self.broken |= at_end;
                    return rest.len();
                }
            }
        }
    }
}

/// Reads text of another encoding as UTF-8. What cannot be decoded becomes U+FFFD.
pub(super) struct AsUtf8<R> {
    inner: R,
    decoder: Decoder,
    /// Bytes of the file that are still to be decoded: `read[at..end]`.
    read: Vec<u8>,
    at: usize,
    end: usize,
    /// UTF-8 that is still to be given away, from `given` on.
    text: Vec<u8>,
    given: usize,
    done: bool,
}

impl<R: Read> AsUtf8<R> {
    pub(super) fn new(inner: R, encoding: &'static Encoding) -> Self {
        let (decoder, read) = (encoding.new_decoder_with_bom_removal(), vec![0; BUFFER]);
        Self { inner, decoder, read, at: 0, end: 0, text: Vec::new(), given: 0, done: false }
    }

    fn decode_more(&mut self) -> io::Result<()> {
        if self.at == self.end {
            (self.at, self.end) = (0, self.inner.read(&mut self.read)?);
        }
        let last = self.end == 0;
        self.text.resize(3 * BUFFER + 16, 0);
        let (_, used, written, _) = self.decoder.decode_to_utf8(&self.read[self.at..self.end], &mut self.text, last);
        self.at += used;
        self.text.truncate(written);
        (self.given, self.done) = (0, last);
        Ok(())
    }
}

impl<R: Read> Read for AsUtf8<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.done {
            self.decode_more()?;
        }
        let n = buffer.len().min(self.text.len() - self.given);
        buffer[..n].copy_from_slice(&self.text[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> (&'static str, String) {
        let encoding = of_file(bytes).unwrap();
        let mut text = String::new();
        AsUtf8::new(bytes, encoding).read_to_string(&mut text).unwrap();
        (encoding.name(), text)
    }

    fn utf_16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn an_encoding_is_known_by_its_bytes() {
        let plain = "Title;Price\nCafé;1";
        assert_eq!(text(plain.as_bytes()), ("UTF-8", plain.into()));
        assert_eq!(text(&[b"\xef\xbb\xbf", plain.as_bytes()].concat()), ("UTF-8", plain.into()));
        assert_eq!(text(b"Title\nCaf\xe9 \x93x\x94 \x80"), ("windows-1252", "Title\nCafé “x” €".into()));
        for marked in [plain.to_owned(), format!("\u{feff}{plain}")] {
            assert_eq!(text(&utf_16(&marked, u16::to_le_bytes)), ("UTF-16LE", plain.into()));
            assert_eq!(text(&utf_16(&marked, u16::to_be_bytes)), ("UTF-16BE", plain.into()));
        }
        assert_eq!(text(b"Caf\xc3\xa9 \xe9").0, "UTF-8", "both kinds");
        assert_eq!(text(b"").0, "UTF-8");
    }

    #[test]
    fn sequences_are_whole_wherever_a_read_ends() {
        let long = "é".repeat(3 * BUFFER);
        for shift in ["", "x"] {
            let shifted = format!("{shift}{long}");
            assert_eq!(text(shifted.as_bytes()), ("UTF-8", shifted.clone()));
            assert_eq!(text(&utf_16(&format!("\u{feff}{shifted}"), u16::to_le_bytes)).1, shifted);
        }
        assert_eq!(text(&[b"x".repeat(BUFFER), b"\xe9".to_vec()].concat()).0, "windows-1252");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bytes in [&b"PK\x03\x04..."[..], b"\xd0\xcf\x11\xe0\xa1", b"\x1f\x8b\x08"] {
            assert_eq!(of_file(bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
