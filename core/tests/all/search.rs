//! SQLite finds what the reference model finds, in the same order where one is promised, page by page.

use bookstore_core::{
    BookId, BookText, Cents, ManualClock, NewBook, Query, Sort, Timestamp, TopicQuery, TopicSort,
    decide::{Batch, Command, State},
    page::CheckedQuery,
    search::{BookSearch, Found},
    store::{
        LedgerStore, memory,
        sqlite::{self, SqliteOptions},
    },
    writer::Execution,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::fixture::at_once;

const WORDS: [&str; 16] = [
    "log",
    "logs",
    "Ledger",
    "ledger's",
    "LEDGERS",
    "a",
    "x86-64",
    "64",
    "C++",
    "OR",
    "near",
    "zebra",
    "Ünder",
    "日本語",
    "naïve",
    "_",
];

fn phrases(most: usize) -> impl Strategy<Value = String> {
    vec((select(&WORDS[..]), select(&[" ", "  ", ", ", "-", ": \"", "/"][..])), 1..=most)
        .prop_map(|words| words.into_iter().map(|(word, gap)| format!("{word}{gap}")).collect())
}

fn books() -> impl Strategy<Value = NewBook> {
    let text =
        (phrases(4), phrases(2), select(&["Systems", "systems", "cooking", "Überall"][..]), vec(phrases(2), 0..3));
    (text, option::of(1990..1994_i32), 0..4_u64).prop_map(|((title, author, topic, subjects), year, price)| {
        let text = BookText { title, author, topic: topic.into(), isbn: None, year, subjects };
        NewBook { text, price_cents: Cents::new(price).expect("small"), stock: 1 }
    })
}

fn queries() -> impl Strategy<Value = Query> {
    // Whole words and beginnings of words. Words with diacritics are left out: a store may set them aside or not.
    let plain =
        select(&["log", "lo", "LEDGER", "ledgers", "s", "x8", "64", "c", "o", "zeb", "日", "日本語", "nothing"][..]);
    let words = vec(plain, 1..3).prop_map(|words| words.join(" "));
    let topic = select(&["systems", "SYSTEMS", "cooking", "nothing"][..]).prop_map(str::to_owned);
    let sort = select(&[Sort::Relevance, Sort::Title, Sort::Price, Sort::Newest][..]);
    (option::of(words), option::weighted(0.3, topic), sort, 1..6_u32).prop_map(|(words, topic, sort, size)| Query {
        words,
        topic,
        sort,
        page_size: Some(size),
        page_token: None,
    })
}

/// All books found, read page by page as the catalogue does.
async fn all(search: &dyn BookSearch, query: &Query) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut query = query.clone();
    loop {
        let checked: CheckedQuery = query.check().expect("a good query");
        let mut found: Vec<Found> = search.find(checked.clone(), BookId(u64::MAX)).await.expect("an answer").books;
        assert!(found.len() <= checked.size + 1);
        let more = found.len() > checked.size;
        found.truncate(checked.size);
        ids.extend(found.iter().map(|found| found.position.id.0));
        let Some(last) = found.last().filter(|_| more) else { return ids };
        query.page_token = Some(checked.token(&last.position));
    }
}

fn fill(mut store: impl LedgerStore, books: &[NewBook]) {
    let mut state: State = at_once(store.recover()).expect("a new store").state;
    let mut batch = Batch::default();
    for book in books {
        let _ = state.decide(&Command::AddBook { book: Box::new(book.clone()) }, Timestamp(0), &mut batch);
    }
    state.finish(&batch);
    at_once(store.append(&batch, &state)).expect("appended");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn sqlite_finds_what_memory_finds(books in vec(books(), 1..40), queries in vec(queries(), 30)) {
        let clock = ManualClock::default();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = SqliteOptions { execution: Execution::Task, readers: 1, ..SqliteOptions::default() };
        let (sqlite, in_file) = sqlite::open(&dir.path().join("a.db"), &clock, options).expect("a new file");
        let (memory, in_memory) = memory::open(&clock);
        fill(sqlite, &books);
        fill(memory, &books);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for query in &queries {
                let (mut file, mut memory) = (all(in_file.as_ref(), query).await, all(in_memory.as_ref(), query).await);
                if query.sort == Sort::Relevance && query.words.is_some() {
                    // Which of several good matches is better is the store's own.
                    file.sort_unstable();
                    memory.sort_unstable();
                }
                assert_eq!(file, memory, "{query:?}");
            }
            for sort in [TopicSort::Name, TopicSort::Books] {
                let mut query = TopicQuery { sort, page_size: Some(3), page_token: None };
                loop {
                    let query_now = query.check().expect("a good query");
                    let page = in_memory.topics(query_now.clone()).await;
                    assert_eq!(in_file.topics(query_now).await, page);
                    let Some(token) = page.expect("topics").next_page_token else { break };
                    query.page_token = Some(token);
                }
            }
        });
    }
}
