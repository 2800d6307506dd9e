//! Runs a query: adds up, book by book, the best score of each clause.
//!
//! The engine's own unions and intersections merge sorted lists, which takes several times as long where one word has many forms, each
//! with many books. Here each form is read once, into a table with a place for every book, and one whose books all have the same score is
//! read by blocks.

use tantivy::{
    DocId, Score, Searcher, SegmentReader,
    query::{EnableScoring, Query, Weight},
};

use crate::{id::BookId, search::Match};

/// What a book must have, and what makes it better.
#[derive(Debug, Default)]
pub(super) struct Clauses {
    /// Each of them must be there.
    pub(super) required: Vec<Forms>,
    /// Each of them may be there.
    pub(super) optional: Vec<Forms>,
}

/// Queries of which one is enough: the best of them counts.
pub(super) type Forms = Vec<Form>;

/// A query with its weight.
#[derive(Debug)]
pub(super) struct Form {
    query: Box<dyn Query>,
    weight: Score,
    /// No score is less.
    least: Score,
    /// Whether the weight alone is the score.
    constant: bool,
}

impl Form {
    /// The query's own scores count, times `weight`.
    pub(super) fn scored(query: Box<dyn Query>, weight: Score) -> Self {
        Self { query, weight, least: 0.0, constant: false }
    }

    /// The same, but no score is less than `least`.
    pub(super) fn at_least(self, least: Score) -> Self {
        Self { least, ..self }
    }

    /// Every book has the same score.
    pub(super) fn constant(query: Box<dyn Query>, score: Score) -> Self {
        Self { query, weight: score, least: score, constant: true }
    }

    fn open(&self, searcher: &Searcher) -> tantivy::Result<Opened> {
        let scoring = if self.constant {
            EnableScoring::disabled_from_searcher(searcher)
        } else {
            EnableScoring::enabled_from_searcher(searcher)
        };
        let weight = self.query.weight(scoring)?;
        Ok(Opened { weight, factor: self.weight, least: self.least, constant: self.constant })
    }
}

/// A form that can be read.
struct Opened {
    weight: Box<dyn Weight>,
    factor: Score,
    least: Score,
    constant: bool,
}

impl Opened {
    /// Calls `take` with every book of a segment and its score.
    fn for_each(&self, segment: &SegmentReader, mut take: impl FnMut(DocId, Score)) -> tantivy::Result<()> {
        let (factor, least) = (self.factor, self.least);
        if self.constant {
            self.weight.for_each_no_score(segment, &mut |books| books.iter().for_each(|book| take(*book, factor)))
        } else {
            self.weight.for_each(segment, &mut |book, score| take(book, (score * factor).max(least)))
        }
    }
}

/// Books whose numbers are read at once.
const CHUNK: usize = 256;

type Weights = Vec<Opened>;

/// Every book that has all that is required, with its rank, the negated score.
pub(super) fn evaluate(searcher: &Searcher, clauses: &Clauses) -> tantivy::Result<Vec<Match>> {
    let weights = |forms: &Forms| forms.iter().map(|form| form.open(searcher)).collect::<tantivy::Result<Weights>>();
    let all = |clauses: &[Forms]| clauses.iter().map(weights).collect::<tantivy::Result<Vec<_>>>();
    let (required, optional) = (all(&clauses.required)?, all(&clauses.optional)?);
    let mut found = Vec::new();
    for segment in searcher.segment_readers() {
        let mut scores = Scores::new(segment);
        for (clause, forms) in (0..).zip(&required) {
            scores.require(segment, clause, forms)?;
            if scores.books.is_empty() {
                break;
            }
        }
        if scores.books.is_empty() {
            continue;
        }
        for forms in &optional {
            scores.add(segment, forms)?;
        }
        scores.collect(segment, &mut found)?;
    }
    Ok(found)
}

/// The scores of a segment's books.
struct Scores {
    /// How many of the clauses a book has, from the first on.
    clauses: Vec<u8>,
    /// The sum over the clauses before.
    total: Vec<Score>,
    /// The best score of the present clause.
    best: Vec<Score>,
    /// The books that have the present clause and all before.
    books: Vec<DocId>,
}

impl Scores {
    fn new(segment: &SegmentReader) -> Self {
        let count = segment.max_doc() as usize;
        let zeros = || vec![0.0; count];
        Self { clauses: vec![0; count], total: zeros(), best: zeros(), books: Vec::new() }
    }

    /// Keeps the books that have one of these forms beside all clauses before, of which there were so many.
    fn require(&mut self, segment: &SegmentReader, clause: u8, forms: &Weights) -> tantivy::Result<()> {
        self.books.clear();
        for form in forms {
            form.for_each(segment, |book, score| {
                let at = book as usize;
                if self.clauses[at] == clause {
                    self.clauses[at] = clause + 1;
                    self.best[at] = score;
                    self.books.push(book);
                } else if self.clauses[at] == clause + 1 && self.best[at] < score {
                    self.best[at] = score;
                }
            })?;
        }
        self.sum_up();
        Ok(())
    }

    /// Makes those of the books better that have one of these forms.
    fn add(&mut self, segment: &SegmentReader, forms: &Weights) -> tantivy::Result<()> {
        for form in forms {
            // Of books that are not found it is not read.
            form.for_each(segment, |book, score| {
                let best = &mut self.best[book as usize];
                *best = best.max(score);
            })?;
        }
        self.sum_up();
        Ok(())
    }

    fn sum_up(&mut self) {
        for book in &self.books {
            self.total[*book as usize] += std::mem::take(&mut self.best[*book as usize]);
        }
    }

    fn collect(&self, segment: &SegmentReader, found: &mut Vec<Match>) -> tantivy::Result<()> {
        let (ids, alive) = (segment.fast_fields().u64("id")?, segment.alive_bitset());
        let is_alive = |book: &DocId| alive.is_none_or(|alive| alive.is_alive(*book));
        let mut chunk = [None; CHUNK];
        found.reserve(self.books.len());
        for books in self.books.chunks(CHUNK) {
            let chunk = &mut chunk[..books.len()];
            chunk.fill(None);
            ids.first_vals(books, chunk);
            let ids = books.iter().zip(chunk).filter(|(book, _)| is_alive(book));
            found.extend(ids.filter_map(|(book, id)| {
                let rank = -self.total[*book as usize];
                id.map(|id| Match { book: BookId(id), rank })
            }));
        }
        Ok(())
    }
}
