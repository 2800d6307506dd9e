//! What is kept of every book in memory, so that any list of books can be filtered, counted and sorted: topic, author, year and
//! title. About 300 bytes a book.

use foldhash::fast::RandomState;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use super::folding::{folded_line, name_key, title_key};
use crate::{
    book::{Text, Topic},
    id::BookId,
    ledger::{Entry, Kind},
    page::Filter,
    topics::TopicList,
};

/// In the place of a number: there is no such book.
const NONE: u32 = u32::MAX;
/// In a book's author: the rest is the number of a group of authors.
const GROUP: u32 = 1 << 31;
/// In the place of a year: there is none.
pub(super) const NO_YEAR: i32 = i32::MIN;

/// Books that are passed by in the time in which one is counted.
const PASSED_BY: u64 = 16;

/// The books of a ledger, by number.
#[derive(Debug, Default)]
pub(super) struct BookTable {
    pub(super) topics: Names,
    pub(super) authors: Names,
    /// Columns, each indexed by the book's number.
    topic: Vec<u32>,
    author: Vec<u32>,
    year: Vec<i32>,
    title: Vec<Box<str>>,
    /// The authors of books that have several, and the number of each such group.
    groups: Vec<Arc<[u32]>>,
    group_numbers: HashMap<Arc<[u32]>, u32, RandomState>,
    /// The order of the titles. This and the list are made when they are asked for, after books were set.
    by_title: OnceLock<TitleOrder>,
    /// The order before books were set, to begin with.
    by_title_before: Vec<u32>,
    topic_list: OnceLock<TopicList>,
    books: u64,
    /// Books that are off sale: they are nowhere counted, and their rows not shown.
    withdrawn: HashSet<BookId, RandomState>,
}

/// What is kept of a book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its number in [`BookTable::topics`].
    pub(super) topic: u32,
    /// See [`BookTable::authors_of`].
    author: u32,
    /// [`NO_YEAR`] if there is none.
    pub(super) year: i32,
}

impl BookTable {
    /// Takes a book in, or its new text.
    pub(super) fn set(&mut self, book: BookId, text: &Text) {
        let Ok(at) = usize::try_from(book.0) else { return };
        if at >= self.topic.len() {
            self.topic.resize(at + 1, NONE);
            self.author.resize(at + 1, NONE);
            self.year.resize(at + 1, NO_YEAR);
            self.title.resize(at + 1, Box::default());
        }
        self.leave(book);
        (self.topic[at], self.author[at]) = (self.topics.number_of(text.topic()), self.author_of(text));
        self.year[at] = text.year().unwrap_or(NO_YEAR);
        self.title[at] = title_key(text.title()).into();
        self.enter(book);
        if let Some(before) = self.by_title.take() {
            self.by_title_before = before.books;
        }
        self.topic_list.take();
    }

    /// Takes in an entry that changes lists.
    pub(super) fn take(&mut self, entry: &Entry) {
        if let Some((book, text)) = entry.book_text() {
            return self.set(book, text);
        }
        for change in &entry.changes {
            match entry.kind {
                Kind::Withdraw => {
                    self.leave(change.book);
                    self.withdrawn.insert(change.book);
                }
                Kind::Relist if self.withdrawn.remove(&change.book) => self.enter(change.book),
                _ => {}
            }
        }
        self.topic_list.take();
    }

    /// Counts a book.
    fn enter(&mut self, book: BookId) {
        let Some(row) = self.row(book) else { return };
        self.topics.enter(row.topic);
        for author in authors(&self.groups, &row) {
            self.authors.enter(*author);
        }
        self.books += 1;
    }

    /// Does not count a book any more.
    fn leave(&mut self, book: BookId) {
        let Some(row) = self.row(book) else { return };
        self.topics.leave(row.topic);
        for author in authors(&self.groups, &row) {
            self.authors.leave(*author);
        }
        self.books -= 1;
    }

    /// What stands for the authors of a text: the number of the one, or of the group.
    fn author_of(&mut self, text: &Text) -> u32 {
        let mut numbers: Vec<u32> = text.authors().map(|author| self.authors.number_of(author)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        match numbers[..] {
            [] => self.authors.number_of(""),
            [one] => one,
            _ => self.group_of(numbers.into()),
        }
    }

    fn group_of(&mut self, group: Arc<[u32]>) -> u32 {
        let next = GROUP | u32::try_from(self.groups.len()).expect("fewer groups than books");
        *self.group_numbers.entry(group).or_insert_with_key(|group| {
            self.groups.push(Arc::clone(group));
            next
        })
    }

    /// The numbers of a book's authors in [`BookTable::authors`]; of a book without authors that of the empty name.
    pub(super) fn authors_of<'a>(&'a self, row: &'a Row) -> &'a [u32] {
        authors(&self.groups, row)
    }

    /// How many books there are.
    pub(super) fn len(&self) -> u64 {
        self.books
    }

    /// One more than the highest number of a book.
    pub(super) fn end(&self) -> u64 {
        self.topic.len() as u64
    }

    /// What is kept of a book that is on sale.
    pub(super) fn row(&self, book: BookId) -> Option<Row> {
        let at = usize::try_from(book.0).ok()?;
        let topic = self.topic.get(at).copied().filter(|topic| *topic != NONE)?;
        if !self.withdrawn.is_empty() && self.withdrawn.contains(&book) {
            return None;
        }
        Some(Row { topic, author: self.author[at], year: self.year[at] })
    }

    /// How many books a list looks at, about; passing one by takes little beside counting it.
    pub(super) fn looked_at(&self, filter: &Filter) -> u64 {
        let books = |names: &Names, name: &Option<String>| {
            name.as_ref().map(|name| names.number(name).map_or(0, |number| names.name(number).books))
        };
        let of = books(&self.topics, &filter.topic).or_else(|| books(&self.authors, &filter.author));
        of.map_or(self.end(), |books| books + self.end() / PASSED_BY)
    }

    /// Calls `take` with the books of a topic, or of an author, or with all of them if neither is given, in the order of their numbers.
    pub(super) fn for_each_of(&self, topic: Option<u32>, author: Option<u32>, mut take: impl FnMut(BookId)) {
        let group = |author: u32| self.groups.get((author & !GROUP) as usize).filter(|_| author >= GROUP);
        match (topic, author) {
            (Some(topic), _) => {
                let books = (0..).map(BookId).zip(&self.topic);
                books.filter(|(_, other)| **other == topic).for_each(|(book, _)| take(book));
            }
            (None, Some(author)) => {
                let has = |other| other == author || group(other).is_some_and(|group| group.contains(&author));
                let books = (0..).map(BookId).zip(&self.author);
                books.filter(|(_, other)| has(**other)).for_each(|(book, _)| take(book));
            }
            (None, None) => (0..self.end()).map(BookId).for_each(take),
        }
    }

    /// The topics.
    pub(super) fn topic_list(&self) -> &TopicList {
        self.topic_list.get_or_init(|| {
            let topics = self.topics.used().map(|name| Topic { topic: name.spelled.to_string(), books: name.books });
            TopicList::new(topics.collect())
        })
    }

    /// Makes the order of the titles, unless it is made.
    pub(super) fn sort_titles(&self) -> &TitleOrder {
        self.by_title.get_or_init(|| {
            let count = u32::try_from(self.title.len()).unwrap_or(NONE);
            let mut books = self.by_title_before.clone();
            // What was in order before is sorted faster.
            let known = u32::try_from(books.len()).unwrap_or(NONE);
            books.extend(known..count);
            books.sort_by(|a, b| self.title[*a as usize].cmp(&self.title[*b as usize]).then(a.cmp(b)));
            let mut places = vec![0; books.len()];
            for (place, book) in (0..).zip(&books) {
                places[*book as usize] = place;
            }
            TitleOrder { books, places }
        })
    }

    /// A book's place in the order of the titles.
    pub(super) fn title_place(&self, book: BookId) -> i64 {
        let place = usize::try_from(book.0).ok().and_then(|at| self.sort_titles().places.get(at));
        place.copied().map_or(i64::MAX, i64::from)
    }

    /// The first books whose titles begin so.
    pub(super) fn titles_from(&self, beginning: &str, limit: usize) -> Vec<BookId> {
        if beginning.is_empty() {
            return Vec::new();
        }
        let books = &self.sort_titles().books;
        let first = books.partition_point(|book| &*self.title[*book as usize] < beginning);
        let begin = books[first..].iter().take_while(|book| self.title[**book as usize].starts_with(beginning));
        begin.map(|book| BookId(u64::from(*book))).filter(|book| self.row(*book).is_some()).take(limit).collect()
    }
}

/// The numbers of a book's authors.
fn authors<'a>(groups: &'a [Arc<[u32]>], row: &'a Row) -> &'a [u32] {
    if row.author < GROUP { std::slice::from_ref(&row.author) } else { &groups[(row.author & !GROUP) as usize] }
}

/// The order of the titles.
#[derive(Debug)]
pub(super) struct TitleOrder {
    /// The books in it.
    books: Vec<u32>,
    /// Each book's place, by number.
    places: Vec<u32>,
}

/// Names that books have, each with a number and its books. Names that differ in case only are one.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Box<str>, u32, RandomState>,
    names: Vec<Name>,
    /// Folded, with the first part first and with it last, to find beginnings.
    folded: BTreeSet<(Box<str>, u32)>,
}

/// A name that books have.
#[derive(Debug)]
pub(super) struct Name {
    /// As in the first of the books that have it.
    pub(super) spelled: Box<str>,
    /// How many books have it.
    pub(super) books: u64,
}

impl Names {
    /// The number of a name, a new one if no book has had it.
    fn number_of(&mut self, spelled: &str) -> u32 {
        if let Some(number) = self.number(spelled) {
            let name = &mut self.names[number as usize];
            if name.books == 0 {
                name.spelled = spelled.into();
            }
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer names than books");
        self.numbers.insert(name_key(spelled).into(), number);
        self.folded.extend(turned(spelled).into_iter().map(|name| (name.into(), number)));
        self.names.push(Name { spelled: spelled.into(), books: 0 });
        number
    }

    /// One more book has this name.
    fn enter(&mut self, number: u32) {
        self.names[number as usize].books += 1;
    }

    /// A book does not have this name any more.
    fn leave(&mut self, number: u32) {
        self.names[number as usize].books -= 1;
    }

    /// The number of a name, if a book has had it.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name_key(name).as_str()).copied()
    }

    /// The name with a number.
    pub(super) fn name(&self, number: u32) -> &Name {
        &self.names[number as usize]
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The names that books have.
    pub(super) fn used(&self) -> impl Iterator<Item = &Name> {
        self.names.iter().filter(|name| name.books > 0)
    }

    /// The names that begin so, those with the most books first.
    pub(super) fn beginning_with(&self, beginning: &str, limit: usize) -> Vec<String> {
        if beginning.is_empty() {
            return Vec::new();
        }
        let from = self.folded.range((Box::from(beginning), 0)..);
        let begin = from.take_while(|(name, _)| name.starts_with(beginning)).map(|(_, number)| *number);
        let mut found: Vec<u32> = begin.filter(|number| self.name(*number).books > 0).collect();
        found.sort_unstable_by_key(|number| (Reverse(self.name(*number).books), *number));
        found.dedup();
        found.into_iter().take(limit).map(|number| self.name(number).spelled.to_string()).collect()
    }
}

/// A name folded, as it is and with what stands before the comma, or else the first word, behind the rest: `Roe, Ada` is also
/// `ada roe`.
fn turned(name: &str) -> Vec<String> {
    let Some((first, rest)) = name.split_once(',').or_else(|| name.split_once(' ')) else {
        return vec![folded_line(name)];
    };
    // Years of birth and titles behind another comma are nobody's first name.
    let rest = rest.split(',').next().unwrap_or_default();
    vec![folded_line(name), folded_line(&format!("{rest} {first}"))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{book::BookText, clock::Timestamp, id::Seq, ledger::Change, money::Cents, topics::TopicQuery};

    fn title_of(title: &str, author: &str) -> BookText {
        let authors = author.split("; ").filter(|name| !name.is_empty()).map(Into::into).collect();
        BookText { title: title.into(), authors, topic: "Fine Arts".into(), ..BookText::default() }
    }

    fn table(books: &[(&str, &str)]) -> BookTable {
        let mut table = BookTable::default();
        for (id, (title, author)) in (1..).zip(books) {
            table.set(BookId(id), &title_of(title, author).into());
        }
        table
    }

    #[test]
    fn beginnings_are_suggested() {
        let mut table = table(&[
            ("The Łódź Notebook", "Roe, Ada, 1815-1852"),
            ("A Lodge", "Roe, Zoë"),
            ("Lodestar", "Roe, Zoë"),
            ("Zoo", ""),
        ]);
        let titles = |table: &BookTable, beginning: &str| {
            table.titles_from(&title_key(beginning), 2).into_iter().map(|book| book.0).collect::<Vec<_>>()
        };
        assert_eq!(titles(&table, "the lod"), [3, 2]);
        assert_eq!((titles(&table, "LÓDŹ "), titles(&table, " ")), (vec![1], vec![]));
        let authors = |beginning: &str| table.authors.beginning_with(&folded_line(beginning), 9);
        assert_eq!(authors("roe"), ["Roe, Zoë", "Roe, Ada, 1815-1852"]);
        assert_eq!(
            (authors("zoe r"), authors("Ada Roe")),
            (vec!["Roe, Zoë".to_owned()], vec!["Roe, Ada, 1815-1852".to_owned()])
        );
        assert_eq!((authors("1815"), authors("")), (vec![], vec![]));
        assert_eq!(table.topics.beginning_with("arts", 9), ["Fine Arts"]);

        let revised = BookText {
            title: "Lodz".into(),
            authors: vec!["Doe".into()],
            topic: "Fine Arts".into(),
            ..BookText::default()
        };
        table.set(BookId(4), &revised.into());
        assert_eq!(titles(&table, "lodz"), [4, 1]);
        assert_eq!(
            (table.len(), table.topic_list().page(&TopicQuery::default().check().expect("good")).total_books),
            (4, 4)
        );
    }

    /// A book of several authors is each one's.
    #[test]
    fn several_authors_are_each_counted() {
        let mut table = table(&[("One", "Roe; Doe"), ("Two", "Doe; roe; Doe"), ("Three", "Doe"), ("Four", "")]);
        let number = |table: &BookTable, name: &str| table.authors.number(name).expect("an author");
        let of = |table: &BookTable, name: &str| {
            let mut books = Vec::new();
            table.for_each_of(None, Some(number(table, name)), |book| books.push(book.0));
            (books, table.authors.name(number(table, name)).books)
        };
        assert_eq!(of(&table, "Roe"), (vec![1, 2], 2));
        assert_eq!(of(&table, "doe"), (vec![1, 2, 3], 3));
        assert_eq!(of(&table, ""), (vec![4], 1));
        assert_eq!((table.authors.number("Roe; Doe"), table.groups.len()), (None, 1));
        table.set(BookId(2), &title_of("Two", "Ray").into());
        assert_eq!((of(&table, "roe"), of(&table, "ray")), ((vec![1], 1), (vec![2], 1)));
    }

    fn entry(kind: Kind, text: Option<BookText>) -> Entry {
        let change = Change { book: BookId(2), delta: 0, price_cents: Cents::ZERO, stock: 1 };
        let (text, changes) = (text.map(Text::from), [change].into());
        Entry { seq: Seq(9), at: Timestamp(0), kind, key: None, changes, text, details: None }
    }

    #[test]
    fn a_withdrawn_book_is_nowhere_counted() {
        let mut table = table(&[("Lodestar", "Roe, Zoë"), ("Lodge", "Roe, Ada")]);
        let counted = |table: &BookTable| {
            let titles = table.titles_from("lod", 9).into_iter().map(|book| book.0).collect::<Vec<_>>();
            let topics = table.topic_list().page(&TopicQuery::default().check().expect("good"));
            let topics = topics.topics.into_iter().map(|topic| (topic.topic, topic.books)).collect::<Vec<_>>();
            (table.len(), titles, table.authors.beginning_with("roe", 9), topics)
        };
        let topic = |name: &str, books| (name.to_owned(), books);
        let both = counted(&table);
        let one = (1, vec![1], vec!["Roe, Zoë".to_owned()], vec![topic("Fine Arts", 1)]);
        for _ in 0..2 {
            table.take(&entry(Kind::Withdraw, None));
            assert_eq!(counted(&table), one);
        }
        let text = |topic: &str| BookText { topic: topic.into(), ..title_of("Lodge", "Roe, Ada") };
        table.take(&entry(Kind::Revise, Some(text("Fine arts"))));
        assert_eq!(counted(&table), one, "a revision does not bring it back");
        for _ in 0..2 {
            table.take(&entry(Kind::Relist, None));
            assert_eq!(counted(&table), both, "the first spelling stays while a book has it");
        }
        table.take(&entry(Kind::Revise, Some(text("Crafts"))));
        table.take(&entry(Kind::Revise, Some(text("crafts"))));
        assert_eq!(counted(&table).3, [topic("crafts", 1), topic("Fine Arts", 1)]);
    }
}
