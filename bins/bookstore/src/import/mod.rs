//! Reading books from files: CSV, JSON lines, gzipped JSON lines. One book at a time, never the whole file.

use bookstore_core::{BookText, Cents, NewBook};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    rc::Rc,
};

/// The longest line of a file, in bytes.
pub const LINE_MAX: usize = 1 << 20;

/// A line that is not a book.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BrokenLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
    /// Whether nothing after it can be read.
    pub last: bool,
}

impl BrokenLine {
    fn new(line: u64, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), last: false }
    }

    fn last(line: u64, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), last: true }
    }
}

/// The books of a file, in its order.
///
/// ```
/// let lines = br#"{"title":"Ledgers","topic":"distributed systems","isbn13":"9780000000002"}"#;
/// let book = bookstore::import::json_lines(&lines[..]).next().unwrap().unwrap();
/// assert_eq!((book.text.title.as_str(), book.price_cents.get(), book.stock), ("Ledgers", 3399, 26));
/// ```
pub struct Books<'a>(Box<dyn Iterator<Item = Result<NewBook, BrokenLine>> + 'a>);

impl Iterator for Books<'_> {
    type Item = Result<NewBook, BrokenLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// Opens a file whose name ends in `.csv`, `.jsonl` or `.jsonl.gz`; `read` is told of every byte that is taken from it.
///
/// # Errors
/// The name has another ending, or the file cannot be read.
pub fn open(path: &Path, read: impl FnMut(usize) + 'static) -> io::Result<Books<'static>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let file = || -> io::Result<_> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        Ok(Counted { inner: file, read })
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
    read: F,
}

impl<R: Read, F: FnMut(usize)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        (self.read)(n);
        Ok(n)
    }
}

/// Books as JSON objects, one a line; blank lines are skipped.
pub fn json_lines<'a>(input: impl Read + 'a) -> Books<'a> {
    let mut lines = Lines { input: BufReader::new(input), number: 0, buffer: Vec::new(), done: false };
    Books(Box::new(std::iter::from_fn(move || lines.next_book())))
}

struct Lines<R> {
    input: R,
    number: u64,
    buffer: Vec<u8>,
    done: bool,
}

impl<R: BufRead> Lines<R> {
    fn next_book(&mut self) -> Option<Result<NewBook, BrokenLine>> {
        while !self.done {
            self.number += 1;
            let line = match self.read_line() {
                Ok(None) => break,
                Ok(Some(line)) => line,
                Err(broken) => return Some(Err(broken)),
            };
            let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
            if !line.is_empty() {
                let book = parse_json(line).and_then(Record::check);
                return Some(book.map_err(|message| BrokenLine::new(self.number, message)));
            }
        }
        None
    }

    /// The next line, or `None` at the end. Of one that is too long only the beginning is kept.
    fn read_line(&mut self) -> Result<Option<&[u8]>, BrokenLine> {
        self.buffer.clear();
        let read = (&mut self.input).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut self.buffer);
        let too_long = self.buffer.len() > LINE_MAX && !self.buffer.ends_with(b"\n");
        let read = read.and_then(|n| if too_long { self.input.skip_until(b'\n') } else { Ok(n) });
        if let Err(error) = read {
            self.done = true;
            return Err(BrokenLine::last(self.number, format!("the file cannot be read on: {error}")));
        }
        if too_long {
            return Err(BrokenLine::new(self.number, format!("is longer than {LINE_MAX} bytes")));
        }
        Ok((!self.buffer.is_empty()).then_some(self.buffer.as_slice()))
    }
}

fn parse_json(line: &[u8]) -> Result<Record, String> {
    serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        // The parser counts lines from where it began: only its column means something here.
        match text.rsplit_once(" at line ") {
            Some((what, _)) if error.column() > 0 => format!("{what} (column {})", error.column()),
            _ => text,
        }
    })
}

/// A book as files have it: more than a name and a topic is welcome, not required.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    title: Option<String>,
    author: Option<String>,
    topic: Option<String>,
    #[serde(alias = "isbn13")]
    isbn: Option<String>,
    year: Option<i32>,
    subjects: Option<Vec<String>>,
    price_cents: Option<u64>,
    stock: Option<u32>,
}

impl Record {
    fn check(self) -> Result<NewBook, String> {
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let text = BookText {
            title: trimmed(self.title).ok_or("title is missing")?,
            author: trimmed(self.author).unwrap_or_default(),
            topic: trimmed(self.topic).ok_or("topic is missing")?,
            isbn: self.isbn.map(|isbn| plain_isbn(&isbn)).filter(|isbn| !isbn.is_empty()),
            year: self.year,
            subjects: self.subjects.unwrap_or_default(),
        };
        let (price, stock) = derive(&text.identity());
        let price_cents = self.price_cents.map_or(Ok(price), Cents::new).map_err(|error| error.to_string())?;
        let book = NewBook { text, price_cents, stock: self.stock.unwrap_or(stock) };
        book.check().map_err(|error| error.to_string())?;
        Ok(book)
    }
}

fn plain_isbn(isbn: &str) -> String {
    isbn.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect()
}

/// The price and the stock of a book that came without: from the 64-bit FNV-1a hash `h` of its identity,
/// `499 + 100 * (h mod 60)` cents and `1 + (h >> 32) mod 40` copies.
#[must_use]
pub fn derive(identity: &str) -> (Cents, u32) {
    let hash = identity
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let price = Cents::new(499 + 100 * (hash % 60)).unwrap_or(Cents::MAX);
    let stock = u32::try_from(1 + (hash >> 32) % 40).unwrap_or(1);
    (price, stock)
}

/// Books as comma-separated values under a header line.
pub fn csv<'a>(input: impl Read + 'a) -> Books<'a> {
    let budget = Rc::new(Cell::new(LINE_MAX));
    let input = Bounded { inner: input, budget: Rc::clone(&budget), after_return: false };
    let mut table = Table {
        reader: csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(input),
        budget,
        columns: None,
        done: false,
    };
    Books(Box::new(std::iter::from_fn(move || table.next_book())))
}

/// Fails instead of feeding a reader more than one record may have: an open quote would swallow the whole file.
///
/// It also makes every end of a line a single `\n`: the reader counts no other, and it names lines to people.
struct Bounded<R> {
    inner: R,
    budget: Rc<Cell<usize>>,
    after_return: bool,
}

impl<R> Bounded<R> {
    /// How many bytes are left.
    fn with_plain_ends(&mut self, bytes: &mut [u8]) -> usize {
        let mut kept = 0;
        for at in 0..bytes.len() {
            let (byte, ended) = (bytes[at], self.after_return);
            self.after_return = byte == b'\r';
            if !(ended && byte == b'\n') {
                bytes[kept] = if byte == b'\r' { b'\n' } else { byte };
                kept += 1;
            }
        }
        kept
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.get() == 0 {
            let message = format!("this record is longer than {LINE_MAX} bytes; is a quote left open?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let room = buffer.len().min(self.budget.get());
        let n = self.inner.read(&mut buffer[..room])?;
        self.budget.set(self.budget.get() - n);
        match self.with_plain_ends(&mut buffer[..n]) {
            // The end of a line that was counted already is not the end of the file.
            0 if n > 0 => self.read(buffer),
            kept => Ok(kept),
        }
    }
}

struct Table<R> {
    reader: csv::Reader<Bounded<R>>,
    budget: Rc<Cell<usize>>,
    columns: Option<Columns>,
    done: bool,
}

impl<R: Read> Table<R> {
    fn next_book(&mut self) -> Option<Result<NewBook, BrokenLine>> {
        if self.done {
            return None;
        }
        let book = self.read_book();
        self.done = !matches!(&book, Some(Ok(_)) | Some(Err(BrokenLine { last: false, .. })));
        book
    }

    fn read_book(&mut self) -> Option<Result<NewBook, BrokenLine>> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => match self.reader.headers().map_err(|error| error.to_string()).and_then(Columns::find) {
                Ok(columns) => columns,
                Err(message) => return Some(Err(BrokenLine::last(1, message))),
            },
        };
        self.budget.set(LINE_MAX);
        let line = self.reader.position().line();
        let mut record = csv::StringRecord::new();
        let book = match self.reader.read_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                let book = columns.record(&record).and_then(Record::check);
                Some(book.map_err(|message| BrokenLine::new(line, message)))
            }
            Err(error) => Some(Err(broken_record(&error, line))),
        };
        self.columns = Some(columns);
        book
    }
}

fn broken_record(error: &csv::Error, line: u64) -> BrokenLine {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => {
            BrokenLine::new(pos.as_ref().map_or(line, csv::Position::line), "is not UTF-8")
        }
        csv::ErrorKind::Io(error) => BrokenLine::last(line, error.to_string()),
        _ => BrokenLine::last(line, error.to_string()),
    }
}

/// Where a table has what.
struct Columns {
    width: usize,
    title: usize,
    topic: usize,
    author: Option<usize>,
    isbn: Option<usize>,
    year: Option<usize>,
    subjects: Option<usize>,
    price_cents: Option<usize>,
    stock: Option<usize>,
}

impl Columns {
    fn find(header: &csv::StringRecord) -> Result<Self, String> {
        let at = |names: &[&str]| {
            let mut found = header.iter().enumerate().filter(|(_, name)| names.contains(&name.to_lowercase().as_str()));
            let first = found.next().map(|(at, _)| at);
            match found.next() {
                Some((_, name)) => Err(format!("the header line has {name} twice")),
                None => Ok(first),
            }
        };
        let needed =
            |name: &str| at(&[name])?.ok_or(format!("the header line has no {name}; it needs title and topic"));
        Ok(Self {
            width: header.len(),
            title: needed("title")?,
            topic: needed("topic")?,
            author: at(&["author"])?,
            isbn: at(&["isbn", "isbn13"])?,
            year: at(&["year"])?,
            subjects: at(&["subjects"])?,
            price_cents: at(&["price_cents"])?,
            stock: at(&["stock"])?,
        })
    }

    fn record(&self, record: &csv::StringRecord) -> Result<Record, String> {
        if record.len() != self.width {
            return Err(format!("fields: {}, but the header line has {}", record.len(), self.width));
        }
        let text = |at: Option<usize>| at.and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        let subjects = text(self.subjects).map(|list| {
            list.split(';').map(str::trim).filter(|subject| !subject.is_empty()).map(str::to_owned).collect()
        });
        Ok(Record {
            title: text(Some(self.title)).map(str::to_owned),
            author: text(self.author).map(str::to_owned),
            topic: text(Some(self.topic)).map(str::to_owned),
            isbn: text(self.isbn).map(str::to_owned),
            year: number("year", text(self.year))?,
            subjects,
            price_cents: number("price_cents", text(self.price_cents))?,
            stock: number("stock", text(self.stock))?,
        })
    }
}

fn number<N: std::str::FromStr>(name: &str, text: Option<&str>) -> Result<Option<N>, String> {
    let number = text.map(str::parse).transpose();
    number.map_err(|_| format!("{name} must be a whole number in its range, not {:?}", text.unwrap_or_default()))
}

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod tests;
