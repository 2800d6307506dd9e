//! What is kept of every book in memory, so that any list of books can be filtered, counted and sorted: topic, author, year and
//! title. About 150 bytes a book.

use foldhash::fast::RandomState;
use std::{collections::HashMap, sync::OnceLock};

use super::folding::{name_key, title_key};
use crate::{
    book::{Text, Topic},
    id::BookId,
    topics::TopicList,
};

/// In the place of a number: there is no such book.
const NONE: u32 = u32::MAX;
/// In the place of a year: there is none.
pub(super) const NO_YEAR: i32 = i32::MIN;

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
    /// Each book's place in the order of the titles. This and the list are made when they are asked for, after books were set.
    by_title: OnceLock<Vec<u32>>,
    topic_list: OnceLock<TopicList>,
    books: u64,
}

/// What is kept of a book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its number in [`BookTable::topics`].
    pub(super) topic: u32,
    /// Its number in [`BookTable::authors`].
    pub(super) author: u32,
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
        match self.row(book) {
            Some(before) => {
                self.topics.leave(before.topic);
                self.authors.leave(before.author);
            }
            None => self.books += 1,
        }
        self.topic[at] = self.topics.enter(text.topic());
        self.author[at] = self.authors.enter(text.author());
        self.year[at] = text.year().unwrap_or(NO_YEAR);
        self.title[at] = title_key(text.title()).into();
        self.by_title.take();
        self.topic_list.take();
    }

    /// How many books there are.
    pub(super) fn len(&self) -> u64 {
        self.books
    }

    /// One more than the highest number of a book.
    pub(super) fn end(&self) -> u64 {
        self.topic.len() as u64
    }

    pub(super) fn row(&self, book: BookId) -> Option<Row> {
        let at = usize::try_from(book.0).ok()?;
        let topic = self.topic.get(at).copied().filter(|topic| *topic != NONE)?;
        Some(Row { topic, author: self.author[at], year: self.year[at] })
    }

    /// The topics.
    pub(super) fn topic_list(&self) -> &TopicList {
        self.topic_list.get_or_init(|| {
            let topics = self.topics.used().map(|name| Topic { topic: name.spelled.to_string(), books: name.books });
            TopicList::new(topics.collect())
        })
    }

    /// Each book's place in the order of the titles, by number.
    pub(super) fn title_places(&self) -> &[u32] {
        self.by_title.get_or_init(|| {
            let count = u32::try_from(self.title.len()).unwrap_or(NONE);
            let mut order: Vec<u32> = (0..count).collect();
            // Stable, so books of one title are in the order of their numbers.
            order.sort_by(|a, b| self.title[*a as usize].cmp(&self.title[*b as usize]));
            let mut places = vec![0; order.len()];
            for (place, book) in (0..).zip(order) {
                places[book as usize] = place;
            }
            places
        })
    }

    /// A book's place in the order of the titles.
    pub(super) fn title_place(&self, book: BookId) -> i64 {
        let place = usize::try_from(book.0).ok().and_then(|at| self.title_places().get(at));
        place.copied().map_or(i64::MAX, i64::from)
    }
}

/// Names that books have, each with a number and its books. Names that differ in case only are one.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Box<str>, u32, RandomState>,
    names: Vec<Name>,
}

/// A name that books have.
#[derive(Debug)]
pub(super) struct Name {
    /// As in the book that was added first.
    pub(super) spelled: Box<str>,
    /// How many books have it.
    pub(super) books: u64,
}

impl Names {
    /// The number of a name that a book gets.
    fn enter(&mut self, spelled: &str) -> u32 {
        let number = self.number(spelled).unwrap_or_else(|| {
            let number = u32::try_from(self.names.len()).expect("fewer names than books");
            self.numbers.insert(name_key(spelled).into(), number);
            self.names.push(Name { spelled: spelled.into(), books: 0 });
            number
        });
        self.names[number as usize].books += 1;
        number
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
}
