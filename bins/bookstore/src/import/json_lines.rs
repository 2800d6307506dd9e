//! JSON lines.

use serde_json::{Map, Value};
use std::io::{BufRead, BufReader, Read};

use super::{
    Books, BrokenLine, LINE_MAX, Line,
    options::{Columns, Field, ImportOptions},
    record::Record,
};

/// Books as JSON objects, one a line; `subjects` and `authors` may be lists, and a list of `authors` counts before an `author`. Blank
/// lines are skipped.
pub fn json_lines<'a>(input: impl Read + 'a, options: &ImportOptions) -> Books<'a> {
    let options = options.clone();
    let mut lines = Lines { input: BufReader::new(input), number: 0, buffer: Vec::new(), done: false, options };
    Books(Box::new(std::iter::from_fn(move || lines.next_book())))
}

struct Lines<R> {
    input: R,
    number: u64,
    buffer: Vec<u8>,
    done: bool,
    options: ImportOptions,
}

impl<R: BufRead> Lines<R> {
    fn next_book(&mut self) -> Option<Result<Line, BrokenLine>> {
        while !self.done {
            self.number += 1;
            let line = match self.read_line() {
                Ok(None) => break,
                Ok(Some(line)) => line,
                Err(broken) => return Some(Err(broken)),
            };
            // A byte order mark is not part of the text.
            let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
            if !line.is_empty() {
                let read = parse(line).map(|object| record(&object, &self.options));
                let number = self.number;
                let checked = match read {
                    Ok(Ok(record)) => record.check(number, &self.options),
                    Ok(Err(unused)) => {
                        self.done = true;
                        return Some(Err(BrokenLine::last(number, unused)));
                    }
                    Err(message) => Err(message),
                };
                return Some(checked.map_err(|message| BrokenLine::new(number, message)));
            }
        }
        None
    }

    /// The next line, or `None` at the end of the file. A line that is too long is skipped and reported.
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

fn parse(line: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        // For the parser every line is line 1: only its column means something here.
        match text.rsplit_once(" at line ") {
            Some((what, _)) if error.column() > 0 => format!("{what} (column {})", error.column()),
            _ => text,
        }
    })
}

/// The fields of an object, or which of its names no field has.
fn record(object: &Map<String, Value>, options: &ImportOptions) -> Result<Record, String> {
    // The same names as a list and as one text, in the shop's own JSON.
    let listed = matches!(object.get("authors"), Some(Value::Array(authors)) if !authors.is_empty());
    let filled = object.iter().filter(|(name, value)| !(is_empty(value) || listed && *name == "author"));
    let filled: Vec<(&str, &Value)> = filled.map(|(name, value)| (&name[..], value)).collect();
    let columns = Columns::find(filled.iter().map(|(name, _)| *name), options)?;
    if !columns.unused.is_empty() && !options.ignore_columns {
        return Err(columns.unused_names(|at| filled[at].0));
    }
    let mut record = Record::new(columns.exact);
    for (field, at) in &columns.fields {
        put(&mut record, *field, filled[*at].1, columns.subjects_by());
    }
    Ok(record)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn put(record: &mut Record, field: Field, value: &Value, subjects_by: char) {
    match (field, value) {
        (_, Value::String(text)) => record.put(field, text, subjects_by),
        (Field::Subjects, Value::Array(list)) => record.put_subjects(list.iter().map(text)),
        (Field::Author, Value::Array(list)) => {
            record.put(field, &list.iter().map(text).collect::<Vec<_>>().join("; "), subjects_by);
        }
        (_, other) => record.put(field, &other.to_string(), subjects_by),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{Isbn, NewBook};

    const FILL_IN: ImportOptions = ImportOptions {
        currency: bookstore_core::Currency::USD,
        fill_in: true,
        default_stock: None,
        default_topic: None,
        ignore_columns: false,
        columns: Vec::new(),
        decimal_comma: false,
    };

    #[test]
    fn broken_json_lines_are_named_by_their_number_and_the_rest_is_read() {
        let text = format!(
            "\n{{\"title\":\"a\",\"topic\":\"t\"}}\n{{\"title\":\"b\"}}\nnot json\n{{\"title\":\"c\",\"topic\":\"t\",\"year\":\"x\"}}\n\
             {{\"title\":\"d\",\"topic\":\"t\",\"isbn\":\"12\"}}\n{}\n{{\"title\":\"e\",\"topic\":\"t\",\"stock\":-1}}\n\
             {{\"title\":\"f\",\"topic\":\"t\",\"price_cents\":9007199254740992}}\n{{\"title\":\"g\",\"topic\":\"t\"}}",
            "x".repeat(LINE_MAX + 1)
        );
        assert_eq!(json_lines(text.as_bytes(), &FILL_IN).filter(Result::is_ok).count(), 2);
        let broken = json_lines(text.as_bytes(), &FILL_IN).filter_map(Result::err);
        let named: Vec<_> = broken.map(|broken| broken.to_string()).collect();
        let expected = [
            "line 3: topic is missing",
            "line 4: expected ident (column 2)",
            "line 5: year must be a number such as 2004, not \"x\"",
            "line 6: isbn: \"12\" has 2 digits; an ISBN has 10 or 13",
            "line 7: is longer than 1048576 bytes",
            "line 8: stock must be a whole number in its range, not \"-1\"",
        ];
        assert_eq!(named[..6], expected);
        assert!(named.len() == 7 && named[6].starts_with("line 9: price_cents"), "{named:?}");
    }

    #[test]
    fn numbers_and_lists_are_read_as_they_are_written() {
        let text = r#"{"Title":"a","Category":"t","Price":19.9,"Qty":3,"Year Published":1999,"EAN":9780306406157,"tags":["x","y, z"],"lcc":null}"#;
        let line = json_lines(text.as_bytes(), &ImportOptions::default()).next().unwrap().unwrap();
        let NewBook { text, price_cents, stock } = &line.book;
        assert_eq!((price_cents.get(), *stock, text.year), (1990, 3, Some(1999)));
        assert_eq!(text.isbn.map(Isbn::digits).as_deref(), Some("9780306406157"));
        assert_eq!(text.subjects, ["x", "y, z"]);
        assert!(line.has_price && line.has_stock);
    }

    #[test]
    fn authors_count_before_author() {
        let read = |authors: &str| {
            let json = format!(r#"{{"title":"a","topic":"t","price":1,"stock":1,"author":"Roe, A.; Lee",{authors}}}"#);
            let line = json_lines(json.as_bytes(), &ImportOptions::default()).next().unwrap();
            line.map(|line| line.book.text.authors).map_err(|broken| broken.message)
        };
        assert_eq!(read(r#""authors":["Roe, A.","Lee","Doe"]"#).unwrap(), ["A. Roe", "Lee", "Doe"]);
        assert_eq!(read(r#""authors":[]"#).unwrap(), ["A. Roe", "Lee"]);
        assert!(read(r#""authors":"Doe""#).unwrap_err().contains("not used: authors"));
    }

    #[test]
    fn a_name_that_no_field_has_ends_the_reading_unless_it_may_be_left_out() {
        let text = "{\"title\":\"a\",\"topic\":\"t\",\"lcc\":\"HE\",\"shelf\":7}\n{\"title\":\"b\",\"topic\":\"t\"}";
        let read: Vec<_> = json_lines(text.as_bytes(), &FILL_IN).collect();
        let refused = read[0].as_ref().unwrap_err();
        assert!(read.len() == 1 && refused.last, "{read:?}");
        assert!(refused.message.contains("lcc, shelf") && refused.message.contains("--ignore-columns"), "{refused}");
        let options = ImportOptions { ignore_columns: true, ..FILL_IN };
        assert_eq!(json_lines(text.as_bytes(), &options).filter(Result::is_ok).count(), 2);
    }
}
