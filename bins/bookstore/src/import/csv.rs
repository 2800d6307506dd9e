//! Comma-separated values.

use bookstore_core::NewBook;
use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
    str::FromStr,
};

use super::{Books, BrokenLine, LINE_MAX, record::Record};

/// Books as comma-separated values (RFC 4180) under a header line that names the columns, in any order and any case; subjects
/// are separated by semicolons.
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

/// Fails instead of reading more than one record may have: an open quote would otherwise read the whole file into memory.
///
/// It also makes every line ending a single `\n`, the only one that the CSV reader counts as a line.
struct Bounded<R> {
    inner: R,
    /// Bytes that the current record may still have; shared with the [`Table`], which renews it for each record.
    budget: Rc<Cell<usize>>,
    after_return: bool,
}

impl<R> Bounded<R> {
    /// Replaces `\r\n` and `\r` by `\n` in place, and returns how many bytes remain.
    fn normalize_line_endings(&mut self, bytes: &mut [u8]) -> usize {
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
        match self.normalize_line_endings(&mut buffer[..n]) {
            // All that was read was the second half of a `\r\n`: not the end of the file.
            0 if n > 0 => self.read(buffer),
            kept => Ok(kept),
        }
    }
}

/// A CSV file that is being read.
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

/// The position of each field in a record.
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

fn number<N: FromStr>(name: &str, text: Option<&str>) -> Result<Option<N>, String> {
    let number = text.map(str::parse).transpose();
    number.map_err(|_| format!("{name} must be a whole number in its range, not {:?}", text.unwrap_or_default()))
}
