//! `bookstore import`: adds the books of a file to a store or a running shop.

use bookstore::{
    AccessToken, Bookstore, ConnectOptions, OpenError, StoreUrl,
    import::{self, Books, BrokenLine},
};
use bookstore_cli::load::{counted, grouped};
use bookstore_core::{Error, NewBook, catalog::ADD_BOOKS_MAX, store::StoreError};
use serde::Serialize;
use std::{
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Failure, REFUSED,
    output::{print, print_json},
    progress::Progress,
};
use crate::{
    cli::{ImportArgs, OnError},
    config,
};

/// The most text of the books of one call, in bytes, roughly.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Broken lines that are printed; more are counted.
const NAMED_MAX: u64 = 20;
/// How long one call is tried.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The result, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Counts {
    /// Well-formed books.
    books: u64,
    /// Added now.
    listed: u64,
    /// In the catalog before, and left as they are.
    known: u64,
    /// Broken lines.
    broken: u64,
}

/// Runs the command.
pub(super) async fn run(args: ImportArgs) -> Result<ExitCode, Failure> {
    let target = target(&args)?;
    let mut counts = Counts::default();
    if args.on_error == OnError::Stop {
        check(&args.file, &mut counts)?;
        if counts.broken > 0 {
            let hint = "nothing was imported; mend the file, or leave broken lines out with --on-error skip";
            let broken = counted(counts.broken, "line is", "lines are");
            end(&args, &counts, "");
            return Err(Failure::Failed(format!("{broken} broken in {}: {hint}", args.file.display())));
        }
        counts = Counts::default();
    }
    // Checked before a store is created.
    open(&args.file, |_| ())?;
    let shop = target.open().await?.with_timeout(TIMEOUT);
    let started = Instant::now();
    let done = import(&shop, &args, &mut counts).await;
    let seconds = started.elapsed().as_secs_f64();
    shop.close().await;
    end(&args, &counts, &format!(" in {seconds:.1} s"));
    done?;
    Ok(if counts.broken > 0 { REFUSED } else { ExitCode::SUCCESS })
}

/// Where the books go.
enum Target {
    Store(StoreUrl),
    Shop { servers: String, token: AccessToken },
}

fn target(args: &ImportArgs) -> Result<Target, Failure> {
    match (&args.store, args.server.as_slice()) {
        (Some(_), [_, ..]) => {
            let both = "give --store for a file of your own or --server for a running shop, not both (they may also come from \
                        BOOKSTORE_STORE and BOOKSTORE_SERVER)";
            Err(Failure::Usage(both.into()))
        }
        (None, servers @ [_, ..]) => {
            let servers = config::servers("--server", servers)?;
            let token = config::admin_token_for(args.admin_token_file.as_deref(), &servers, args.insecure)?;
            Ok(Target::Shop { servers: servers.join(","), token })
        }
        (store, []) => {
            let store = config::store("--store", store.as_deref().unwrap_or("sqlite:bookstore.db"))?;
            Ok(Target::Store(store))
        }
    }
}

impl Target {
    async fn open(self) -> Result<Bookstore, Failure> {
        match self {
            Self::Shop { servers, token } => {
                let options = ConnectOptions { admin_token: Some(token), timeout: TIMEOUT };
                Ok(Bookstore::connect_with(&servers, options)?)
            }
            Self::Store(store) => Bookstore::open(&store.to_string()).await.map_err(|error| match error {
                OpenError::Store(error @ StoreError::InUse(_)) => Failure::Failed(format!(
                    "{error}\nto import into a running shop: --server URL --admin-token-file FILE"
                )),
                other => other.into(),
            }),
        }
    }
}

fn open(file: &Path, read: impl FnMut(usize) + 'static) -> Result<Books<'static>, Failure> {
    import::open(file, read).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// Reads the whole file once without adding anything.
fn check(file: &Path, counts: &mut Counts) -> Result<(), Failure> {
    let mut reading = Reading::start("Checking:", file);
    for book in open(file, reading.counter())? {
        reading.line(counts.books);
        match book {
            Ok(_) => counts.books += 1,
            Err(broken) => counts.broken(&broken, &reading.progress),
        }
    }
    Ok(())
}

async fn import(shop: &Bookstore, args: &ImportArgs, counts: &mut Counts) -> Result<(), Failure> {
    let mut reading = Reading::start("Importing:", &args.file);
    let mut chunk = Chunk::default();
    for book in open(&args.file, reading.counter())? {
        match book {
            Ok(book) => {
                counts.books += 1;
                chunk.push(book);
            }
            Err(broken) if args.on_error == OnError::Skip => counts.broken(&broken, &reading.progress),
            Err(broken) => {
                // No line was broken when it was checked.
                return Err(Failure::Failed(format!("{} changed while it was read: {broken}", args.file.display())));
            }
        }
        if chunk.is_full() {
            chunk.add_books(shop, counts).await?;
        }
        reading.line(counts.listed + counts.known);
    }
    chunk.add_books(shop, counts).await
}

impl Counts {
    fn broken(&mut self, broken: &BrokenLine, progress: &Progress) {
        self.broken += 1;
        match self.broken {
            ..=NAMED_MAX => progress.print(&broken.to_string()),
            n if n == NAMED_MAX + 1 => progress.print("… more broken lines follow; they are counted only"),
            _ => {}
        }
    }
}

fn end(args: &ImportArgs, counts: &Counts, time: &str) {
    if args.json {
        print_json(counts);
        return;
    }
    let Counts { listed, known, broken, .. } = counts;
    if listed + known == 0 && time.is_empty() {
        return;
    }
    let mut text = format!("{} listed{time}", counted(*listed, "book", "books"));
    if *known > 0 {
        text.push_str(&format!(", {} listed before and left as they are", grouped(*known)));
    }
    if *broken > 0 {
        text.push_str(&format!(", {} left out", counted(*broken, "broken line", "broken lines")));
    }
    print(&format!("{text}."));
}

/// Books of the next call.
#[derive(Default)]
struct Chunk {
    books: Vec<NewBook>,
    bytes: usize,
}

impl Chunk {
    fn push(&mut self, book: NewBook) {
        let text = &book.text;
        let subjects: usize = text.subjects.iter().map(String::len).sum();
        self.bytes += text.title.len() + text.author.len() + text.topic.len() + subjects + 128;
        self.books.push(book);
    }

    fn is_full(&self) -> bool {
        self.books.len() == ADD_BOOKS_MAX || self.bytes >= CHUNK_BYTES_MAX
    }

    async fn add_books(&mut self, shop: &Bookstore, counts: &mut Counts) -> Result<(), Failure> {
        self.bytes = 0;
        let books = std::mem::take(&mut self.books);
        if books.is_empty() {
            return Ok(());
        }
        let listed = shop.add_books(books).await.map_err(cut_off)?;
        let new = listed.iter().filter(|listed| listed.created).count() as u64;
        counts.listed += new;
        counts.known += listed.len() as u64 - new;
        Ok(())
    }
}

fn cut_off(error: Error) -> Failure {
    let again = "The import was cut off. Run it again: what is listed already is left as it is.";
    Failure::Answer { error, hint: Some(again.into()) }
}

/// How far the file is read.
struct Reading {
    label: &'static str,
    progress: Progress,
    size: u64,
    read: Arc<AtomicU64>,
    lines: u64,
}

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Reading {
    fn start(label: &'static str, file: &Path) -> Self {
        let size = std::fs::metadata(file).map_or(0, |meta| meta.len());
        Self { label, progress: Progress::start(LINE_EVERY), size, read: Arc::default(), lines: 0 }
    }

    /// For the file's reader, which calls it with the bytes of every read.
    fn counter(&self) -> impl FnMut(usize) + 'static {
        let read = Arc::clone(&self.read);
        move |bytes| {
            read.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Called for every line.
    fn line(&mut self, books: u64) {
        self.lines += 1;
        if self.lines.is_multiple_of(250) {
            let message = counted(books, "book", "books");
            self.progress.update(self.read.load(Ordering::Relaxed), self.size, self.label, &message);
        }
    }
}
