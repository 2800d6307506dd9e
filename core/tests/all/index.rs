//! The search index: what it understands, how it says that it cannot be used, and that it finds the books that a simple model finds.

use bookstore_core::{
    BookId, BookText, LedgerIdentity, Query, Seq, Text, Timeline,
    history::Hash,
    page::terms,
    search::index::{BookIndex, IndexChange, Unusable},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::{fs, path::Path};
use uuid::Uuid;

fn ledger(n: u128) -> LedgerIdentity {
    LedgerIdentity::new(Uuid::from_u128(n), Uuid::from_u128(n + 1000))
}

/// A text, from title, author and subjects.
fn text(title: &str, author: &str, subjects: &[&str]) -> Text {
    let subjects = subjects.iter().map(|&subject| subject.to_owned()).collect();
    Text::from(BookText {
        title: title.into(),
        authors: vec![author.into()],
        topic: "Fine Arts".into(),
        subjects,
        ..BookText::default()
    })
}

/// Changes that add these texts as books 1, 2, …
fn added(texts: impl IntoIterator<Item = Text>) -> Vec<IndexChange> {
    (1..).zip(texts).map(|(id, text)| IndexChange::Add(BookId(id), text)).collect()
}

fn index(texts: impl IntoIterator<Item = Text>) -> BookIndex {
    let index = BookIndex::in_memory(ledger(1)).expect("memory");
    index.apply(added(texts), Seq(1), Hash::EMPTY).expect("good texts");
    index
}

/// The numbers of the books found, in order.
fn found(index: &BookIndex, words: &str) -> Vec<u64> {
    let query = Query::words(words).check().expect("a good query");
    let mut books = index.matches(&query).expect("an answer").books;
    books.sort_by(|a, b| a.rank.total_cmp(&b.rank).then(a.book.cmp(&b.book)));
    books.into_iter().map(|found| found.book.0).collect()
}

fn assert_found(index: &BookIndex, expected: &[(&str, &[u64])]) {
    for (words, books) in expected {
        assert_eq!(found(index, words), *books, "{words:?}");
    }
}

#[test]
fn words_are_found_in_every_spelling() {
    let index = index([
        text("Memoir : my life and e-mail", "O'Brien, Conor Cruise", &["Diplomats"]),
        text("The masterpiece : Jørn Utzon", "Kołakowski, Leszek", &["Architects"]),
        text("Core C++", "Shtern, Victor", &["C++ (Computer program language)"]),
        text("C# and ASP.NET unleashed", "Mayo, Joseph", &[]),
        text("日本語の本", "村上春樹", &[]),
        text("ספר הזוהר", "", &[]),
        text("Mining silver mines", "", &["Silver mines and mining"]),
    ]);
    assert_found(
        &index,
        &[
            ("obrien", &[1]),
            ("o'brien", &[1]),
            ("O’Brien", &[1]),
            ("email", &[1]),
            ("e-mail", &[1]),
            ("jorn", &[2]),
            ("Jo\u{308}rn", &[2]),
            ("kolakowski", &[2]),
            ("KOŁAKOWSKI", &[2]),
            ("c++", &[3]),
            ("c#", &[4]),
            (".net", &[4]),
            ("asp.net", &[4]),
            ("日本", &[5]),
            ("本語の", &[5]),
            ("本", &[5]),
            ("春", &[5]),
            ("日の", &[]),
            ("הזוהר", &[6]),
            ("mine silver", &[7]),
            ("mined", &[7]),
        ],
    );
}

#[test]
fn an_exact_word_comes_before_its_stem_and_its_beginning() {
    let index = index([
        text("Mining", "", &[]),
        text("Mines", "", &[]),
        text("Mineral", "", &[]),
        text("Logs", "Nobody", &[]),
        text("Log", "Nobody", &[]),
        text("Logistics", "Nobody", &[]),
    ]);
    assert_found(&index, &[("mines", &[2, 1]), ("log", &[5, 4, 6]), ("logs", &[4, 5]), ("mine", &[2, 3, 1])]);
}

#[test]
fn beginnings_and_typos_are_for_those_who_found_nothing() {
    let index = index([
        text("Frankenstein", "Shelley, Mary", &[]),
        text("Harry Potter and the goblet of fire", "Rowling, J. K", &[]),
        text("Pottery and fire", "Rowlins, A", &[]),
    ]);
    assert_found(
        &index,
        &[
            ("potter fire", &[2]),
            ("pott fire", &[3, 2]),
            ("frankenstien", &[1]),
            ("hary poter", &[2]),
            ("har poter", &[2]),
            ("potter and or fire", &[2, 3]),
            ("frnkenstin", &[1]),
            ("frnkstn", &[]),
        ],
    );
    let proposal =
        |words: &str| index.matches(&Query::words(words).check().expect("good")).expect("an answer").did_you_mean;
    assert_eq!(proposal("Frankenstien shelly").as_deref(), Some("frankenstein shelley"));
    assert_eq!(proposal("frankenstein"), None);
    assert_eq!(proposal("nothing"), None);
}

#[test]
fn phrases_and_fields_narrow_a_search() {
    let texts = [
        text("The green mile", "King, Stephen", &["Prisons"]),
        text("The mile of green", "Green, Kim", &["Green houses", "mile posts"]),
    ];
    let mut isbn = BookText::from(&texts[0]);
    isbn.isbn = "0439139597".parse().ok();
    isbn.topic = "Übersee".into();
    let index = index([Text::from(isbn), texts[1].clone()]);
    assert_found(
        &index,
        &[
            ("\"green mile\"", &[1]),
            ("\"houses mile\"", &[]),
            ("author:green mile", &[2]),
            ("author:\"stephen king\"", &[1]),
            ("author:mile", &[]),
            ("topic:\"fine arts\" mile", &[2]),
            ("topic:ÜBERSEE", &[1]),
            ("9780439139595", &[1]),
            ("isbn:0-439-13959-7", &[1]),
            ("isbn:0-439-13959-7 houses", &[]),
            ("\"\" %", &[]),
        ],
    );
}

#[test]
fn changes_replace_and_remove() {
    let index = index([text("First", "", &[]), text("Second", "", &[])]);
    index
        .apply(
            vec![IndexChange::Replace(BookId(1), text("Third", "", &[])), IndexChange::Remove(BookId(2))],
            Seq(9),
            Hash::EMPTY,
        )
        .expect("good");
    assert_found(&index, &[("first", &[]), ("second", &[]), ("third", &[1])]);
    assert_eq!(index.seq(), Seq(9));
}

/// The first ledger, gone on under a newer timeline from this entry.
fn restored(fork: u64) -> LedgerIdentity {
    let mut ledger = ledger(1);
    ledger.timelines.push(Timeline { id: Uuid::from_u128(9), begins_at: Seq(fork) });
    ledger
}

/// Why the index in the folder cannot be used.
fn unusable(folder: &Path, n: u128) -> Unusable {
    BookIndex::open(folder, &ledger(n)).expect_err("it cannot be used")
}

#[test]
fn an_index_says_how_far_it_is_or_why_it_cannot_be_used() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("search");
    assert!(matches!(unusable(&folder, 1), Unusable::Missing));
    let index = BookIndex::create(&folder, ledger(1)).expect("a folder");
    assert_eq!(index.seq(), Seq(0));
    index.apply(added([text("Kept", "", &[])]), Seq(42), Hash([7; 32])).expect("good");
    drop(index);

    let index = BookIndex::open(&folder, &ledger(1)).expect("it is whole");
    assert_eq!((index.progress().seq, index.progress().hash), (Seq(42), Hash([7; 32])));
    assert_eq!(found(&index, "kept"), [1]);
    drop(index);
    assert!(matches!(unusable(&folder, 2), Unusable::OtherLedger));
    assert!(matches!(BookIndex::open(&folder, &restored(42)), Err(Unusable::BeyondFork)));
    let index = BookIndex::open(&folder, &restored(43)).expect("it has nothing from the fork on");
    assert_eq!((index.progress().ledger, found(&index, "kept")), (restored(43), vec![1]));
    drop(index);

    let meta = folder.join("meta.json");
    let whole = fs::read_to_string(&meta).expect("JSON");
    fs::write(&meta, whole.replace("\\\"format\\\":3", "\\\"format\\\":0")).expect("written");
    assert!(matches!(unusable(&folder, 1), Unusable::OtherFormat));
    fs::write(&meta, &whole[..whole.len() / 2]).expect("written");
    assert!(matches!(unusable(&folder, 1), Unusable::Damaged(_)));
    fs::write(&meta, &whole).expect("written");

    let files = fs::read_dir(&folder).expect("a folder").map(|file| file.expect("a file").path());
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending != "json" && ending != "lock")) {
        let bytes = fs::read(&file).expect("a file");
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("written");
        let torn = BookIndex::open(&folder, &ledger(1));
        assert!(matches!(torn, Err(Unusable::Damaged(_))), "{}: {torn:?}", file.display());
        fs::write(&file, bytes).expect("written");
    }
    let again = BookIndex::create(&folder, ledger(1)).expect("built again");
    assert_eq!((again.seq(), found(&again, "kept")), (Seq(0), vec![]));
}

/// No word is the stem of another one, or one typo from it.
const WORDS: [&str; 8] = ["zebra", "zebrawood", "quartz", "oak", "oakum", "x", "xylem", "7"];

/// The books whose words are all there, the last one as a beginning; or else, those that have beginnings of all.
fn model(texts: &[Text], query: &str) -> Vec<u64> {
    let mut wanted: Vec<String> = Vec::new();
    for word in terms(query) {
        if !wanted.contains(&word) {
            wanted.push(word);
        }
    }
    let has = |text: &Text, whole: bool| {
        let fields = [text.title(), text.author()].into_iter().chain(text.subjects());
        let words: Vec<String> = fields.flat_map(terms).collect();
        wanted.iter().enumerate().all(|(at, one)| {
            words
                .iter()
                .any(|word| word == one || ((!whole || at + 1 == wanted.len()) && word.starts_with(one.as_str())))
        })
    };
    let all = |whole| (1..).zip(texts).filter(|(_, text)| has(text, whole)).map(|(id, _)| id).collect::<Vec<u64>>();
    Some(all(true)).filter(|books| !books.is_empty()).unwrap_or_else(|| all(false))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_index_finds_what_the_model_finds(
        texts in vec((vec(select(&WORDS[..]), 1..4), vec(select(&WORDS[..]), 0..2), vec(select(&WORDS[..]), 0..3)), 1..12),
        queries in vec(proptest::sample::subsequence(&WORDS[..], 1..4).prop_shuffle(), 1..12),
        cut in 1..4_usize,
    ) {
        let texts: Vec<Text> =
            texts.iter().map(|(title, author, subjects)| text(&title.join(" "), &author.join(" "), subjects)).collect();
        let index = index(texts.clone());
        for words in queries {
            for query in [words.join(" "), words.iter().map(|word| &word[..cut.min(word.len())]).collect::<Vec<_>>().join(" ")] {
                let mut found = found(&index, &query);
                found.sort_unstable();
                prop_assert_eq!(found, model(&texts, &query), "{}", query);
            }
        }
    }

    #[test]
    fn any_query_is_answered(words in "[a-z\"': .*+#()日本\u{0}-\u{7f}éß]{0,60}") {
        let index = index([text("A book", "Somebody", &["things"])]);
        if let Ok(query) = Query::words(words).check() {
            index.matches(&query).expect("an answer");
        }
    }
}
