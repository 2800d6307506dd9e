//! How well a search answers: runs the judged queries and prints how often the first answer, one of the first three, and one of
//! the first ten is what a librarian expects.
//!
//! ```sh
//! cargo run --release -p bookstore-benches --bin judge -- loc_books_en.jsonl.gz
//! ```

mod queries;
mod speed;

use bookstore_benches::{Result, catalogue};
use bookstore_core::{
    Catalog, CatalogOptions, CatalogService as _, NewBook, Query, Seq, SystemClock,
    catalog::ADD_BOOKS_MAX,
    search::IndexedSearch,
    store::sqlite::{self, SqliteOptions},
};
use clap::Parser;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use queries::{Judged, Set};

// As the executable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the quality of a search by judged queries.
#[derive(Debug, Parser)]
struct Args {
    /// The books: .csv, .jsonl or .jsonl.gz.
    data: PathBuf,
    /// Asks the store itself instead of the index.
    #[arg(long)]
    store: bool,
    /// Measures times as well.
    #[arg(long)]
    speed: bool,
    /// Which of the queries.
    #[arg(long, value_enum, default_value_t = Set::Tune)]
    set: Set,
}

/// Of so many queries, how many had a right answer among the first 1, 3 and 10.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    queries: u32,
    right: [u32; 3],
}

const AT: [usize; 3] = [1, 3, 10];

impl Score {
    /// Counts a query whose first right answer has this rank, from 0.
    fn add(&mut self, rank: Option<usize>) {
        self.queries += 1;
        for (right, at) in self.right.iter_mut().zip(AT) {
            *right += u32::from(rank.is_some_and(|rank| rank < at));
        }
    }

    fn print(&self, name: &str) {
        let [one, three, ten] = self.right.map(|right| f64::from(right) / f64::from(self.queries.max(1)));
        println!("{name:20} {:7} {one:8.3} {three:8.3} {ten:8.3}", self.queries);
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let books = catalogue::read(&args.data)?;
    let catalog = catalog(&args, &books, folder.path()).await?;
    let judged = queries::of(args.set)?;
    judge(&catalog, &judged).await?;
    if args.speed {
        speed::print(&catalog, &judged).await?;
        if !args.store {
            speed::print_engine(&index_in(folder.path()))?;
        }
    }
    Ok(())
}

fn index_in(folder: &Path) -> PathBuf {
    folder.join("shop.db.search")
}

/// A shop with these books, and with an index unless the store itself is asked.
async fn catalog(args: &Args, books: &[NewBook], folder: &Path) -> Result<Catalog> {
    let (file, place) = (folder.join("shop.db"), index_in(folder));
    let open = || sqlite::open(&file, &SystemClock, SqliteOptions::default());
    let (store, reader) = open()?;
    let (clock, options) = (Arc::new(SystemClock), CatalogOptions::default());
    let catalog = Catalog::start(store, reader.clone(), reader, clock.clone(), options)?;
    for chunk in books.chunks(ADD_BOOKS_MAX) {
        catalog.add_books(chunk.to_vec(), None).await?;
    }
    let closed = catalog.closed();
    drop(catalog);
    closed.wait().await;
    let (store, reader) = open()?;
    let catalog = if args.store {
        Catalog::start(store, reader.clone(), reader, clock, options)?
    } else {
        let started = Instant::now();
        let search = IndexedSearch::open(Some(&place), reader.clone());
        search.catch_up(Seq(books.len() as u64)).await?;
        let built = started.elapsed();
        drop(search);
        let started = Instant::now();
        let search = IndexedSearch::open(Some(&place), reader.clone());
        let opened = started.elapsed();
        let sizes = fs::read_dir(&place)?.map(|file| Ok(file?.metadata()?.len()));
        let bytes = sizes.sum::<Result<u64>>()?;
        println!("built in {:.0} ms, {bytes} bytes, opened in {:.1} ms", speed::ms(built), speed::ms(opened));
        Catalog::start(store, reader, Arc::new(search), clock, options)?
    };
    let started = Instant::now();
    catalog.search(Query::default()).await?;
    println!("the first search after the start took {:.0} ms", speed::ms(started.elapsed()));
    Ok(catalog)
}

/// Runs the queries and prints what failed, and the scores by kind.
async fn judge(catalog: &Catalog, queries: &[Judged]) -> Result<()> {
    let (mut scores, mut all) = (BTreeMap::<&str, Score>::new(), Score::default());
    for judged in queries {
        let rank = rank(catalog, judged).await?;
        scores.entry(&judged.kind).or_default().add(rank);
        all.add(rank);
        if rank.is_none_or(|rank| rank >= AT[1]) {
            let place = rank.map_or("not among the first 10".into(), |rank| format!("place {}", rank + 1));
            println!("{}: {:?}: {place}", judged.kind, judged.query);
        }
    }
    println!("\n{:20} {:>7} {:>8} {:>8} {:>8}", "kind", "queries", "at 1", "at 3", "at 10");
    scores.iter().for_each(|(kind, score)| score.print(kind));
    all.print("all");
    Ok(())
}

/// The place of the first right answer, from 0.
async fn rank(catalog: &Catalog, judged: &Judged) -> Result<Option<usize>> {
    let query = Query { page_size: Some(10), ..Query::words(judged.query.as_str()) };
    let found = catalog.search(query).await?.books;
    let is_right = |isbn: &str| judged.right.iter().any(|right| right == isbn);
    Ok(found.iter().take(10).position(|found| found.text.isbn().is_some_and(|isbn| is_right(&isbn.digits()))))
}
