//! What the index holds of a book.

use std::fmt;
use tantivy::{
    TantivyDocument,
    schema::Field,
    tokenizer::{self, Language, PreTokenizedString, RawTokenizer, Stemmer, TextAnalyzer},
};

use super::{
    super::analysis::{Token, line, tokens},
    schema::Fields,
};
use crate::{book::Text, id::BookId};

/// Between the words of two subjects, so that no phrase reaches from one into the next.
const GAP: usize = 100;

/// Finds the stem of English words: `mines` and `mining` are `mine`.
#[derive(Clone)]
pub(super) struct Stems(TextAnalyzer);

impl fmt::Debug for Stems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stems").finish_non_exhaustive()
    }
}

impl Stems {
    pub(super) fn new() -> Self {
        Self(TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(Language::English)).build())
    }

    pub(super) fn of(&mut self, word: &str) -> String {
        let mut stream = self.0.token_stream(word);
        if stream.advance() { stream.token().text.clone() } else { word.to_owned() }
    }
}

/// The document of a book.
pub(super) fn document(fields: &Fields, stems: &mut Stems, id: BookId, text: &Text) -> TantivyDocument {
    let (title, author) = (tokens(text.title()), tokens(text.author()));
    let mut subjects: Vec<Token> = Vec::new();
    for subject in text.subjects() {
        let from = subjects.last().map_or(0, |last| last.position + GAP);
        subjects.extend(tokens(subject).into_iter().map(|token| Token { position: from + token.position, ..token }));
    }
    let mut document = TantivyDocument::new();
    document.add_u64(fields.id, id.0);
    put(&mut document, fields.title_stems, &stemmed(stems, &title));
    put(&mut document, fields.subject_stems, &stemmed(stems, &subjects));
    put(&mut document, fields.words, &[&title[..], &author, &subjects].concat());
    put(&mut document, fields.title, &title);
    put(&mut document, fields.author, &author);
    put(&mut document, fields.subjects, &subjects);
    document.add_text(fields.whole_title, line(text.title()));
    if let Some((before, _)) = text.title().split_once([':', ',', ';']) {
        document.add_text(fields.whole_title, line(before));
    }
    document.add_text(fields.whole_author, names(text.author()));
    put(&mut document, fields.topic_words, &tokens(text.topic()));
    if let Some(isbn) = text.isbn() {
        document.add_text(fields.isbn, isbn.digits());
    }
    document
}

/// The words of an author in alphabetical order, so that `Stephen King` is `King, Stephen`.
pub(super) fn names(author: &str) -> String {
    let line = line(author);
    let mut names: Vec<&str> = line.split(' ').collect();
    names.sort_unstable();
    names.join(" ")
}

fn stemmed(stems: &mut Stems, tokens: &[Token]) -> Vec<Token> {
    tokens.iter().map(|token| Token { word: stems.of(&token.word), ..*token }).collect()
}

/// Adds words that are divided already.
fn put(document: &mut TantivyDocument, field: Field, tokens: &[Token]) {
    if tokens.is_empty() {
        return;
    }
    let token = |token: &Token| tokenizer::Token {
        position: token.position,
        text: token.word.clone(),
        ..tokenizer::Token::default()
    };
    let tokens = tokens.iter().map(token).collect();
    document.add_pre_tokenized_text(field, PreTokenizedString { text: String::new(), tokens });
}
