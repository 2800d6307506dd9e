//! The topics of a catalogue, a page at a time.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

use crate::{
    book::Topic,
    error::{Error, Result},
    page::{fitting, read_token, write_token},
};

/// How topics are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TopicSort {
    /// By name: by its bytes in ASCII lower case.
    #[default]
    Name,
    /// Those with the most books first; by name where they have as many.
    Books,
}

/// A page of the topics to be read.
///
/// ```
/// use bookstore_core::topics::{TopicQuery, TopicSort};
///
/// let largest = TopicQuery { sort: TopicSort::Books, page_size: Some(24), ..TopicQuery::default() };
/// assert!(largest.check().is_ok());
/// assert!(TopicQuery { page_size: Some(1001), ..largest }.check().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicQuery {
    /// The order of the topics.
    #[serde(default)]
    pub sort: TopicSort,
    /// Topics a page, 1 to [`TopicQuery::PAGE_MAX`]; [`TopicQuery::PAGE_DEFAULT`] if it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The [`TopicPage::next_page_token`] of the page before. It is opaque, and good for the same sort only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

impl TopicQuery {
    /// Topics a page, if the query does not say.
    pub const PAGE_DEFAULT: u32 = 100;
    /// The most topics a page.
    pub const PAGE_MAX: u32 = 1000;

    /// Checks the fields and reads the page token.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the first field that is outside its limits, or `page_token` if the token is not one that this
    ///   query gave.
    pub fn check(&self) -> Result<CheckedTopicQuery> {
        let size = self.page_size.unwrap_or(Self::PAGE_DEFAULT);
        if !(1..=Self::PAGE_MAX).contains(&size) {
            return Err(Error::invalid("page_size", format!("must be from 1 to {}", Self::PAGE_MAX)));
        }
        let after = self.page_token.as_deref().map(|token| read_token(token, about(self.sort))).transpose()?;
        Ok(CheckedTopicQuery { sort: self.sort, size: size as usize, after })
    }
}

/// What a token is good for.
fn about(sort: TopicSort) -> &'static str {
    match sort {
        TopicSort::Name => "topics by name",
        TopicSort::Books => "topics by books",
    }
}

/// A [`TopicQuery`] within its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTopicQuery {
    /// The order of the topics.
    pub sort: TopicSort,
    /// Topics a page.
    pub size: usize,
    /// The last topic of the page before, as it was then.
    pub after: Option<Topic>,
}

/// A page of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Topics))]
pub struct TopicPage {
    /// The topics with their numbers of books, in the order that the query asks for. A page can have fewer than its size although
    /// another one follows.
    pub topics: Vec<Topic>,
    /// Leads to the next page; `None` on the last page.
    pub next_page_token: Option<String>,
    /// How many topics there are on all pages.
    pub total_topics: u64,
    /// How many books there are in all topics.
    pub total_books: u64,
}

/// Every topic of a catalogue with its number of books, from which pages are cut.
///
/// Topics that differ in case only MUST be one topic here.
#[derive(Debug, Default)]
pub struct TopicList {
    /// By name.
    topics: Vec<Topic>,
    /// The same, those with the most books first: places in `topics`.
    by_books: Vec<usize>,
    books: u64,
}

impl TopicList {
    /// A list of these topics.
    #[must_use]
    pub fn new(mut topics: Vec<Topic>) -> Self {
        topics.sort_by(|a, b| compare(TopicSort::Name, a, b));
        let mut by_books: Vec<usize> = (0..topics.len()).collect();
        by_books.sort_by(|a, b| compare(TopicSort::Books, &topics[*a], &topics[*b]));
        let books = topics.iter().map(|topic| topic.books).sum();
        Self { topics, by_books, books }
    }

    /// The page that a query asks for. It ends early before its JSON is longer than
    /// [`PAGE_BYTES_MAX`](crate::page::PAGE_BYTES_MAX).
    #[must_use]
    pub fn page(&self, query: &CheckedTopicQuery) -> TopicPage {
        let CheckedTopicQuery { sort, size, after } = query;
        let start = after.as_ref().map_or(0, |after| self.count_up_to(*sort, after));
        let rest = (start..self.topics.len()).map(|place| self.at(*sort, place)).take(*size);
        let fits = fitting(rest.clone().map(json_bytes));
        let topics: Vec<Topic> = rest.take(fits).cloned().collect();
        let more = start + topics.len() < self.topics.len();
        let next_page_token = topics.last().filter(|_| more).map(|last| write_token(last, about(*sort)));
        TopicPage { topics, next_page_token, total_topics: self.topics.len() as u64, total_books: self.books }
    }

    /// The topic at a place of this order.
    fn at(&self, sort: TopicSort, place: usize) -> &Topic {
        match sort {
            TopicSort::Name => &self.topics[place],
            TopicSort::Books => &self.topics[self.by_books[place]],
        }
    }

    /// How many topics are not after `last` in this order, whether it is still there or not.
    fn count_up_to(&self, sort: TopicSort, last: &Topic) -> usize {
        let is_before = |topic: &Topic| compare(sort, topic, last).is_le();
        match sort {
            TopicSort::Name => self.topics.partition_point(is_before),
            TopicSort::Books => self.by_books.partition_point(|place| is_before(&self.topics[*place])),
        }
    }
}

fn compare(sort: TopicSort, a: &Topic, b: &Topic) -> Ordering {
    let names = || {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        a.topic.bytes().map(lower).cmp(b.topic.bytes().map(lower))
    };
    match sort {
        TopicSort::Name => names(),
        TopicSort::Books => b.books.cmp(&a.books).then_with(names),
    }
}

/// The most bytes of a topic's JSON.
fn json_bytes(topic: &Topic) -> usize {
    /// Names of the fields, punctuation, and the longest number.
    const AROUND: usize = 48;
    crate::json::string_bytes(&topic.topic) + AROUND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PAGE_BYTES_MAX;

    fn list(topics: &[(&str, u64)]) -> TopicList {
        TopicList::new(topics.iter().map(|(topic, books)| Topic { topic: (*topic).into(), books: *books }).collect())
    }

    /// The names on every page, and where each page ends.
    fn walk(list: &TopicList, sort: TopicSort, size: u32) -> Vec<Vec<String>> {
        let (mut pages, mut query) = (Vec::new(), TopicQuery { sort, page_size: Some(size), page_token: None });
        loop {
            let page = list.page(&query.check().expect("a good query"));
            pages.push(page.topics.into_iter().map(|topic| topic.topic).collect());
            match page.next_page_token {
                Some(token) => query.page_token = Some(token),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_go_on_by_name_or_by_the_number_of_books() {
        let list = list(&[("b", 2), ("A", 1), ("c", 9), ("d", 2), ("Über", 2)]);
        assert_eq!(walk(&list, TopicSort::Name, 2), [vec!["A", "b"], vec!["c", "d"], vec!["Über"]]);
        assert_eq!(walk(&list, TopicSort::Books, 2), [vec!["c", "b"], vec!["d", "Über"], vec!["A"]]);
        let page = list.page(&TopicQuery::default().check().expect("a good query"));
        assert_eq!((page.topics.len(), page.total_topics, page.total_books, page.next_page_token), (5, 5, 16, None));
        assert_eq!(walk(&TopicList::default(), TopicSort::Books, 1), [Vec::<String>::new()]);
    }

    #[test]
    fn a_page_goes_on_although_its_last_topic_has_changed() {
        let query = TopicQuery { sort: TopicSort::Books, page_size: Some(2), page_token: None };
        let first = list(&[("a", 9), ("b", 5), ("c", 3)]).page(&query.check().expect("a good query"));
        let query = TopicQuery { page_token: first.next_page_token, ..query };
        let now = list(&[("a", 9), ("b", 11), ("c", 4), ("new", 1)]);
        let second: Vec<_> = now.page(&query.check().expect("a token")).topics;
        assert_eq!(second.iter().map(|topic| topic.topic.as_str()).collect::<Vec<_>>(), ["c", "new"]);
        let other = TopicQuery { sort: TopicSort::Name, ..query };
        assert!(other.check().is_err(), "a token of another order");
    }

    #[test]
    fn long_names_end_a_page_early() {
        let names: Vec<String> = (0..1000).map(|n| format!("{n:04}{}", "\"\u{1F4DA}".repeat(248))).collect();
        let list = list(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
        for sort in [TopicSort::Name, TopicSort::Books] {
            let query = TopicQuery { sort, page_size: Some(1000), page_token: None };
            let json = serde_json::to_string(&list.page(&query.check().expect("a good query"))).expect("JSON");
            assert!((PAGE_BYTES_MAX * 9 / 10..=PAGE_BYTES_MAX).contains(&json.len()), "{} bytes", json.len());
            let pages = walk(&list, sort, 1000);
            assert_eq!((pages.len(), pages.concat()), (2, names.clone()));
        }
    }
}
