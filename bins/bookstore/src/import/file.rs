//! Opening files by the ending of their name.

use encoding_rs::{Encoding, UTF_8};
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{
    Books, ImportOptions, csv,
    encoding::{self, AsUtf8},
    json_lines,
};

/// Opens a file whose name ends in `.csv`, `.tsv`, `.txt`, `.jsonl` or `.jsonl.gz`. `on_read` is called with the number of bytes of
/// every read, before decompression: their sum, compared with the file's size, is how far it is.
///
/// A table may be in UTF-8, UTF-16 or Windows-1252: the whole file is looked through first to tell which.
///
/// # Errors
/// - [`InvalidInput`](io::ErrorKind::InvalidInput): the name has another ending.
/// - [`InvalidData`](io::ErrorKind::InvalidData): a table is no text, but a workbook or an archive.
/// - Any other: the file cannot be opened, or is a directory.
pub fn open(path: &Path, options: &ImportOptions, on_read: impl FnMut(usize) + 'static) -> io::Result<Books<'static>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let file = || -> io::Result<_> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        Ok(file)
    };
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match () {
        () if ends(&[".csv", ".tsv", ".txt"]) => {
            let encoding = encoding::of_file(file()?)?;
            Ok(table(Counted { inner: file()?, on_read }, encoding, options))
        }
        () if ends(&[".jsonl"]) => Ok(json_lines(Counted { inner: file()?, on_read }, options)),
        () if ends(&[".jsonl.gz"]) => Ok(json_lines(MultiGzDecoder::new(Counted { inner: file()?, on_read }), options)),
        () => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name must end in .csv, .tsv, .txt, .jsonl or .jsonl.gz",
        )),
    }
}

/// A table that is not in UTF-8 is decoded; of one that is, the lines that are not are named.
fn table(input: impl Read + 'static, encoding: &'static Encoding, options: &ImportOptions) -> Books<'static> {
    if encoding == UTF_8 { csv(input, options) } else { csv(AsUtf8::new(input, encoding), options) }
}

struct Counted<R, F> {
    inner: R,
    on_read: F,
}

impl<R: Read, F: FnMut(usize)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        (self.on_read)(n);
        Ok(n)
    }
}
