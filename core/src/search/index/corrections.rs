//! What a word with typos may have been.

use std::collections::BTreeMap;
use tantivy::{Searcher, Term, query::FuzzyTermQuery};

use super::{
    super::{
        analysis::Chunk,
        language::{Clause, Wanted},
    },
    schema::Fields,
};

/// Words of fewer letters are taken as they are.
const ONE_TYPO_FROM: usize = 4;
/// Words of fewer letters have one typo.
const TWO_TYPOS_FROM: usize = 8;
/// The most words that one word may have been.
const CORRECTIONS_MAX: usize = 8;

/// A word that books have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Correction {
    pub(super) word: String,
    /// How many letters are added, missing, wrong, or exchanged with their neighbour: 1 or 2.
    pub(super) typos: u8,
    /// How many books have it.
    books: u64,
}

/// What each clause's word may have been: the closest ones, and of those the most frequent ones. None for what is no single word.
pub(super) fn corrections(
    searcher: &Searcher,
    fields: &Fields,
    wanted: &Wanted,
) -> tantivy::Result<Vec<Vec<Correction>>> {
    let of = |clause: &Clause| match clause {
        Clause::Word(chunk) | Clause::Author(chunk) => similar(searcher, fields, chunk),
        Clause::Phrase(_) | Clause::Topic(_) => Ok(Vec::new()),
    };
    wanted.clauses.iter().map(of).collect()
}

/// The query with each word that no book has replaced by the likeliest one; `None` if that changes nothing.
pub(super) fn did_you_mean(
    searcher: &Searcher,
    fields: &Fields,
    text: &str,
    wanted: &Wanted,
    corrections: &[Vec<Correction>],
) -> tantivy::Result<Option<String>> {
    let mut better = text.to_lowercase();
    let before = better.clone();
    for (clause, corrections) in wanted.clauses.iter().zip(corrections) {
        let (Clause::Word(chunk) | Clause::Author(chunk)) = clause else { continue };
        let (Some(word), Some(best)) = (plain(chunk), corrections.first()) else { continue };
        if searcher.doc_freq(&Term::from_field_text(fields.words, word))? == 0 {
            better = better.replacen(word, &best.word, 1);
        }
    }
    Ok(Some(better).filter(|better| *better != before))
}

fn plain(chunk: &Chunk) -> Option<&str> {
    match &chunk.parts[..] {
        [word] if !chunk.pairs && chunk.symbol.is_none() => Some(word),
        _ => chunk.joined.as_deref(),
    }
}

fn similar(searcher: &Searcher, fields: &Fields, chunk: &Chunk) -> tantivy::Result<Vec<Correction>> {
    let Some(word) = plain(chunk) else { return Ok(Vec::new()) };
    let typos_max = match word.chars().count() {
        letters if letters >= TWO_TYPOS_FROM => 2,
        letters if letters >= ONE_TYPO_FROM => 1,
        _ => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for typos in 1..=typos_max {
        let mut books = BTreeMap::new();
        within(searcher, fields, word, typos, &mut books)?;
        books.retain(|similar, _| similar != word && !found.iter().any(|found: &Correction| found.word == *similar));
        let mut more: Vec<_> = books.into_iter().map(|(word, books)| Correction { word, typos, books }).collect();
        more.sort_by_key(|correction| std::cmp::Reverse(correction.books));
        found.extend(more);
        found.truncate(CORRECTIONS_MAX);
    }
    Ok(found)
}

/// The words within so many typos, with their numbers of books.
fn within(
    searcher: &Searcher,
    fields: &Fields,
    word: &str,
    typos: u8,
    books: &mut BTreeMap<String, u64>,
) -> tantivy::Result<()> {
    let fuzzy = FuzzyTermQuery::new(Term::from_field_text(fields.words, word), typos, true);
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(fields.words)?;
        let mut words = index.terms().search(fuzzy.automaton()?).into_stream()?;
        while let Some((word, info)) = words.next() {
            if let Ok(word) = std::str::from_utf8(word) {
                *books.entry(word.to_owned()).or_default() += u64::from(info.doc_freq);
            }
        }
    }
    Ok(())
}
