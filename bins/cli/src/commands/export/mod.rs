//! `bookstore export`: all books or orders of a running shop, or of a store, to a file or to standard output.

mod destination;
mod source;
mod titles;

use bookstore::export::{BookWriter, ContactColumns, Format, OrderWriter};
use bookstore_cli::load::{counted, grouped};
use bookstore_core::{BookId, OrderQuery, Query, Seq};
use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use self::{destination::Destination, source::Source, titles::Titles};
use super::{Failure, progress::Progress};
use crate::cli::{ExportArgs, Exported};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
pub(super) async fn run(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let format = format(args)?;
    if args.contacts && args.what == Exported::Books {
        return Err(Failure::Usage("--contacts is for orders: books have none".into()));
    }
    let mut source = Source::open(args).await?;
    let mut destination = Destination::open(args.output.as_deref())?;
    let mut writing = Writing::start();
    let exported = match args.what {
        Exported::Books => books(&mut source, format, destination.writer(), &mut writing).await,
        Exported::Orders => orders(&mut source, format, args.contacts, destination.writer(), &mut writing).await,
    };
    writing.progress.clear();
    let summary = exported.map_err(|failure| destination.cut_off(failure, &writing.counted()))?;
    let place = destination.keep()?;
    eprintln!("Wrote {place}: {summary}");
    Ok(ExitCode::SUCCESS)
}

/// What the flags say, or else the name of the file.
fn format(args: &ExportArgs) -> Result<Format, Failure> {
    let name = args.output.as_ref().map(|path| path.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name.ends_with(".gz") {
        return Err(Failure::Usage(format!(
            "--output {name}: nothing is compressed here; leave --output out, and let gzip write the file: bookstore export … | gzip > {name}"
        )));
    }
    let json = args.jsonl || (!args.csv && name.ends_with(".jsonl"));
    Ok(if json { Format::JsonLines } else { Format::Csv })
}

/// How far it is.
struct Writing {
    progress: Progress,
    written: u64,
    /// Of one, and of several.
    names: [&'static str; 2],
}

impl Writing {
    fn start() -> Self {
        Self { progress: Progress::start(LINE_EVERY), written: 0, names: ["book", "books"] }
    }

    fn counted(&self) -> String {
        let [one, several] = self.names;
        counted(self.written, one, several)
    }

    fn show(&self, done: u64, total: u64) {
        self.progress.update(done, total.max(done), "Exporting:", &self.counted());
    }
}

/// Writes all books by their numbers, those that are off sale, too.
async fn books(
    source: &mut Source,
    format: Format,
    to: &mut dyn Write,
    writing: &mut Writing,
) -> Result<String, Failure> {
    let mut writer = BookWriter::new(format, to).map_err(not_written)?;
    let (mut first, mut off_sale) = (1, 0);
    let total = source.total().await?;
    loop {
        let ids: Vec<BookId> = (first..).take(bookstore_core::service::BOOKS_MAX).map(BookId).collect();
        first += ids.len() as u64;
        let page = source.books(ids).await?;
        // Numbers are dense, so the last one of a page is there unless the catalog ends in it.
        let more = page.last().is_some_and(Option::is_some);
        for book in page.iter().flatten() {
            writer.write(book).map_err(not_written)?;
            writing.written += 1;
            off_sale += u64::from(!book.on_sale);
        }
        writing.show(writing.written, total);
        if !more {
            break;
        }
    }
    writer.finish().map_err(not_written)?;
    Ok(format!("{}, {} of them off sale", writing.counted(), grouped(off_sale)))
}

/// Writes all orders, newest first.
async fn orders(
    source: &mut Source,
    format: Format,
    contacts: bool,
    to: &mut dyn Write,
    writing: &mut Writing,
) -> Result<String, Failure> {
    writing.names = ["order", "orders"];
    let columns = if contacts { ContactColumns::With } else { ContactColumns::Without };
    let mut writer = OrderWriter::new(format, columns, to).map_err(not_written)?;
    let mut titles = Titles::default();
    let mut query = OrderQuery { page_size: Some(Query::PAGE_MAX), ..OrderQuery::default() };
    let (mut newest, mut lines) = (None, 0);
    loop {
        let page = source.orders(&query).await?;
        titles.read(&page.orders, source).await?;
        let mut found = if contacts { source.contacts(&page.orders).await? } else { Vec::new() }.into_iter();
        for order in &page.orders {
            writer.write(order, &titles.of(order), found.next().flatten().as_ref()).map_err(not_written)?;
            writing.written += 1;
            lines += order.lines.len() as u64;
        }
        if let Some(Seq(last)) = page.orders.last().map(|last| last.seq) {
            let newest = *newest.get_or_insert(page.orders[0].seq.0);
            writing.show(newest.saturating_sub(last), newest);
        }
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            break;
        }
    }
    writer.finish().map_err(not_written)?;
    Ok(format!("{}, {}", writing.counted(), counted(lines, "line", "lines")))
}

fn not_written(error: io::Error) -> Failure {
    Failure::Failed(match error.kind() {
        io::ErrorKind::BrokenPipe => "whoever read it has stopped".into(),
        _ => format!("it cannot be written: {error}"),
    })
}
