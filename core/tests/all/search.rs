//! What a query finds, counts and sorts is what a simple model says: with and without an index, over memory and SQLite, page by page.

use bookstore_core::{
    Book, BookId, BookText, Catalog, CatalogOptions, CatalogService as _, Cents, Facet, Kind, Line, Lines, NewBook,
    OrderId, Period, Query, Seq, Sort, SystemClock,
    page::{BookPage, FacetCount, terms},
    search::{BookSearch, IndexedSearch, title_key},
    store::{
        LedgerReader, LedgerStore, memory,
        sqlite::{self, SqliteOptions},
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};
use uuid::Uuid;

/// No one of them has the stem of another one, so that searches with and without an index find the same.
const WORDS: [&str; 8] = ["zebra", "Oak", "quartz", "x86-64", "日本語", "The", "łoś", "brawn"];

fn phrases(most: usize) -> impl Strategy<Value = String> {
    vec((select(&WORDS[..]), select(&[" ", "  ", ", ", ": \"", "/"][..])), 1..=most)
        .prop_map(|words| words.into_iter().map(|(word, gap)| format!("{word}{gap}")).collect())
}

const TOPICS: [&str; 4] = ["Systems", "systems", "Überall", "überall"];
const AUTHORS: [&str; 4] = ["", "Ada Roe", "ada roe", "Zoë Ünder"];

fn books() -> impl Strategy<Value = NewBook> {
    let text = (phrases(4), select(&AUTHORS[..]), select(&TOPICS[..]), vec(phrases(2), 0..3));
    (text, option::of(1990..1994_i32), 0..4_u64, 0..3_u32).prop_map(
        |((title, author, topic, subjects), year, price, stock)| {
            let text = BookText {
                title,
                authors: vec![author.into()],
                topic: topic.into(),
                year,
                subjects,
                ..BookText::default()
            };
            NewBook { text, price_cents: Cents::new(price).expect("small"), stock }
        },
    )
}

fn queries() -> impl Strategy<Value = Query> {
    let words =
        select(&["zeb", "OAK", "quartz", "x86", "64", "日", "brawn oak", "nothing"][..]).prop_map(str::to_owned);
    let topic = select(&["systems", "SYSTEMS", "ÜBERALL", "nothing"][..]).prop_map(str::to_owned);
    let author = select(&["ADA ROE", "zoë ünder", "ada", " "][..]).prop_map(str::to_owned);
    let cents = || option::weighted(0.3, (0..4_u64).prop_map(|cents| Cents::new(cents).expect("small")));
    let year = || option::weighted(0.3, 1989..1995_i32);
    let of = (option::of(words), option::weighted(0.3, topic), option::weighted(0.3, author));
    let facets = proptest::sample::subsequence(&Facet::ALL[..], 0..=3);
    let filters = (any::<bool>(), option::weighted(0.2, select(&Period::ALL[..])));
    (of, filters, (cents(), cents(), year(), year()), facets, select(&Sort::ALL[..]), 1..6_u32).prop_map(
        |((words, topic, author), (in_stock, sold), (price_min, price_max, year_min, year_max), facets, sort, size)| {
            Query {
                words,
                topic,
                author,
                in_stock,
                price_min,
                price_max,
                year_min,
                year_max,
                sold,
                facets,
                sort,
                page_size: Some(size),
                page_token: None,
            }
        },
    )
}

/// Copies that were sold and did not come back, by book: all of them today.
type Sold = BTreeMap<BookId, i64>;

/// What the entries say was sold.
async fn sold(catalog: &Catalog) -> Sold {
    let entries = catalog.entries(Seq(0), 1000, Duration::ZERO).await.expect("entries").entries;
    let mut sold = Sold::new();
    for entry in entries.iter().filter(|entry| matches!(entry.kind, Kind::Sale | Kind::Return)) {
        entry.changes.iter().for_each(|change| *sold.entry(change.book).or_default() -= change.delta);
    }
    sold
}

/// Whether a book is found.
fn is_found(book: &Book, query: &Query, sold: &Sold) -> bool {
    let text = &book.text;
    let same = |wanted: &Option<String>, name: &str| {
        wanted.as_ref().is_none_or(|wanted| wanted.trim().is_empty() || wanted.to_lowercase() == name.to_lowercase())
    };
    let fields = [text.title(), text.author()].into_iter().chain(text.subjects());
    let words: Vec<String> = fields.flat_map(terms).collect();
    let has = |word: String| words.iter().any(|other| other.starts_with(&word));
    query.words.as_deref().is_none_or(|wanted| terms(wanted).into_iter().all(has))
        && same(&query.topic, text.topic())
        && same(&query.author, text.author())
        && (!query.in_stock || book.stock > 0)
        && query.price_min.is_none_or(|min| book.price_cents >= min)
        && query.price_max.is_none_or(|max| book.price_cents <= max)
        && query.year_min.is_none_or(|min| text.year().is_some_and(|year| year >= min))
        && query.year_max.is_none_or(|max| text.year().is_some_and(|year| year <= max))
        && (query.sold.is_none() || sold.get(&book.id).is_some_and(|copies| *copies > 0))
}

/// What sorts a book before others, as far as a model can say it.
fn key(book: &Book, sort: Sort, sold: &Sold) -> (i64, String, i64) {
    let (price, id) = (i64::try_from(book.price_cents.get()).expect("small"), i64::try_from(book.id.0).expect("small"));
    let year = |sign: i64| book.text.year().map_or(i64::MAX, |year| sign * i64::from(year));
    match sort {
        Sort::Relevance => (0, String::new(), id),
        Sort::Title => (0, title_key(book.text.title()), id),
        Sort::Price => (price, String::new(), id),
        Sort::PriceDesc => (-price, String::new(), id),
        Sort::Newest => (year(-1), String::new(), id),
        Sort::Oldest => (year(1), String::new(), id),
        Sort::NewlyListed => (0, String::new(), -id),
        Sort::BestSelling => (-sold.get(&book.id).copied().unwrap_or_default(), String::new(), id),
    }
}

/// The values that these books have, most books first, spelled as in the first book of the shop that has them.
fn counts(shop: &[Book], found: &[&Book], value: impl Fn(&Book) -> Option<String>) -> Vec<FacetCount> {
    let mut counts = BTreeMap::<String, u64>::new();
    for book in found {
        let Some(own) = value(book) else { continue };
        let same = |other: &Book| value(other).filter(|other| other.to_lowercase() == own.to_lowercase());
        *counts.entry(shop.iter().find_map(same).expect("it is in the shop")).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(value, books)| FacetCount { value, books }).collect();
    counts.sort_by_key(|count| (Reverse(count.books), count.value.clone()));
    counts
}

/// A shop with these books, some of which are sold, sold out, or have another price by now.
async fn shop(
    store: impl LedgerStore,
    reader: Arc<dyn LedgerReader>,
    search: Arc<dyn BookSearch>,
    books: &[NewBook],
) -> Catalog {
    let catalog =
        Catalog::start(store, reader, search, Arc::new(SystemClock), CatalogOptions::default()).expect("a store");
    let (first, second) = books.split_at(books.len() / 2);
    for books in [first, second] {
        let added = catalog.add_books(books.to_vec(), None).await.expect("good books");
        for added in added.iter().filter(|added| added.id.0 % 3 == 0) {
            let lines = Lines::new([Line::new(added.id, 1)]).expect("a line");
            let (first, second) = (OrderId(Uuid::now_v7()), OrderId(Uuid::now_v7()));
            let _ = catalog.sell(first, lines.clone()).await;
            let _ = catalog.sell(second, lines).await;
            if added.id.0 % 2 == 0 {
                let _ = catalog.release(first).await;
            }
            let price = bookstore_core::Amend::Set { price_cents: Cents::new(3).ok(), stock: None, version: None };
            let _ = catalog.amend(added.id, price, None, None).await;
        }
        catalog.search(Query::words("oak")).await.expect("an answer");
    }
    catalog
}

/// Every page of a query, which all say the same of all books.
async fn all(catalog: &Catalog, query: &Query) -> (Vec<Book>, BookPage) {
    let (mut books, mut query) = (Vec::new(), query.clone());
    loop {
        let mut page = catalog.search(query.clone()).await.expect("a good query");
        books.append(&mut page.books);
        match page.next_page_token.take() {
            Some(token) => query.page_token = Some(token),
            None => return (books, page),
        }
    }
}

async fn assert_as_the_model(name: &str, catalog: &Catalog, query: &Query) {
    let (shop, _) = all(catalog, &Query { page_size: Some(100), ..Query::default() }).await;
    let sold = sold(catalog).await;
    let mut expected: Vec<&Book> = shop.iter().filter(|book| is_found(book, query, &sold)).collect();
    let (mut found, page) = all(catalog, query).await;
    if query.words.is_some() && query.sort == Sort::Relevance {
        // Which of several good matches is better is the search's own.
        found.sort_by_key(|book| book.id);
    }
    expected.sort_by_key(|book| key(book, query.sort, &sold));
    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{name}: {query:?}");
    assert_eq!(page.total, expected.len() as u64, "{name}: {query:?}");
    let facets = page.facets.unwrap_or_default();
    for (facet, counted) in [(Facet::Topic, facets.topic), (Facet::Author, facets.author), (Facet::Year, facets.year)] {
        let value = |book: &Book| match facet {
            Facet::Topic => Some(book.text.topic().to_owned()),
            Facet::Author => Some(book.text.author().to_owned()).filter(|author| !author.is_empty()),
            Facet::Year => book.text.year().map(|year| year.to_string()),
        };
        let asked = query.facets.contains(&facet).then(|| counts(&shop, &expected, value));
        assert_eq!(counted, asked, "{name}: {query:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_search_finds_what_the_model_finds(books in vec(books(), 1..40), queries in vec(queries(), 40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let dir = tempfile::tempdir().expect("a temporary directory");
        runtime.block_on(async {
            let (store, reader) = sqlite::open(&dir.path().join("a.db"), &SystemClock, SqliteOptions::default()).expect("a new file");
            let in_file = shop(store, reader.clone(), reader, &books).await;
            let (store, reader) = memory::open(&SystemClock);
            let in_memory = shop(store, reader.clone(), reader, &books).await;
            let (store, reader) = memory::open(&SystemClock);
            let index = Arc::new(IndexedSearch::open(None, reader.clone()));
            let indexed = shop(store, reader, index, &books).await;
            for query in &queries {
                for (name, shop) in [("sqlite", &in_file), ("memory", &in_memory), ("index", &indexed)] {
                    assert_as_the_model(name, shop, query).await;
                }
            }
        });
    }
}
