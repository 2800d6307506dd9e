//! Opening files by the ending of their name.

use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{Books, csv, json_lines};

/// Opens a file whose name ends in `.csv`, `.jsonl` or `.jsonl.gz`. `on_read` is called with the number of bytes of every read,
/// before decompression: their sum, compared with the file's size, is how far it is.
///
/// # Errors
/// - [`InvalidInput`](io::ErrorKind::InvalidInput): the name has another ending.
/// - Any other: the file cannot be opened, or is a directory.
pub fn open(path: &Path, on_read: impl FnMut(usize) + 'static) -> io::Result<Books<'static>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let file = || -> io::Result<_> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        Ok(Counted { inner: file, on_read })
    };
    match () {
        () if name.ends_with(".csv") => Ok(csv(file()?)),
        () if name.ends_with(".jsonl") => Ok(json_lines(file()?)),
        () if name.ends_with(".jsonl.gz") => Ok(json_lines(MultiGzDecoder::new(file()?))),
        () => Err(io::Error::new(io::ErrorKind::InvalidInput, "the name must end in .csv, .jsonl or .jsonl.gz")),
    }
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
