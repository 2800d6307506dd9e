//! Takes the lines of a file into a shop, in calls of many books.

use bookstore::{Bookstore, import::Line};
use bookstore_core::{
    Book, BookId, BookText, Condition, Currency, Entry, Error, Text, audit::read_ledger, catalog::ADD_BOOKS_MAX,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::{
    collections::{HashMap, hash_map, hash_map::RandomState},
    hash::BuildHasher as _,
};

use super::{compare::Difference, counts::Counts};
use crate::{
    cli::ImportArgs,
    commands::{Failure, progress::Progress},
};

/// The most text of the books of one call, in bytes, roughly.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Books that are read, or taken off sale, at once.
const AT_ONCE: usize = 16;

/// An import on its way.
pub(super) struct Importer<'a> {
    /// `None` in a dry run into a store that is not there yet.
    shop: Option<&'a Bookstore>,
    update: bool,
    /// Prices are taken that are likely to be slips.
    yes: bool,
    currency: Currency,
    /// In a dry run, the books of the shop.
    dry_run: Option<HashMap<u128, BookId>>,
    identities: Identities,
    /// The first line of each book: about 40 bytes a line.
    first_lines: HashMap<u128, u64>,
    waiting: Vec<Line>,
    bytes: usize,
}

impl<'a> Importer<'a> {
    pub(super) async fn new(
        shop: Option<&'a Bookstore>,
        args: &ImportArgs,
        currency: Currency,
    ) -> Result<Self, Failure> {
        let (identities, update, yes) = (Identities::default(), args.update, args.yes);
        let dry_run = if args.dry_run { Some(books_of(shop, &identities).await?) } else { None };
        let first_lines = HashMap::new();
        Ok(Self { shop, update, yes, currency, dry_run, identities, first_lines, waiting: Vec::new(), bytes: 0 })
    }

    /// Takes a line in, at the latest when the import is finished.
    pub(super) async fn take(&mut self, line: Line, counts: &mut Counts, progress: &Progress) -> Result<(), Failure> {
        match self.first_lines.entry(self.identities.of(&line.book.text)) {
            hash_map::Entry::Occupied(first) => {
                let why = format!("{} is in line {}, too; that one counts", named(&line.book.text), first.get());
                counts.conflicting(line.number, &why, progress);
                return Ok(());
            }
            hash_map::Entry::Vacant(free) => free.insert(line.number),
        };
        if line.book.price_cents.is_unlikely(None) && !self.yes && !line.exact {
            let why = format!("{} has a price of 0, and is left out; --yes takes it", named(&line.book.text));
            counts.conflicting(line.number, &why, progress);
            return Ok(());
        }
        self.bytes += Text::from(&line.book.text).size() + 128;
        self.waiting.push(line);
        if self.waiting.len() == ADD_BOOKS_MAX || self.bytes >= CHUNK_BYTES_MAX {
            self.finish(counts, progress).await?;
        }
        Ok(())
    }

    /// Takes in what waits.
    pub(super) async fn finish(&mut self, counts: &mut Counts, progress: &Progress) -> Result<(), Failure> {
        self.bytes = 0;
        let lines = std::mem::take(&mut self.waiting);
        if lines.is_empty() {
            return Ok(());
        }
        let ids = self.add(&lines).await?;
        counts.added += ids.iter().filter(|id| id.is_none()).count() as u64;
        let Some(shop) = self.shop else { return Ok(()) };
        let known = lines.into_iter().zip(ids).filter_map(|(line, id)| Some((line, id?)));
        let read = stream::iter(known).map(async |(line, id)| shop.info(id).await.map(|book| (line, book)));
        let mut read = read.buffered(AT_ONCE);
        while let Some((line, book)) = read.try_next().await.map_err(cut_off)? {
            self.compare(shop, &line, book, counts, progress).await?;
        }
        Ok(())
    }

    /// Adds the books that are new, and takes those off sale that the file has so. The others' numbers are the answer, `None` for each
    /// new one.
    async fn add(&self, lines: &[Line]) -> Result<Vec<Option<BookId>>, Failure> {
        if let Some(known) = &self.dry_run {
            return Ok(lines.iter().map(|line| known.get(&self.identities.of(&line.book.text)).copied()).collect());
        }
        let shop = self.shop.expect("only a dry run has none");
        let books = lines.iter().map(|line| line.book.clone()).collect();
        let added = shop.add_books(books).await.map_err(cut_off)?;
        let off_sale = added.iter().zip(lines).filter(|(added, line)| added.created && line.on_sale == Some(false));
        let off_sale: Vec<BookId> = off_sale.map(|(added, _)| added.id).collect();
        let withdrawn = stream::iter(off_sale).map(|id| shop.withdraw(id)).buffered(AT_ONCE);
        withdrawn.try_for_each(async |_| Ok(())).await.map_err(cut_off)?;
        Ok(added.into_iter().map(|added| Some(added.id).filter(|_| !added.created)).collect())
    }

    /// A line whose book is in the catalog.
    async fn compare(
        &self,
        shop: &Bookstore,
        line: &Line,
        book: Book,
        counts: &mut Counts,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let difference = Difference::between(line, &book);
        if difference.is_none() {
            counts.unchanged += 1;
            return Ok(());
        }
        if !self.update {
            let words = difference.in_words(self.currency);
            let why = format!("book {} is kept as it is: {words}; --update takes it over", book.id);
            counts.conflicting(line.number, &why, progress);
            return Ok(());
        }
        if difference.has_unlikely_price() && !self.yes {
            let words = difference.in_words(self.currency);
            let why = format!(
                "book {} is kept as it is: {words}, a price that changes by more than a factor of 5; --update --yes takes it over",
                book.id
            );
            counts.conflicting(line.number, &why, progress);
            return Ok(());
        }
        // The others move the version that guards price and stock.
        for change in [difference.amend(&book), difference.revise(line, &book), difference.sale()].into_iter().flatten()
        {
            if self.dry_run.is_some() {
                continue;
            }
            if let Some(why) = refusal(shop.amend(book.id, change, shop.new_order_id()).await)? {
                let why = format!("book {} {why}: {}", book.id, difference.in_words(self.currency));
                counts.conflicting(line.number, &why, progress);
                return Ok(());
            }
        }
        counts.updated += 1;
        Ok(())
    }
}

/// Why a book was not changed, if that is no reason to end the import.
fn refusal(amended: Result<Book, Error>) -> Result<Option<String>, Failure> {
    match amended {
        Ok(_) => Ok(None),
        Err(Error::VersionMismatch { .. } | Error::TextVersionMismatch { .. }) => {
            Ok(Some("was changed meanwhile, and kept as it is".into()))
        }
        Err(Error::BookExists { book }) => {
            Ok(Some(format!("keeps its text, with which book {book} would be the same")))
        }
        Err(error) => Err(cut_off(error)),
    }
}

/// The book in words.
fn named(text: &BookText) -> String {
    match text.isbn {
        _ if !text.sku.is_empty() => format!("article number {:?}", text.sku),
        Some(isbn) if text.condition == Condition::New => format!("ISBN {isbn}"),
        Some(isbn) => format!("ISBN {isbn}, {},", text.condition),
        None => format!("{:?} of this author, year and condition", text.title),
    }
}

/// All books of a shop, by all that they are or were called. Lists lack those that are off sale, so the ledger is read.
async fn books_of(shop: Option<&Bookstore>, identities: &Identities) -> Result<HashMap<u128, BookId>, Failure> {
    let mut books = HashMap::new();
    let Some(shop) = shop else { return Ok(books) };
    let take = |entry: Entry| {
        books.extend(entry.book_text().map(|(book, text)| (identities.of(&BookText::from(text)), book)));
    };
    read_ledger(shop.catalog().as_ref(), take).await?;
    Ok(books)
}

/// Hashes of books' identities: the same for the same book, and for no other as far as chance goes (128 bits).
#[derive(Default)]
struct Identities([RandomState; 2]);

impl Identities {
    fn of(&self, text: &BookText) -> u128 {
        let identity = text.identity();
        let [high, low] = self.0.each_ref().map(|state| u128::from(state.hash_one(&identity)));
        high << 64 | low
    }
}

fn cut_off(error: Error) -> Failure {
    let again = "The import was cut off. Run it again: what is added already is not added twice.";
    Failure::Answer { error, hint: Some(again.into()) }
}
