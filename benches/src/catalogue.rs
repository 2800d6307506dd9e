//! Generated books: the same in every run, with titles, authors and subjects as uneven as real ones.

use bookstore::import::{ImportOptions, Line};
use bookstore_core::{BookText, Cents, NewBook, fixtures::isbn};
use form_urlencoded::byte_serialize;
use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use crate::Result;

/// Books of the real-sized catalogue.
pub const REAL_SIZE: u64 = 60_638;
/// Copies of a book that does not sell out.
pub const PLENTY: u32 = NewBook::STOCK_MAX;

/// The topics of the books: the classes of the Library of Congress.
const TOPICS: [&str; 21] = [
    "General works",
    "Philosophy, psychology, religion",
    "History",
    "World history",
    "History of the Americas",
    "Local history",
    "Geography, anthropology, recreation",
    "Social sciences",
    "Political science",
    "Law",
    "Education",
    "Music",
    "Fine arts",
    "Language and literature",
    "Science",
    "Medicine",
    "Agriculture",
    "Technology",
    "Military science",
    "Naval science",
    "Bibliography",
];

const SYLLABLES: [&str; 24] = [
    "ba", "cor", "den", "el", "fi", "gar", "hu", "in", "jo", "kel", "lo", "mar", "ne", "or", "pe", "qua", "ri", "sto",
    "tu", "un", "ver", "wil", "yar", "zo",
];
/// As many words as there are triples of syllables.
const WORDS: u64 = 24 * 24 * 24;

/// Random numbers that are the same in every run (SplitMix64), from this seed.
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0) % bound
    }

    /// A word: a few words are frequent, most are rare.
    fn word(&mut self) -> String {
        let [a, b] = [self.below(WORDS), self.below(WORDS)];
        let rank = a * b / WORDS;
        [rank / 576, rank / 24 % 24, rank % 24].map(|at| SYLLABLES[usize::try_from(at % 24).expect("small")]).concat()
    }

    fn words(&mut self, count: u64) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

/// Spreads the bits of a number: the finalizer of SplitMix64.
#[must_use]
pub fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// The `n`th book, with as much text as a real one.
///
/// # Panics
/// Never: all its fields are within the limits.
#[must_use]
pub fn real(n: u64) -> NewBook {
    let mut random = Random(mix(n));
    let title_words = 3 + random.below(7);
    let topic = TOPICS[usize::try_from(random.below(21) * random.below(21) / 21).expect("small")];
    let text = BookText {
        title: random.words(title_words),
        authors: vec![format!("{}, {}", random.word(), random.word())],
        topic: topic.into(),
        isbn: Some(isbn(n)),
        year: Some(i32::try_from(1900 + random.below(126)).expect("small")),
        subjects: (0..1 + random.below(3)).map(|_| random.words(3)).collect(),
        ..BookText::default()
    };
    let price_cents = Cents::new(499 + 100 * random.below(60)).expect("small");
    NewBook { text, price_cents, stock: PLENTY }
}

/// The `n`th book of a race, with little text.
///
/// # Panics
/// Never: all its fields are within the limits.
#[must_use]
pub fn plain(n: u64, stock: u32) -> NewBook {
    NewBook {
        text: BookText { title: format!("Book {n}"), topic: "races".into(), ..BookText::default() },
        price_cents: Cents::new(1999).expect("small"),
        stock,
    }
}

/// The paths of the first page of each topic of these books.
#[must_use]
pub fn topic_searches(books: &[NewBook]) -> Vec<String> {
    let mut topics: Vec<&str> = books.iter().map(|book| book.text.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    topics.into_iter().map(|topic| format!("/search?topic={}", escaped(topic))).collect()
}

/// The paths of searches for two words of some book's title, so that at least that book is found.
#[must_use]
pub fn word_searches(books: &[NewBook], count: usize) -> Vec<String> {
    let mut random = Random(3);
    let mut paths = Vec::with_capacity(count);
    while paths.len() < count {
        let at = random.below(books.len() as u64);
        let title = &books[usize::try_from(at).expect("an index")].text.title;
        let words: Vec<&str> =
            title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 3).collect();
        if let [first, .., last] = words[..] {
            paths.push(format!("/search?q={}", escaped(&format!("{first} {last}"))));
        }
    }
    paths
}

fn escaped(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Writes books as JSON lines, for `bookstore import`.
///
/// # Errors
/// The file cannot be written.
pub fn write_json_lines(path: &Path, books: impl Iterator<Item = NewBook>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for book in books {
        serde_json::to_writer(&mut file, &book)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// The books of a file (`.csv`, `.jsonl`, `.jsonl.gz`), with copies that do not sell out.
///
/// # Errors
/// The file cannot be read, or a line of it is broken.
pub fn read(file: &Path) -> Result<Vec<NewBook>> {
    let options = ImportOptions { fill_in: true, ignore_columns: true, ..ImportOptions::default() };
    let lines = bookstore::import::open(file, &options, |_| {})?;
    let plenty = |line: Line| NewBook { stock: PLENTY, ..line.book };
    Ok(lines.map(|line| line.map(plenty)).collect::<Result<_, _>>()?)
}
