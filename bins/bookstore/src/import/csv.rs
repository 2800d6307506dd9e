//! Tables: records of fields with commas, semicolons, tabs or bars between them.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use super::{
    Books, BrokenLine, LINE_MAX, Line,
    encoding::{self, AsUtf8},
    options::{Columns, Field, ImportOptions, NAMES},
    record::Record,
};

/// The bytes at the beginning of a table that are looked at to find out how it is written.
const BEGINNING: usize = 64 << 10;

/// Books as comma-separated values (RFC 4180) under a header line that names the columns, in any order; subjects are separated by
/// semicolons. Semicolons, tabs or bars may take the place of the commas, as the header line or a line `sep=;` before it shows.
/// Records of empty fields are skipped. The text is UTF-8, or UTF-16 with its mark.
pub fn csv<'a>(input: impl Read + 'a, options: &ImportOptions) -> Books<'a> {
    match Table::start(input, options) {
        Ok(mut table) => Books(Box::new(std::iter::from_fn(move || table.next_book()))),
        Err(error) => Books(Box::new(std::iter::once(Err(BrokenLine::last(1, error.to_string()))))),
    }
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

/// A table that is being read.
struct Table<R> {
    reader: csv::Reader<Bounded<R>>,
    budget: Rc<Cell<usize>>,
    columns: Option<Columns>,
    options: ImportOptions,
    /// Lines before the header line.
    before: u64,
    done: bool,
}

impl<'a> Table<Box<dyn Read + 'a>> {
    fn start(input: impl Read + 'a, options: &ImportOptions) -> io::Result<Self> {
        let mut input: Box<dyn Read + 'a> = Box::new(input);
        let mut head = first_bytes(&mut input)?;
        if let Some(encoding) = encoding::of_beginning(&head)? {
            input = Box::new(AsUtf8::new(io::Cursor::new(head).chain(input), encoding));
            head = first_bytes(&mut input)?;
        }
        let layout = Layout::of(&head);
        head.drain(..layout.skip);
        let budget = Rc::new(Cell::new(LINE_MAX));
        let inner: Box<dyn Read + 'a> = Box::new(io::Cursor::new(head).chain(input));
        let input = Bounded { inner, budget: Rc::clone(&budget), after_return: false };
        let mut builder = csv::ReaderBuilder::new();
        let reader = builder.flexible(true).trim(csv::Trim::All).delimiter(layout.delimiter).from_reader(input);
        let before = u64::from(layout.skip > 0);
        Ok(Self { reader, budget, columns: None, options: options.clone(), before, done: false })
    }
}

fn first_bytes(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.take(BEGINNING as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// How a table is written.
struct Layout {
    delimiter: u8,
    /// Bytes of a line `sep=…`, with its end.
    skip: usize,
}

impl Layout {
    /// Without `sep=…`: the delimiter that the header line has most often outside of quotes; a comma, if it has none.
    fn of(head: &[u8]) -> Self {
        let end = head.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(head.len());
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter, ..] = head[..end]
            && delimiter.is_ascii()
        {
            let ending = head[end..].iter().take(2).take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            let ending = if head[end..].starts_with(b"\r\n") { ending } else { ending.min(1) };
            return Self { delimiter, skip: end + ending };
        }
        let mut quoted = false;
        let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
        for byte in &head[..end] {
            quoted ^= *byte == b'"';
            for (_, count) in counts.iter_mut().filter(|(delimiter, _)| delimiter == byte && !quoted) {
                *count += 1;
            }
        }
        // Of equal counts the first in the list.
        let delimiter = counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter);
        Self { delimiter, skip: 0 }
    }
}

impl<R: Read> Table<R> {
    fn next_book(&mut self) -> Option<Result<Line, BrokenLine>> {
        if self.done {
            return None;
        }
        let book = self.read_book();
        self.done = !matches!(&book, Some(Ok(_)) | Some(Err(BrokenLine { last: false, .. })));
        book
    }

    fn read_book(&mut self) -> Option<Result<Line, BrokenLine>> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => {
                let header = self.reader.headers().map_err(|error| error.to_string());
                match header.and_then(|header| columns(header, &self.options)) {
                    Ok(columns) => columns,
                    Err(message) => return Some(Err(BrokenLine::last(self.before + 1, message))),
                }
            }
        };
        let book = self.read_record(&columns);
        self.columns = Some(columns);
        book
    }

    /// The next record that is not empty.
    fn read_record(&mut self, columns: &Columns) -> Option<Result<Line, BrokenLine>> {
        let mut record = csv::StringRecord::new();
        loop {
            self.budget.set(LINE_MAX);
            let line = self.reader.position().line() + self.before;
            match self.reader.read_record(&mut record) {
                Ok(false) => return None,
                Ok(true) if record.iter().all(str::is_empty) => {}
                Ok(true) => {
                    let line = record.position().map_or(line, |position| position.line() + self.before);
                    let width = self.reader.headers().map_or(0, csv::StringRecord::len);
                    let record = fields(&record, columns, width, &self.options);
                    let book = record.and_then(|record| record.check(line, &self.options));
                    return Some(book.map_err(|message| BrokenLine::new(line, message)));
                }
                Err(error) => return Some(Err(broken_record(&error, line, self.before))),
            }
        }
    }
}

fn broken_record(error: &csv::Error, line: u64, before: u64) -> BrokenLine {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(line, |position| position.line() + before);
            BrokenLine::new(line, "is not UTF-8; save the file as CSV in UTF-8")
        }
        csv::ErrorKind::Io(error) => BrokenLine::last(line, error.to_string()),
        _ => BrokenLine::last(line, error.to_string()),
    }
}

/// The columns of a table that has all that its books need, and none that is not used.
fn columns(header: &csv::StringRecord, options: &ImportOptions) -> Result<Columns, String> {
    let columns = Columns::find(header.iter(), options)?;
    let seen = || header.iter().collect::<Vec<_>>().join(", ");
    for (field, column) in &options.columns {
        if !columns.has(*field) {
            return Err(format!("the header line has no column {column:?} for the {field}; it has: {}", seen()));
        }
    }
    let missing = NAMES.iter().map(|(field, _)| *field).find(|field| options.needs(*field) && !columns.has(*field));
    if let Some(field) = missing {
        let without = match field {
            Field::Topic => ", or give --default-topic TOPIC",
            Field::Stock => ", or give --default-stock COPIES, or --fill-in for made-up samples",
            Field::Price => ", or give --fill-in for made-up samples",
            _ => "",
        };
        return Err(format!(
            "the header line has no {field}; name its column with --map {field}=COLUMN{without}; it has: {}",
            seen()
        ));
    }
    if !columns.unused.is_empty() && !options.ignore_columns {
        return Err(columns.unused_names(|at| header.get(at).unwrap_or_default()));
    }
    Ok(columns)
}

/// The texts of a record's fields.
fn fields(
    record: &csv::StringRecord,
    columns: &Columns,
    width: usize,
    options: &ImportOptions,
) -> Result<Record, String> {
    if record.len() != width {
        return Err(format!("fields: {}, but the header line has {width}", record.len()));
    }
    let text = |at: usize| record.get(at).unwrap_or_default();
    if let Some(at) = columns.nameless.iter().find(|at| !text(**at).is_empty() && !options.ignore_columns) {
        return Err(format!("column {} has no name, but a value: {:?}", at + 1, text(*at)));
    }
    let mut fields = Record::new(columns.exact);
    for (field, at) in &columns.fields {
        fields.put(*field, text(*at), columns.subjects_by());
    }
    Ok(fields)
}
