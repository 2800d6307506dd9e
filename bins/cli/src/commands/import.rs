//! `bookstore import`: the books of a file, into a store or a running shop.

use bookstore::{
    AccessToken, Bookstore, ConnectOptions, OpenError,
    deploy::StoreUrl,
    import::{self, Books, BrokenLine},
};
use bookstore_core::{Error, NewBook, catalog::ADD_BOOKS_MAX, store::StoreError};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::{
    io::{self, IsTerminal as _},
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
    output::{counted, grouped, print, print_json},
};
use crate::{
    cli::{ImportArgs, OnError},
    config,
};

/// The most text of one list of books, in bytes, roughly.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Broken lines that are named; more are counted.
const NAMED_MAX: u64 = 20;
/// How long a list of books is tried.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What became of the books, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Counts {
    /// Well-formed books.
    books: u64,
    /// Added now.
    listed: u64,
    /// Added before, and left as they are.
    known: u64,
    /// Broken lines.
    broken: u64,
}

/// Runs it.
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
    // No store is made for a file that cannot be read.
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

/// Reads the whole file once without listing anything.
fn check(file: &Path, counts: &mut Counts) -> Result<(), Failure> {
    let mut progress = Progress::start("Checking", file);
    for book in open(file, progress.reader())? {
        progress.tick(counts.books);
        match book {
            Ok(_) => counts.books += 1,
            Err(broken) => counts.broken(&broken, &progress),
        }
    }
    progress.clear();
    Ok(())
}

async fn import(shop: &Bookstore, args: &ImportArgs, counts: &mut Counts) -> Result<(), Failure> {
    let mut progress = Progress::start("Importing", &args.file);
    let mut chunk = Chunk::default();
    for book in open(&args.file, progress.reader())? {
        match book {
            Ok(book) => {
                counts.books += 1;
                chunk.push(book);
            }
            Err(broken) if args.on_error == OnError::Skip => counts.broken(&broken, &progress),
            Err(broken) => {
                // It was whole when it was checked.
                return Err(Failure::Failed(format!("{} changed while it was read: {broken}", args.file.display())));
            }
        }
        if chunk.is_full() {
            chunk.add_books(shop, counts).await?;
        }
        progress.tick(counts.listed + counts.known);
    }
    chunk.add_books(shop, counts).await?;
    progress.clear();
    Ok(())
}

impl Counts {
    fn broken(&mut self, broken: &BrokenLine, progress: &Progress) {
        self.broken += 1;
        match self.broken {
            ..=NAMED_MAX => progress.say(&broken.to_string()),
            n if n == NAMED_MAX + 1 => progress.say("… more broken lines follow; they are counted only"),
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

/// Books on their way.
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

/// How far the file is read: a bar on a terminal, else a line now and then.
struct Progress {
    what: &'static str,
    bar: ProgressBar,
    read: Arc<AtomicU64>,
    ticks: u64,
    said: Instant,
}

/// How often a line is written where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(5);

impl Progress {
    fn start(what: &'static str, file: &Path) -> Self {
        let size = std::fs::metadata(file).map_or(0, |meta| meta.len());
        let shown = io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(size), target);
        let style = ProgressStyle::with_template("{prefix:>9} {bar:32} {percent:>3} %  {msg} books");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(what);
        Self { what, bar, read: Arc::default(), ticks: 0, said: Instant::now() }
    }

    /// What the file's reader tells its bytes to.
    fn reader(&self) -> impl FnMut(usize) + 'static {
        let read = Arc::clone(&self.read);
        move |bytes| {
            read.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Called for every line.
    fn tick(&mut self, books: u64) {
        self.ticks += 1;
        if self.ticks.is_multiple_of(250) {
            self.bar.set_position(self.read.load(Ordering::Relaxed));
            self.bar.set_message(grouped(books));
        }
        if self.bar.is_hidden() && self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            eprintln!("{}: {} books", self.what, grouped(books));
        }
    }

    /// Writes a line without breaking the bar.
    fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
