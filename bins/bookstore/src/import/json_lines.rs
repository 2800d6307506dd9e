//! JSON lines.

use bookstore_core::NewBook;
use std::io::{BufRead, BufReader, Read};

use super::{Books, BrokenLine, LINE_MAX, record::Record};

/// Books as JSON objects, one a line; `subjects` is a list. Blank lines are skipped.
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
            // A byte order mark is not part of the text.
            let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
            if !line.is_empty() {
                let book = parse(line).and_then(Record::check);
                return Some(book.map_err(|message| BrokenLine::new(self.number, message)));
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

fn parse(line: &[u8]) -> Result<Record, String> {
    serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        // For the parser every line is line 1: only its column means something here.
        match text.rsplit_once(" at line ") {
            Some((what, _)) if error.column() > 0 => format!("{what} (column {})", error.column()),
            _ => text,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_lines_are_named_by_their_number_and_the_rest_is_read() {
        let text = format!(
            "\n{{\"title\":\"a\",\"topic\":\"t\"}}\n{{\"title\":\"b\"}}\nnot json\n{{\"title\":\"c\",\"topic\":\"t\",\"year\":\"x\"}}\n\
             {{\"title\":\"d\",\"topic\":\"t\",\"isbn\":\"12\"}}\n{}\n{{\"title\":\"e\",\"topic\":\"t\",\"stock\":-1}}\n\
             {{\"title\":\"f\",\"topic\":\"t\",\"price_cents\":9007199254740992}}\n{{\"title\":\"g\",\"topic\":\"t\"}}",
            "x".repeat(LINE_MAX + 1)
        );
        assert_eq!(json_lines(text.as_bytes()).filter(Result::is_ok).count(), 2);
        let broken = json_lines(text.as_bytes()).filter_map(Result::err);
        let named: Vec<_> = broken.map(|broken| broken.to_string()).collect();
        assert_eq!(named[0], "line 3: topic is missing");
        assert_eq!(named[1], "line 4: expected ident (column 2)");
        assert!(named[2].starts_with("line 5: invalid type: string"), "{}", named[2]);
        assert_eq!(named[3], "line 6: isbn: \"12\" has 2 digits; an ISBN has 10 or 13");
        assert_eq!(named[4], "line 7: is longer than 1048576 bytes");
        assert!(named[5].starts_with("line 8: ") && named[6].starts_with("line 9: price_cents"), "{named:?}");
        assert_eq!(named.len(), 7);
    }
}
