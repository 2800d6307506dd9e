//! What a run was asked and what it answered, and how that is kept in a file.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{self, BufRead, Read as _, Write},
    sync::Arc,
};

use crate::{
    book::{Added, Amend, Book, BookId},
    error::{Error, Result},
    ledger::Seq,
    money::Cents,
    order::{Lines, Order, OrderId, Receipt},
};

/// A book's price and stock as an answer showed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which book.
    pub book: BookId,
    /// Copies in stock.
    pub stock: u32,
    /// What one costs.
    pub price_cents: Cents,
    /// The entry that last changed either.
    pub version: Seq,
}

impl From<&Book> for Shown {
    fn from(book: &Book) -> Self {
        Self { book: book.id, stock: book.stock, price_cents: book.price_cents, version: book.version }
    }
}

/// A new book's price and first stock: all that a history keeps of its listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shelved {
    /// What one copy costs.
    pub price_cents: Cents,
    /// Copies to begin with.
    pub stock: u32,
}

/// How a call ended, as its caller knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// Done, and this was the answer.
    Answered(T),
    /// Decided, and refused by the business for this reason: it changed nothing, and the reason was true.
    Refused(Error),
    /// Refused before any effect.
    NotExecuted,
    /// It may have happened, or may happen yet. Also for a call that never returned.
    Unknown,
}

impl<T> Outcome<T> {
    /// The outcome that a service's answer stands for.
    pub fn of<R>(answer: &Result<R>, shown: impl FnOnce(&R) -> T) -> Self {
        match answer {
            Ok(answer) => Self::Answered(shown(answer)),
            Err(error) => Self::of_error(error),
        }
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::OutOfStock { .. }
            | Error::BookNotFound { .. }
            | Error::OrderNotFound { .. }
            | Error::OrderIdReused { .. }
            | Error::PriceChanged { .. }
            | Error::VersionMismatch { .. }
            | Error::VersionRequired => Self::Refused(error.clone()),
            Error::Invalid { .. }
            | Error::Malformed { .. }
            | Error::Unauthorized { .. }
            | Error::Overloaded { .. }
            | Error::Unavailable { .. }
            | Error::DeadlineExpired { .. } => Self::NotExecuted,
            Error::OutcomeUnknown { .. } => Self::Unknown,
        }
    }

    /// The answer, if there is one.
    pub fn answered(&self) -> Option<&T> {
        if let Self::Answered(answer) = self { Some(answer) } else { None }
    }

    /// The business's refusal, if it is one.
    pub fn refused(&self) -> Option<&Error> {
        if let Self::Refused(error) = self { Some(error) } else { None }
    }

    /// Whether anybody knows how it ended.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

/// What a call asked for, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Buying, through the order service or the catalogue itself.
    Purchase {
        /// The buyer's key.
        order: OrderId,
        /// What to buy.
        lines: Lines,
        /// How it ended.
        outcome: Outcome<Receipt>,
    },
    /// Cancelling.
    Cancel {
        /// Which order.
        order: OrderId,
        /// How it ended.
        outcome: Outcome<Receipt>,
    },
    /// Reading an order.
    ReadOrder {
        /// Which order.
        order: OrderId,
        /// How it ended.
        outcome: Outcome<Order>,
    },
    /// Reading a page of orders.
    ReadOrders {
        /// How it ended.
        outcome: Outcome<Vec<Order>>,
    },
    /// Reading a book.
    Info {
        /// Which book.
        book: BookId,
        /// How it ended.
        outcome: Outcome<Shown>,
    },
    /// Reading a page of books.
    Search {
        /// How it ended.
        outcome: Outcome<Vec<Shown>>,
    },
    /// Restocking, or setting price or stock.
    Amend {
        /// Which book.
        book: BookId,
        /// What to change.
        change: Amend,
        /// Makes it happen once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<OrderId>,
        /// How it ended.
        outcome: Outcome<Shown>,
    },
    /// Listing books.
    List {
        /// The books.
        books: Vec<Shelved>,
        /// How it ended.
        outcome: Outcome<Vec<Added>>,
    },
}

impl Operation {
    /// The order id or key that it is about, if any.
    #[must_use]
    pub fn key(&self) -> Option<OrderId> {
        match self {
            Self::Purchase { order, .. } | Self::Cancel { order, .. } | Self::ReadOrder { order, .. } => Some(*order),
            Self::Amend { key, .. } => *key,
            Self::ReadOrders { .. } | Self::Info { .. } | Self::Search { .. } | Self::List { .. } => None,
        }
    }

    /// What became of it, without the answer itself.
    #[must_use]
    pub fn ending(&self) -> Outcome<()> {
        fn plain<T>(outcome: &Outcome<T>) -> Outcome<()> {
            match outcome {
                Outcome::Answered(_) => Outcome::Answered(()),
                Outcome::Refused(error) => Outcome::Refused(error.clone()),
                Outcome::NotExecuted => Outcome::NotExecuted,
                Outcome::Unknown => Outcome::Unknown,
            }
        }
        match self {
            Self::Purchase { outcome, .. } | Self::Cancel { outcome, .. } => plain(outcome),
            Self::ReadOrder { outcome, .. } => plain(outcome),
            Self::ReadOrders { outcome } => plain(outcome),
            Self::Info { outcome, .. } | Self::Amend { outcome, .. } => plain(outcome),
            Self::Search { outcome } => plain(outcome),
            Self::List { outcome, .. } => plain(outcome),
        }
    }
}

/// One recorded call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Who called: for the reader of a report.
    pub process: u64,
    /// The server that it went through.
    pub server: Arc<str>,
    /// When it was made, on the recorder's clock.
    pub invoked: u64,
    /// When it returned, on the same clock; `None` if it never did.
    pub completed: Option<u64>,
    /// What it asked for, and how it ended.
    pub operation: Operation,
}

/// Recorded calls, in no particular order.
///
/// Times are on one clock that never goes back, shared by all processes: ticks of one [`Recorder`](super::Recorder), or a
/// monotonic instant. A call *precedes* another one if it completed at a smaller time than the other was invoked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The calls.
    pub calls: Vec<Call>,
    /// Calls that were made but not recorded, because the recorder was full.
    pub unrecorded: u64,
}

/// The last line of a history's file: proves that nothing was cut off.
#[derive(Serialize, Deserialize)]
struct End {
    calls: usize,
    unrecorded: u64,
}

/// How the last line begins, and no other.
const END: &[u8] = br#"{"calls":"#;

/// Why a file is not a history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be read.
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
    /// A line is too long.
    #[error("line {line} of the history has more than {max} bytes", max = History::LINE_MAX)]
    TooLong {
        /// Which line, from 1.
        line: usize,
    },
    /// The end is missing, or does not fit.
    #[error("the history is not complete: {calls} calls were read, and the last line does not say so")]
    Cut {
        /// Calls before it broke off.
        calls: usize,
    },
}

impl History {
    /// The longest line of a file, in bytes.
    pub const LINE_MAX: u64 = 1 << 20;

    /// Adds what another recorder on the same clock has recorded.
    pub fn merge(&mut self, other: History) {
        self.calls.extend(other.calls);
        self.unrecorded += other.unrecorded;
    }

    /// Writes one JSON object a line: the calls, then a line that ends the history.
    ///
    /// # Errors
    /// It cannot be written.
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
    /// It is not a history, or not all of one.
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
