//! The simplest search by words: it looks at every text. It is the model in tests, and the answer where there is no index.

use crate::{book::Text, page::terms};

/// How well a text matches these words, the best has the lowest rank: the sum over the words of 0 for the title, 1 for the author, 2
/// for a subject. `None` if a word begins no word of them, or if there are no words.
pub(crate) fn rank(words: &[String], text: &Text) -> Option<f64> {
    let begins = |field: &str, word: &String| terms(field).iter().any(|term| term.starts_with(word.as_str()));
    let ranks = words.iter().map(|word| {
        if begins(text.title(), word) {
            Some(0.0)
        } else if begins(text.author(), word) {
            Some(1.0)
        } else {
            text.subjects().any(|subject| begins(subject, word)).then_some(2.0)
        }
    });
    ranks.sum::<Option<f64>>().filter(|_| !words.is_empty())
}
