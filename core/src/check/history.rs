//! A recorded run, and the file that keeps it.
//!
//! The file is for runs that are checked later or elsewhere: JSON, one call a line, so that a person can read and cut
//! it. The last line counts the calls; a file without it is refused, as a history with missing calls proves nothing.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{self, BufRead, Read as _, Write},
    sync::Arc,
};

use super::operation::Operation;

/// One recorded call: who called, through which server, when, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Which client called; it helps the reader of a report and decides nothing.
    pub process: u64,
    /// The server that the call went through.
    pub server: Arc<str>,
    /// When it was made, on the recorder's clock.
    pub invoked: u64,
    /// When it returned, on the same clock; `None` if it never returned.
    pub completed: Option<u64>,
    /// What it asked for, and how it ended.
    pub operation: Operation,
}

/// Recorded calls, in no particular order.
///
/// All times are on one clock that never goes back and that all processes share: the ticks of one
/// [`Recorder`](super::Recorder), or a monotonic clock of the machine. A call *precedes* another one if it completed at
/// a smaller time than the other one was invoked at; calls of which neither precedes the other are concurrent.
///
/// A history can be kept in a file:
///
/// ```
/// use bookstore_core::check::History;
///
/// let mut file = Vec::new();
/// History::default().write(&mut file)?;
/// assert_eq!(History::read(&file[..])?, History::default());
/// # Ok::<(), bookstore_core::check::ReadError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The calls.
    pub calls: Vec<Call>,
    /// How many calls were made but not recorded, because the recorder was full.
    pub unrecorded: u64,
}

/// The last line of a file. It proves that nothing was cut off.
#[derive(Serialize, Deserialize)]
struct End {
    calls: usize,
    unrecorded: u64,
}

/// How the last line begins. No other line begins so.
const END: &[u8] = br#"{"calls":"#;

/// Why a file is not a history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is not a call.
    #[error("line {line} of the history: {error}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A line is longer than [`History::LINE_MAX`].
    #[error("line {line} of the history has more than {max} bytes", max = History::LINE_MAX)]
    TooLong {
        /// Which line, from 1.
        line: usize,
    },
    /// The last line is missing, counts other calls than there are, or is followed by something.
    #[error("the history is not complete: {calls} calls were read, and the last line does not say so")]
    Cut {
        /// Calls that were read.
        calls: usize,
    },
}

impl History {
    /// The longest line of a file, in bytes: 1 MiB.
    pub const LINE_MAX: u64 = 1 << 20;

    /// Adds the calls that another recorder on the same clock has recorded.
    pub fn merge(&mut self, other: History) {
        self.calls.extend(other.calls);
        self.unrecorded += other.unrecorded;
    }

    /// Writes one JSON object a line: the calls, then a line that counts them.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        for call in &self.calls {
            serde_json::to_writer(&mut *to, call)?;
            to.write_all(b"\n")?;
        }
        serde_json::to_writer(&mut *to, &End { calls: self.calls.len(), unrecorded: self.unrecorded })?;
        to.write_all(b"\n")?;
        to.flush()
    }

    /// Reads what [`History::write`] wrote.
    ///
    /// # Errors
    /// - [`ReadError::Io`]: those of `from`.
    /// - [`ReadError::Line`]: a line is not a call.
    /// - [`ReadError::TooLong`]: a line has more than [`History::LINE_MAX`] bytes.
    /// - [`ReadError::Cut`]: the file is not complete.
    pub fn read(mut from: impl BufRead) -> Result<Self, ReadError> {
        let (mut calls, mut line, mut number) = (Vec::new(), Vec::new(), 0);
        loop {
            line.clear();
            number += 1;
            let length = from.by_ref().take(Self::LINE_MAX + 1).read_until(b'\n', &mut line)?;
            if length as u64 > Self::LINE_MAX {
                return Err(ReadError::TooLong { line: number });
            }
            if length == 0 {
                return Err(ReadError::Cut { calls: calls.len() });
            }
            if line.starts_with(END) {
                let end: End = parse(&line, number)?;
                let complete = end.calls == calls.len() && from.read(&mut [0])? == 0;
                let history = Self { calls, unrecorded: end.unrecorded };
                return if complete { Ok(history) } else { Err(ReadError::Cut { calls: history.calls.len() }) };
            }
            calls.push(parse(&line, number)?);
        }
    }
}

fn parse<T: DeserializeOwned>(line: &[u8], number: usize) -> Result<T, ReadError> {
    serde_json::from_slice(line).map_err(|error| ReadError::Line { line: number, error })
}
