//! Generated books: the same in every run, with titles, authors and subjects as uneven as real ones.

use bookstore_core::{BookText, Cents, NewBook};

/// Books of the real-sized catalogue.
pub const REAL_SIZE: u64 = 60_638;
/// Copies of a book that is never to sell out.
pub const PLENTY: u32 = NewBook::STOCK_MAX;

/// The classes that the books fall into.
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
/// Different words.
const WORDS: u64 = 24 * 24 * 24;

/// Draws by mixing: the same number gives the same draw.
#[derive(Clone, Copy, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// One of the words: a few of them are frequent, most are rare.
    fn word(&mut self) -> String {
        let [a, b] = [self.below(WORDS), self.below(WORDS)];
        let rank = a * b / WORDS;
        [rank / 576, rank / 24 % 24, rank % 24].map(|at| SYLLABLES[usize::try_from(at % 24).expect("small")]).concat()
    }

    fn words(&mut self, count: u64) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

/// Spreads the bits of a number.
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
    let mut dice = Dice(mix(n));
    let title_words = 3 + dice.below(7);
    let topic = TOPICS[usize::try_from(dice.below(21) * dice.below(21) / 21).expect("small")];
    let text = BookText {
        title: dice.words(title_words),
        author: format!("{}, {}", dice.word(), dice.word()),
        topic: topic.into(),
        isbn: Some(format!("978{n:010}")),
        year: Some(i32::try_from(1900 + dice.below(126)).expect("small")),
        subjects: (0..1 + dice.below(3)).map(|_| dice.words(3)).collect(),
    };
    let price_cents = Cents::new(499 + 100 * dice.below(60)).expect("small");
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

/// Requests for the first page of each topic of these books.
#[must_use]
pub fn topic_searches(books: &[NewBook]) -> Vec<String> {
    let mut topics: Vec<&str> = books.iter().map(|book| book.text.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    topics.into_iter().map(|topic| format!("/search/{}", escaped(topic))).collect()
}

/// Requests for books by words: two of some book's title each, so that at least that one is found.
#[must_use]
pub fn word_searches(books: &[NewBook], count: usize) -> Vec<String> {
    let mut dice = Dice(3);
    let mut paths = Vec::with_capacity(count);
    while paths.len() < count {
        let at = dice.below(books.len() as u64);
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
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
