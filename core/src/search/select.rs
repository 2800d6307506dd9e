//! From the books that match to a page of them: what the filter lets through is counted, and the first ones after a place are kept
//! in order. Stock and price are those of now.

use std::{collections::BinaryHeap, mem, ops::RangeInclusive};

use super::{
    Match,
    books::{BookTable, NO_YEAR, Names, Row},
    sales::Sales,
};
use crate::{
    decide::Level,
    id::BookId,
    money::Cents,
    page::{CheckedQuery, Facet, FacetCount, Facets, Filter, Period, Position, Sort},
    writer::Published,
};

/// Books that are looked up in the levels at once: the writer waits so long.
const CHUNK: usize = 1_024;

/// The years that books can have, see [`BookText::year`](crate::BookText::year).
const YEAR_MIN: i32 = -3_000;
const YEARS: usize = 13_000;

/// A page of what was found.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// The books after the page before, in order: up to one more than the page has.
    pub(super) books: Vec<Position>,
    /// How many were found in all.
    pub(super) total: u64,
    pub(super) facets: Option<Facets>,
}

/// Whether a query is a page of all books in the order of their numbers: then nothing need be counted.
pub(super) fn is_plain_list(query: &CheckedQuery) -> bool {
    let by_number = matches!(query.sort, Sort::Relevance | Sort::NewlyListed);
    query.words.is_none() && query.filter == Filter::default() && query.facets.is_empty() && by_number
}

/// Whether a query asks how many copies were sold.
pub(super) fn needs_sales(query: &CheckedQuery) -> bool {
    query.sort == Sort::BestSelling || query.filter.sold.is_some()
}

/// What is known of the books.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) table: &'a BookTable,
    pub(super) published: &'a Published,
    /// If the query [needs](needs_sales) them.
    pub(super) sales: Option<&'a Sales>,
}

/// Selects from the books that match, or from all if there are no words.
pub(super) fn select(source: Source<'_>, query: &CheckedQuery, matches: Option<&[Match]>) -> Selected {
    let table = source.table;
    let Some(mut selection) = Selection::new(source, query) else {
        return Selected { facets: no_facets(query), ..Selected::default() };
    };
    match matches {
        Some(matches) => matches.iter().for_each(|found| selection.consider(*found)),
        None if is_plain_list(query) => return selection.plain_list(),
        None => {
            let (topic, author) = (selection.topic, selection.author);
            table.for_each_of(topic, author, |book| selection.consider(Match { book, rank: 0.0 }));
        }
    }
    selection.selected()
}

fn no_facets(query: &CheckedQuery) -> Option<Facets> {
    let mut facets = Facets::default();
    for facet in &query.facets {
        *slot(&mut facets, *facet) = Some(Vec::new());
    }
    (!query.facets.is_empty()).then_some(facets)
}

fn slot(facets: &mut Facets, facet: Facet) -> &mut Option<Vec<FacetCount>> {
    match facet {
        Facet::Topic => &mut facets.topic,
        Facet::Author => &mut facets.author,
        Facet::Year => &mut facets.year,
    }
}

/// One selection.
struct Selection<'a> {
    table: &'a BookTable,
    published: &'a Published,
    sales: Option<&'a Sales>,
    query: &'a CheckedQuery,
    topic: Option<u32>,
    author: Option<u32>,
    year: Option<RangeInclusive<i32>>,
    after: Option<Position>,
    /// Whether stock and price decide.
    needs_levels: bool,
    /// Books whose levels are still to be looked at.
    chunk: Vec<(Match, Row)>,
    /// Those that are kept: the last one is on top.
    best: BinaryHeap<Position>,
    total: u64,
    counts: Counts,
}

/// Books by number of topic and of author, and by year; empty for what was not asked for.
#[derive(Default)]
struct Counts {
    topics: Vec<u64>,
    authors: Vec<u64>,
    /// From [`YEAR_MIN`] on.
    years: Vec<u64>,
}

impl<'a> Selection<'a> {
    /// `None` if there is no such topic or author.
    fn new(source: Source<'a>, query: &'a CheckedQuery) -> Option<Self> {
        let Source { table, published, sales } = source;
        let number = |names: &Names, name: &Option<String>| match name {
            Some(name) => names.number(name).map(Some),
            None => Some(None),
        };
        let topic = number(&table.topics, &query.filter.topic)?;
        let author = number(&table.authors, &query.filter.author)?;
        let asked = |facet| query.facets.contains(&facet);
        let counts = Counts {
            topics: if asked(Facet::Topic) { vec![0; table.topics.len()] } else { Vec::new() },
            authors: if asked(Facet::Author) { vec![0; table.authors.len()] } else { Vec::new() },
            years: if asked(Facet::Year) { vec![0; YEARS] } else { Vec::new() },
        };
        let Filter { in_stock, price, .. } = &query.filter;
        let by_price = matches!(query.sort, Sort::Price | Sort::PriceDesc);
        let mut selection = Self {
            table,
            published,
            sales,
            query,
            topic,
            author,
            year: query.filter.year.clone(),
            after: query.after,
            needs_levels: *in_stock || price.is_some() || by_price,
            chunk: Vec::new(),
            best: BinaryHeap::with_capacity(query.size + 2),
            total: 0,
            counts,
        };
        if let (Sort::Title, Some(after)) = (query.sort, query.after) {
            // The page token does not say where the title is by now.
            selection.after = Some(Position { key: table.title_place(after.id), ..after });
        }
        Some(selection)
    }

    /// Counts a book, if the filter lets it through; perhaps later, with others.
    fn consider(&mut self, found: Match) {
        let Some(row) = self.table.row(found.book).filter(|row| self.passes(found.book, *row)) else { return };
        if !self.needs_levels {
            return self.count(found, row, Cents::ZERO);
        }
        self.chunk.push((found, row));
        if self.chunk.len() == CHUNK {
            self.count_chunk();
        }
    }

    fn passes(&self, book: BookId, row: Row) -> bool {
        self.topic.is_none_or(|topic| topic == row.topic)
            && self.author.is_none_or(|author| self.table.authors_of(&row).contains(&author))
            && self.year.as_ref().is_none_or(|year| row.year != NO_YEAR && year.contains(&row.year))
            && self.query.filter.sold.is_none_or(|period| self.sold(book, period) > 0)
    }

    fn sold(&self, book: BookId, period: Period) -> i64 {
        self.sales.map_or(0, |sales| sales.of(book, period))
    }

    /// Counts those of the chunk that have the right price and stock.
    fn count_chunk(&mut self) {
        let Filter { in_stock, price, .. } = &self.query.filter;
        let passes = |level: &Level| {
            (!in_stock || level.stock > 0) && price.as_ref().is_none_or(|price| price.contains(&level.price_cents))
        };
        let (published, mut chunk) = (self.published, mem::take(&mut self.chunk));
        published.levels(|levels| {
            for (found, row) in chunk.drain(..) {
                if let Some(level) = levels.get(found.book).filter(passes) {
                    self.count(found, row, level.price_cents);
                }
            }
        });
        self.chunk = chunk;
    }

    fn count(&mut self, found: Match, row: Row, price: Cents) {
        self.total += 1;
        if let Some(count) = self.counts.topics.get_mut(row.topic as usize) {
            *count += 1;
        }
        if !self.counts.authors.is_empty() {
            for author in self.table.authors_of(&row) {
                self.counts.authors[*author as usize] += 1;
            }
        }
        if !self.counts.years.is_empty() {
            let year = usize::try_from(row.year.saturating_sub(YEAR_MIN)).ok();
            if let Some(count) = year.and_then(|year| self.counts.years.get_mut(year)) {
                *count += 1;
            }
        }
        self.keep(Position { key: self.key(found, row, price), id: found.book });
    }

    fn key(&self, found: Match, row: Row, price: Cents) -> i64 {
        let price = i64::try_from(price.get()).unwrap_or(i64::MAX);
        let year = |year: i64| if row.year == NO_YEAR { i64::MAX } else { year };
        match self.query.sort {
            Sort::Relevance => ordered(found.rank),
            Sort::Title => self.table.title_place(found.book),
            Sort::Price => price,
            Sort::PriceDesc => -price,
            Sort::Newest => year(-i64::from(row.year)),
            Sort::Oldest => year(i64::from(row.year)),
            Sort::NewlyListed => last_first(found.book),
            Sort::BestSelling => -self.sold(found.book, self.query.filter.sold.unwrap_or_default()),
        }
    }

    /// Keeps a book if it is among the first ones after the page before.
    fn keep(&mut self, position: Position) {
        if self.best.len() > self.query.size && self.best.peek().is_some_and(|last| *last <= position) {
            return;
        }
        if self.after.is_some_and(|after| position <= after) {
            return;
        }
        self.best.push(position);
        if self.best.len() > self.query.size + 1 {
            self.best.pop();
        }
    }

    /// A page of all books by number.
    fn plain_list(self) -> Selected {
        let (limit, last) = (self.query.size + 1, self.table.end());
        let books = |ids: &mut dyn Iterator<Item = u64>, key: fn(BookId) -> i64| -> Vec<Position> {
            let listed = ids.map(BookId).filter(|id| self.table.row(*id).is_some());
            listed.map(|id| Position { key: key(id), id }).take(limit).collect()
        };
        let books = if self.query.sort == Sort::NewlyListed {
            let end = self.after.map_or(last, |after| after.id.0.min(last));
            books(&mut (0..end).rev(), last_first)
        } else {
            let begin = self.after.map_or(0, |after| after.id.0.saturating_add(1));
            books(&mut (begin..last), |_| 0)
        };
        Selected { books, total: self.table.len(), facets: None }
    }

    fn selected(mut self) -> Selected {
        self.count_chunk();
        let mut facets = no_facets(self.query);
        if let Some(facets) = &mut facets {
            fill(&mut facets.topic, named(&self.table.topics, &self.counts.topics));
            fill(&mut facets.author, named(&self.table.authors, &self.counts.authors));
            let years = (YEAR_MIN..).zip(self.counts.years).filter(|(_, books)| *books > 0);
            fill(&mut facets.year, years.map(|(year, books)| (year.to_string(), books)));
        }
        Selected { books: self.best.into_sorted_vec(), total: self.total, facets }
    }
}

/// The names that were counted, without the empty one.
fn named<'a>(names: &'a Names, counts: &'a [u64]) -> impl Iterator<Item = (&'a str, u64)> {
    let named = (0..).zip(counts).map(|(number, books)| (&*names.name(number).spelled, *books));
    named.filter(|(name, books)| *books > 0 && !name.is_empty())
}

/// Fills a facet, if it was asked for.
fn fill<V: Ord + Into<String>>(facet: &mut Option<Vec<FacetCount>>, counts: impl Iterator<Item = (V, u64)>) {
    let Some(facet) = facet else { return };
    let mut counts: Vec<_> = counts.map(|(value, books)| (std::cmp::Reverse(books), value)).collect();
    if counts.len() > FacetCount::MAX {
        // Names are compared only where the numbers do not decide.
        let mut numbers: Vec<_> = counts.iter().map(|(books, _)| *books).collect();
        let least = *numbers.select_nth_unstable(FacetCount::MAX).1;
        counts.retain(|(books, _)| *books <= least);
        counts.select_nth_unstable(FacetCount::MAX);
        counts.truncate(FacetCount::MAX);
    }
    counts.sort_unstable();
    facet.extend(counts.into_iter().map(|(books, value)| FacetCount { value: value.into(), books: books.0 }));
}

/// A rank as a number that is ordered as it is.
fn ordered(rank: f32) -> i64 {
    let bits = rank.to_bits().cast_signed();
    i64::from(if bits < 0 { bits ^ i32::MAX } else { bits })
}

/// A key for those first that were added last.
fn last_first(book: BookId) -> i64 {
    i64::try_from(book.0).map_or(i64::MIN, |id| -id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_rank_is_ordered_as_its_number(a in any::<f32>(), b in any::<f32>()) {
            prop_assert_eq!(ordered(a).cmp(&ordered(b)), a.total_cmp(&b));
        }
    }
}
