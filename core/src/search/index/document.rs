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

/// Places between the words of two texts.
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
    let title = apart([text.title(), text.subtitle()].into_iter());
    let (authors, subjects) = (apart(text.authors()), apart(text.subjects()));
    let rest = apart([text.publisher(), text.description()].into_iter());
    let mut document = TantivyDocument::new();
    document.add_u64(fields.id, id.0);
    put(&mut document, fields.title_stems, &stemmed(stems, &title));
    put(&mut document, fields.subject_stems, &stemmed(stems, &subjects));
    put(&mut document, fields.rest_stems, &stemmed(stems, &rest));
    put(&mut document, fields.words, &[&title[..], &authors, &subjects, &rest].concat());
    put(&mut document, fields.title, &title);
    put(&mut document, fields.author, &authors);
    put(&mut document, fields.subjects, &subjects);
    put(&mut document, fields.rest, &rest);
    document.add_text(fields.whole_title, line(text.title()));
    if let Some((before, _)) = text.title().split_once([':', ',', ';']) {
        document.add_text(fields.whole_title, line(before));
    }
    if !text.subtitle().is_empty() {
        document.add_text(fields.whole_title, line(&format!("{} {}", text.title(), text.subtitle())));
    }
    document.add_text(fields.whole_author, names(text.author()));
    if text.authors().nth(1).is_some() {
        text.authors().for_each(|author| document.add_text(fields.whole_author, names(author)));
    }
    put(&mut document, fields.topic_words, &tokens(text.topic()));
    if let Some(isbn) = text.isbn() {
        document.add_text(fields.isbn, isbn.digits());
    }
    document
}

/// The words of several texts, so far apart that no phrase reaches from one into the next.
fn apart<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Token> {
    let mut words: Vec<Token> = Vec::new();
    for text in texts {
        let from = words.last().map_or(0, |last| last.position + GAP);
        words.extend(tokens(text).into_iter().map(|token| Token { position: from + token.position, ..token }));
    }
    words
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
