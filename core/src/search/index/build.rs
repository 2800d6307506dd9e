//! Turns what is wanted into queries of the engine.
//!
//! A word in the title counts more than one in an author, that one more than one in a subject, and that one more than one in the
//! description; a word as it is written more
//! than one of the same stem, that one more than the beginning of a longer word, and that one more than a similar word.

use std::{cmp::Reverse, ops::Bound};
use tantivy::{
    Term,
    query::{InvertedIndexRangeQuery, PhraseQuery, Query, TermQuery},
    schema::{Field, IndexRecordOption},
};

use super::{
    super::{
        analysis::{Chunk, line},
        language::{Clause, Wanted},
    },
    corrections::Correction,
    document::{Stems, names},
    evaluate::{Clauses, Form, Forms},
    schema::Fields,
};

type Boxed = Box<dyn Query>;

/// The weight of a word in the title or subtitle, in an author, in a subject, and in publisher or description. They are so far apart that the lengths of the fields do not
/// change the order.
const TITLE: f32 = 400.0;
const AUTHOR: f32 = 20.0;
const SUBJECT: f32 = 1.0;
const REST: f32 = 0.05;
/// Of a word of the same stem.
const STEM: f32 = 0.4;
/// Of the beginning of a word; it has no weight for being rare.
const BEGINNING: f32 = 0.5;
/// Of a word with one typo, and again with two.
const TYPO: f32 = 0.3;
/// Of words that are the whole title, or the whole name of the author.
const WHOLE_TITLE: f32 = 40_000.0;
const WHOLE_AUTHOR: f32 = 60_000.0;
/// Of words that stand in the title one behind the other.
const IN_ORDER: f32 = 100.0;
/// More words are not looked for in order.
const IN_ORDER_MAX: usize = 8;

/// Which words are close enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closeness {
    /// Whole words, and the last one as a beginning.
    Words,
    /// Beginnings of words.
    Beginnings,
    /// And words with typos; words that are in most texts may be missing.
    Typos,
}

/// Words that a text has by accident: with typos a book need not have them.
const COMMON: [&str; 12] = ["a", "an", "and", "by", "for", "in", "not", "of", "on", "or", "the", "to"];

/// Builds queries.
pub(super) struct Builder<'a> {
    pub(super) fields: &'a Fields,
    pub(super) stems: Stems,
    pub(super) closeness: Closeness,
    /// For each clause what its word may have been, if typos are allowed.
    pub(super) corrections: &'a [Vec<Correction>],
}

impl Builder<'_> {
    /// The clauses of what is wanted.
    pub(super) fn clauses(&mut self, wanted: &Wanted) -> Clauses {
        let mut clauses = Clauses { required: Vec::new(), optional: self.whole(wanted) };
        let mut order: Vec<_> = wanted.clauses.iter().enumerate().collect();
        // Long words are rare: once no book is left, the others are not read.
        order.sort_by_key(|(_, clause)| Reverse(letters(clause)));
        for (at, clause) in order {
            let forms = self.clause(at, clause, at + 1 == wanted.clauses.len());
            if self.is_optional(clause, wanted) { clauses.optional.push(forms) } else { clauses.required.push(forms) }
        }
        if !wanted.isbns.is_empty() {
            clauses
                .required
                .push(wanted.isbns.iter().map(|isbn| Form::constant(term(self.fields.isbn, isbn), 0.0)).collect());
        }
        clauses
    }

    fn is_optional(&self, clause: &Clause, wanted: &Wanted) -> bool {
        let common =
            |clause: &Clause| matches!(clause, Clause::Word(chunk) if COMMON.contains(&chunk.parts[0].as_str()));
        self.closeness == Closeness::Typos && common(clause) && !wanted.clauses.iter().all(common)
    }

    fn clause(&mut self, at: usize, clause: &Clause, last: bool) -> Forms {
        let f = *self.fields;
        match clause {
            Clause::Word(chunk) => self.word(at, chunk, last, &weighted(&f)),
            Clause::Topic(chunk) => vec![Form::constant(written(f.topic_words, chunk), 0.0)],
            Clause::Author(chunk) => self.word(at, chunk, false, &[(f.author, AUTHOR)]),
            Clause::Phrase(chunks) => {
                let terms = placed(chunks);
                let field = |(field, weight)| Form::scored(phrase(field, &terms), weight);
                weighted(&f).into_iter().map(field).collect()
            }
        }
    }

    /// A word in one of these fields.
    fn word(&mut self, at: usize, chunk: &Chunk, last: bool, fields: &[(Field, f32)]) -> Forms {
        let begins = last || self.closeness >= Closeness::Beginnings;
        let beginning = beginning(chunk).filter(|_| begins);
        let mut any = Vec::new();
        for (field, weight) in fields.iter().copied() {
            // The word itself begins so, too; its books are not read twice.
            let whole = |query: Boxed, word: Option<&str>| {
                let least = if word.is_some() && word == beginning { weight * BEGINNING } else { 0.0 };
                Form::scored(query, weight).at_least(least)
            };
            any.push(whole(written(field, chunk), only_word(chunk)));
            any.extend(chunk.joined.as_ref().map(|joined| whole(term(field, joined), Some(joined))));
            any.extend(self.stem(field, chunk).map(|stem| Form::scored(stem, weight * STEM)));
            any.extend(beginning.map(|word| Form::constant(longer(field, word), weight * BEGINNING)));
            for correction in self.corrections.get(at).into_iter().flatten() {
                let weight = weight * TYPO.powi(i32::from(correction.typos));
                any.push(Form::scored(term(field, &correction.word), weight));
            }
        }
        any
    }

    /// Words of the same stem, in a field that has stems.
    fn stem(&mut self, field: Field, chunk: &Chunk) -> Option<Boxed> {
        let f = self.fields;
        let stems = [(f.title, f.title_stems), (f.subjects, f.subject_stems), (f.rest, f.rest_stems)];
        let (_, stems) = stems.into_iter().find(|(of, _)| *of == field)?;
        only_word(chunk).map(|word| term(stems, &self.stems.of(word)))
    }

    /// What makes a book better, if all words are plain: that they are its title, its author, or stand in its title in order.
    fn whole(&self, wanted: &Wanted) -> Vec<Forms> {
        let plain = wanted.clauses.iter().map(|clause| match clause {
            Clause::Word(chunk) => Some(chunk.clone()),
            _ => None,
        });
        let Some(chunks) = plain.collect::<Option<Vec<_>>>().filter(|chunks| !chunks.is_empty()) else {
            return Vec::new();
        };
        let text = chunks.iter().map(|chunk| chunk.joined.clone().unwrap_or_else(|| chunk.parts.join(" ")));
        let text = text.collect::<Vec<_>>().join(" ");
        let mut better = vec![Form::constant(term(self.fields.whole_title, &line(&text)), WHOLE_TITLE)];
        if text.contains(' ') {
            better.push(Form::constant(term(self.fields.whole_author, &names(&text)), WHOLE_AUTHOR));
        }
        if (2..=IN_ORDER_MAX).contains(&chunks.len()) {
            better.push(Form::scored(phrase(self.fields.title, &placed(&chunks)), IN_ORDER));
        }
        better.into_iter().map(|query| vec![query]).collect()
    }
}

/// The fields of words with their weights.
fn weighted(f: &Fields) -> [(Field, f32); 4] {
    [(f.title, TITLE), (f.author, AUTHOR), (f.subjects, SUBJECT), (f.rest, REST)]
}

/// How long a clause is, in bytes.
fn letters(clause: &Clause) -> usize {
    let of = |chunk: &Chunk| chunk.parts.iter().map(String::len).sum::<usize>();
    match clause {
        Clause::Word(chunk) | Clause::Author(chunk) | Clause::Topic(chunk) => of(chunk),
        Clause::Phrase(chunks) => chunks.iter().map(of).sum(),
    }
}

/// A word as it is written: a symbol, a word, or the parts of a compound one behind the other.
fn written(field: Field, chunk: &Chunk) -> Boxed {
    match (&chunk.symbol, &chunk.parts[..]) {
        (Some(symbol), [_]) => term(field, symbol),
        _ => phrase(field, &placed(std::slice::from_ref(chunk))),
    }
}

/// What a longer word may begin with.
fn beginning(chunk: &Chunk) -> Option<&str> {
    chunk.joined.as_deref().or_else(|| only_word(chunk))
}

/// The word that the piece is.
fn only_word(chunk: &Chunk) -> Option<&str> {
    match &chunk.parts[..] {
        [word] if chunk.symbol.is_none() => Some(word),
        _ => None,
    }
}

/// The words of some pieces with their places.
fn placed(chunks: &[Chunk]) -> Vec<(usize, &str)> {
    let mut placed = Vec::new();
    let mut position = 0;
    for chunk in chunks {
        for (at, part) in chunk.parts.iter().enumerate() {
            let symbol = chunk.symbol.as_deref().filter(|_| at + 1 == chunk.parts.len());
            placed.push((position, symbol.unwrap_or(part)));
            position += 1;
        }
        position += usize::from(chunk.pairs);
    }
    placed
}

fn phrase(field: Field, words: &[(usize, &str)]) -> Boxed {
    match words {
        [(_, word)] => term(field, word),
        _ => {
            let terms = words.iter().map(|(at, word)| (*at, Term::from_field_text(field, word))).collect();
            Box::new(PhraseQuery::new_with_offset(terms))
        }
    }
}

fn term(field: Field, word: &str) -> Boxed {
    Box::new(TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs))
}

/// Every word that begins with this one and is longer.
fn longer(field: Field, beginning: &str) -> Boxed {
    let lower = Bound::Excluded(Term::from_field_text(field, beginning));
    // Behind every character that a word can have.
    let upper = Bound::Excluded(Term::from_field_text(field, &format!("{beginning}\u{10ffff}")));
    Box::new(InvertedIndexRangeQuery::new(lower, upper))
}
