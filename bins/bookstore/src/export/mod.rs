//! Writing books and orders to files, one after the other: CSV or JSON lines.
//!
//! What [`BookWriter`] writes, [`import`](crate::import) reads as it is: every text, price and stock, and whether the book is on sale.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bookstore::{Bookstore, core::BookId, export::{BookWriter, Format}, import::{ImportOptions, csv}, sample};
//!
//! let shop = Bookstore::open("memory:").await?;
//! shop.add_books(sample::books()).await?;
//! let mut file = Vec::new();
//! let mut writer = BookWriter::new(Format::Csv, &mut file)?;
//! for book in shop.books(&[BookId(1), BookId(2)]).await?.into_iter().flatten() {
//!     writer.write(&book)?;
//! }
//! writer.finish()?;
//! let read = csv(&file[..], &ImportOptions::default()).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(read[0].book.text.title, shop.info(BookId(1)).await?.text.title());
//! # Ok(())
//! # }
//! ```

mod books;
mod orders;

#[cfg(test)]
mod round_trip;

use serde::Serialize;
use std::{
    fmt,
    io::{self, Write},
};

pub use books::BookWriter;
pub use orders::{ContactColumns, OrderWriter};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) in UTF-8 under a header line; lines end with `\n`.
    Csv,
    /// JSON objects, one a line.
    JsonLines,
}

/// Where records go.
enum Output<W: Write> {
    Csv(Box<csv::Writer<W>>),
    JsonLines(W),
}

impl<W: Write> Output<W> {
    /// Writes the header line, if the format has one.
    fn start<'a>(format: Format, to: W, header: impl IntoIterator<Item = &'a str>) -> io::Result<Self> {
        match format {
            Format::Csv => {
                let mut table = csv::Writer::from_writer(to);
                table.write_record(header).map_err(io::Error::from)?;
                Ok(Self::Csv(Box::new(table)))
            }
            Format::JsonLines => Ok(Self::JsonLines(to)),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Csv(mut table) => table.flush(),
            Self::JsonLines(mut to) => to.flush(),
        }
    }
}

impl<W: Write> fmt::Debug for Output<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv(_) => "Csv",
            Self::JsonLines(_) => "JsonLines",
        })
    }
}

fn write_line(to: &mut impl Write, record: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, record).map_err(io::Error::from)?;
    to.write_all(b"\n")
}
