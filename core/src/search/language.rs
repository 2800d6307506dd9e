//! What a query asks for: words, phrases in quotes, `author:`, `topic:` and `isbn:`, or an ISBN alone.
//!
//! Any text is a query. What is no use of the language, such as a quote that does not end, is plain words.

use super::analysis::{Chunk, chunks};
use crate::book::Isbn;

/// Words of a query; more are not searched for.
const CHUNKS_MAX: usize = 32;

/// A query, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// A book must have each of them.
    pub(super) clauses: Vec<Clause>,
    /// A book must have one of these ISBNs, of 13 digits, if there are any.
    pub(super) isbns: Vec<String>,
}

/// One thing that a book must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    /// A word in title, author or subjects.
    Word(Chunk),
    /// These words, one behind the other.
    Phrase(Vec<Chunk>),
    /// A word in the author.
    Author(Chunk),
    /// A word of the topic.
    Topic(Chunk),
}

impl Wanted {
    /// Reads a query.
    pub(super) fn read(text: &str) -> Self {
        if let Some(isbn) = isbn13(text) {
            return Self { isbns: vec![isbn], ..Self::default() };
        }
        let mut wanted = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            rest = wanted.take(rest).trim_start();
        }
        wanted
    }

    /// Whether it asks for nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.clauses.is_empty() && self.isbns.is_empty()
    }

    /// Reads what is first in `text`, and returns what follows.
    fn take<'a>(&mut self, text: &'a str) -> &'a str {
        for (name, add) in FIELDS {
            if let Some(rest) = strip_name(text, name) {
                let (value, rest) = if name == "isbn:" { number(rest) } else { value(rest) };
                if add(self, value) {
                    return rest;
                }
            }
        }
        if let Some((phrase, rest)) = quoted(text) {
            let chunks = chunks(phrase);
            match <[Chunk; 1]>::try_from(chunks) {
                Ok([word]) => self.add(Clause::Word(word)),
                Err(chunks) if chunks.is_empty() => {}
                Err(mut chunks) => {
                    chunks.truncate(CHUNKS_MAX);
                    self.add(Clause::Phrase(chunks));
                }
            }
            return rest;
        }
        let (word, rest) = word(text);
        chunks(word).into_iter().for_each(|chunk| self.add(Clause::Word(chunk)));
        rest
    }

    fn add(&mut self, clause: Clause) {
        if self.clauses.len() < CHUNKS_MAX && !self.clauses.contains(&clause) {
            self.clauses.push(clause);
        }
    }
}

/// Takes a field's value in, and says whether it is one.
type Add = fn(&mut Wanted, &str) -> bool;

const FIELDS: [(&str, Add); 3] = [("author:", add_author), ("topic:", add_topic), ("isbn:", add_isbn)];

fn add_author(wanted: &mut Wanted, value: &str) -> bool {
    add_words(wanted, value, Clause::Author)
}

fn add_topic(wanted: &mut Wanted, value: &str) -> bool {
    add_words(wanted, value, Clause::Topic)
}

fn add_words(wanted: &mut Wanted, value: &str, clause: fn(Chunk) -> Clause) -> bool {
    let chunks = chunks(value);
    let any = !chunks.is_empty();
    chunks.into_iter().for_each(|chunk| wanted.add(clause(chunk)));
    any
}

fn add_isbn(wanted: &mut Wanted, value: &str) -> bool {
    let isbn = isbn13(value);
    let any = isbn.is_some();
    wanted.isbns.extend(isbn.filter(|_| wanted.isbns.len() < CHUNKS_MAX));
    any
}

/// An ISBN in any spelling as 13 digits.
fn isbn13(text: &str) -> Option<String> {
    Isbn::read(text).ok().flatten().map(Isbn::digits)
}

fn strip_name<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let head = text.get(..name.len())?;
    head.eq_ignore_ascii_case(name).then(|| &text[name.len()..])
}

/// The value of a field, in quotes or up to a space; and what follows.
fn value(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    quoted(text).unwrap_or_else(|| word(text))
}

/// The digits of an ISBN with what may stand between them.
fn number(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (first, rest) = word(text);
    if isbn13(first).is_some() {
        return (first, rest);
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | ' ' | 'x' | 'X'))).unwrap_or(text.len());
    text.split_at(end)
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// What stands in quotes at the beginning of the text.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix(['"', '“', '”', '„'])?;
    let end = inner.find(['"', '“', '”'])?;
    let after = &inner[end..];
    Some((&inner[..end], &after[after.chars().next().map_or(0, char::len_utf8)..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let name = |chunk: &Chunk| chunk.symbol.clone().unwrap_or_else(|| chunk.parts.join("-"));
        let Wanted { clauses, isbns } = Wanted::read(text);
        let clause = |clause: Clause| match clause {
            Clause::Word(chunk) => name(&chunk),
            Clause::Author(chunk) => format!("by:{}", name(&chunk)),
            Clause::Topic(chunk) => format!("in:{}", name(&chunk)),
            Clause::Phrase(chunks) => format!("[{}]", chunks.iter().map(name).collect::<Vec<_>>().join(" ")),
        };
        clauses.into_iter().map(clause).chain(isbns).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn queries_are_read() {
        for (query, expected) in [
            ("The green  Mile", "the green mile"),
            ("\"green mile\" king", "[green mile] king"),
            ("green mile\"", "green mile"),
            ("\"green mile", "green mile"),
            ("author:king Author:\"le guin\"", "by:king by:le by:guin"),
            ("author: x topic:\"Fine Arts\"", "by:x in:fine in:arts"),
            ("author:", "author"),
            ("isbn:978-0-439-13959-5 x", "x 9780439139595"),
            ("0-439-13959-7", "9780439139595"),
            ("ISBN-13: 978 0439139595", "9780439139595"),
            ("isbn:dracula", "isbn dracula"),
            ("080442957x", "9780804429573"),
            ("1234567890", "1234567890"),
            ("a a A", "a"),
            ("C++ (.NET)", "c++ .net"),
            ("% \"\" ()", ""),
        ] {
            assert_eq!(shown(query), expected, "{query:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_query(text in any::<String>(), pieces in proptest::collection::vec(prop_oneof![
            Just("author:"), Just("topic:"), Just("isbn:"), Just("\""), Just("”"), Just(" "), Just("0-439-13959-7"), Just("é"), Just("日本")
        ], 0..20)) {
            for text in [text, pieces.concat()] {
                prop_assert!(Wanted::read(&text).clauses.len() <= CHUNKS_MAX);
            }
        }
    }
}
