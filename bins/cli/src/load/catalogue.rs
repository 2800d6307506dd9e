//! The books and topics that clients choose from, read before the start.

use bookstore_core::{BookId, BookPage, Clock as _, NewBook, SystemClock, book::BookText, page};
use hyper::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rand::{Rng, RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use std::fmt::Display;

use super::{
    Load, LoadError, Mix, Prize,
    client::{Ask, Client, Effect},
    stop::Ending,
};

/// The most books of one run: the first ones of the catalogue.
pub const BOOKS_MAX: usize = 1000;
/// Books a page while they are read.
const PAGE: usize = 100;

/// The requests that clients choose from, built once.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) topics: Ask,
    pub(super) by_topic: Vec<Ask>,
    pub(super) by_words: Vec<Ask>,
    pub(super) books: Vec<CatalogueBook>,
    /// Running sums of the books' popularity; the last one is 1.
    popularity: Vec<f64>,
}

/// One book.
#[derive(Debug)]
pub(super) struct CatalogueBook {
    pub(super) id: BookId,
    /// Copies before the start.
    pub(super) stock: i64,
    pub(super) info: Ask,
    pub(super) purchase: Ask,
    pub(super) restock: Ask,
}

/// A topic of `GET /topics`.
#[derive(Deserialize)]
struct Topic {
    topic: String,
}

#[derive(Deserialize)]
struct Topics {
    topics: Vec<Topic>,
}

/// The part of a book that a run needs. The stock is signed, so that a negative one can be reported.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct ShownBook {
    pub(super) id: BookId,
    pub(super) stock: i64,
    pub(super) version: u64,
    pub(super) price_cents: u64,
}

#[derive(Deserialize)]
struct Added {
    listed: Vec<bookstore_core::Added>,
}

/// Copies that a restock adds.
const RESTOCK: i64 = 21;

impl Catalogue {
    /// Reads what the mix needs; with the admin token, adds the book of a race and restocks.
    pub(super) async fn prepare(load: &Load, client: &mut Client, ending: &Ending) -> Result<Self, LoadError> {
        let mut preparation = Preparation { load, client, ending };
        let topics = Ask::get(path("/topics")?);
        let mut catalogue = match load.mix {
            Mix::Race(prize) => {
                let book = preparation.prize(prize).await?;
                Self { topics, by_topic: Vec::new(), by_words: Vec::new(), books: vec![book], popularity: Vec::new() }
            }
            _ => preparation.catalogue(topics).await?,
        };
        if let Some(copies) = load.stock {
            preparation.restock(&mut catalogue.books, i64::from(copies)).await?;
        }
        // Which books are popular depends on the seed, not on the order in which they were listed.
        catalogue.books.shuffle(&mut StdRng::seed_from_u64(load.seed));
        catalogue.popularity = zipf(catalogue.books.len(), load.skew);
        Ok(catalogue)
    }

    /// Draws a book, popular ones more often.
    pub(super) fn pick(&self, rng: &mut impl Rng) -> usize {
        let drawn: f64 = rng.random();
        self.popularity.partition_point(|sum| *sum <= drawn).min(self.books.len() - 1)
    }
}

/// Running sums of Zipf's law: the book of rank r is picked in proportion to 1 / r^skew.
fn zipf(books: usize, skew: f64) -> Vec<f64> {
    let weights = (1..=u32::try_from(books).unwrap_or(u32::MAX)).map(|rank| f64::from(rank).powf(-skew));
    let mut sum = 0.0;
    let sums: Vec<f64> = weights
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    sums.into_iter().map(|part| part / sum).collect()
}

struct Preparation<'a> {
    load: &'a Load,
    client: &'a mut Client,
    ending: &'a Ending,
}

impl Preparation<'_> {
    async fn ask<T: DeserializeOwned>(&mut self, ask: &Ask, what: &str) -> Result<T, LoadError> {
        let called = self.client.call(ask, self.load.limits.timeout, self.ending).await;
        let answer = called.result.map_err(|failure| match failure.effect {
            _ if self.ending.is_asked() => LoadError::Stopped,
            Effect::Refused => LoadError::Refused { what: what.into(), error: failure.error },
            _ => LoadError::NoAnswer { what: what.into(), error: failure.error },
        })?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| LoadError::NotAShop { what: what.into(), why: error.to_string() })
    }

    async fn catalogue(&mut self, topics: Ask) -> Result<Catalogue, LoadError> {
        let Topics { topics: found } = self.ask(&topics, "read the topics").await?;
        let by_topic = found
            .iter()
            .take(BOOKS_MAX)
            .map(|topic| Ok(Ask::get(path(&format!("/search/{}", encoded(&topic.topic)))?)));
        let by_topic = by_topic.collect::<Result<_, LoadError>>()?;
        let (mut books, mut by_words) = (Vec::new(), Vec::new());
        for page in self.pages().await? {
            for book in page.books {
                by_words.extend(by_word(book.text.title())?);
                books.push(CatalogueBook::new(book.id, i64::from(book.stock))?);
            }
        }
        books.truncate(BOOKS_MAX);
        if books.is_empty() {
            return Err(LoadError::NoBooks);
        }
        Ok(Catalogue { topics, by_topic, by_words, books, popularity: Vec::new() })
    }

    async fn pages(&mut self) -> Result<Vec<BookPage>, LoadError> {
        let mut pages: Vec<BookPage> = Vec::new();
        let mut ask = format!("/search?page_size={PAGE}");
        loop {
            let page: BookPage = self.ask(&Ask::get(path(&ask)?), "read the books").await?;
            let next = page.next_page_token.clone().filter(|_| !page.books.is_empty());
            pages.push(page);
            match next {
                Some(token) if pages.len() < BOOKS_MAX.div_ceil(PAGE) => {
                    ask = format!("/search?page_size={PAGE}&page_token={}", encoded(&token));
                }
                _ => return Ok(pages),
            }
        }
    }

    async fn prize(&mut self, prize: Prize) -> Result<CatalogueBook, LoadError> {
        let id = match prize {
            Prize::Book(id) => id,
            Prize::Copies(copies) => self.add_book(copies).await?,
        };
        let shown: ShownBook = self.ask(&Ask::get(path(&format!("/info/{id}"))?), "read the book of the race").await?;
        CatalogueBook::new(id, shown.stock)
    }

    /// Adds a new book for this race.
    async fn add_book(&mut self, copies: u32) -> Result<BookId, LoadError> {
        let title = format!("A race for {copies} copies, {}", SystemClock.new_id());
        let text = BookText { title, topic: "load tests".into(), ..BookText::default() };
        let price_cents = bookstore_core::Cents::new(1000).map_err(|error| LoadError::Invalid(error.to_string()))?;
        let book = NewBook { text, price_cents, stock: copies };
        let ask = Ask::send(Method::POST, path("/books")?, json!(book).to_string().into()).admin();
        let Added { listed } = self.ask(&ask, "list a book for the race").await?;
        let one = listed.first().ok_or_else(|| LoadError::NotAShop {
            what: "list a book for the race".into(),
            why: "the answer names no book".into(),
        })?;
        Ok(one.id)
    }

    /// Adds copies until every book has at least this many.
    async fn restock(&mut self, books: &mut [CatalogueBook], copies: i64) -> Result<(), LoadError> {
        for book in books.iter_mut().filter(|book| book.stock < copies) {
            let body = json!({ "stock_delta": copies - book.stock }).to_string();
            let path = path(&format!("/books/{}", book.id))?;
            let ask = Ask::send(Method::PATCH, path, body.into()).admin().once(SystemClock.new_order_id());
            let shown: ShownBook = self.ask(&ask, "add copies").await?;
            book.stock = shown.stock;
        }
        Ok(())
    }
}

impl CatalogueBook {
    fn new(id: BookId, stock: i64) -> Result<Self, LoadError> {
        let one = json!({ "quantity": 1 }).to_string();
        let more = json!({ "stock_delta": RESTOCK }).to_string();
        Ok(Self {
            id,
            stock,
            info: Ask::get(path(&format!("/info/{id}"))?),
            purchase: Ask::send(Method::POST, path(&format!("/purchase/{id}"))?, one.into()),
            restock: Ask::send(Method::PATCH, path(&format!("/books/{id}"))?, more.into()).admin(),
        })
    }
}

/// A search for the longest word of a title.
fn by_word(title: &str) -> Result<Option<Ask>, LoadError> {
    let word = page::terms(title).into_iter().max_by_key(|word| word.chars().count());
    word.map(|word| Ok(Ask::get(path(&format!("/search?q={}", encoded(&word)))?))).transpose()
}

/// A path with its query.
pub(super) fn path(text: &str) -> Result<Uri, LoadError> {
    text.parse().map_err(|error| LoadError::Invalid(format!("{text:?} cannot be sent as a path: {error}")))
}

/// Characters that a path or a query has as they are (RFC 3986).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encoded(text: &str) -> impl Display {
    utf8_percent_encode(text, UNRESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn popularity_follows_zipf() {
        let sums = zipf(3, 1.0);
        // 1 : 1/2 : 1/3
        for (sum, expected) in sums.iter().zip([6.0 / 11.0, 9.0 / 11.0, 1.0]) {
            assert!((sum - expected).abs() < 1e-12, "{sums:?}");
        }
        let even = zipf(4, 0.0);
        assert!((even[0] - 0.25).abs() < 1e-12 && (even[2] - 0.75).abs() < 1e-12);
    }

    #[test]
    fn text_is_encoded() {
        assert_eq!(encoded("a b/ü&c").to_string(), "a%20b%2F%C3%BC%26c");
        assert!(path(&format!("/search/{}", encoded("ünïcode? #1"))).is_ok());
    }
}
