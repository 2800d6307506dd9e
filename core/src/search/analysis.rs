//! How texts and queries are divided into words: letters are folded, signs that belong to a word are kept, compounds are words
//! and their parts, and scripts without spaces are cut into pairs of characters.

use super::folding::{folded, is_letter, is_unspaced};

/// The most parts that a compound is also one word of, as `e-mail` is `email`.
const JOINED_PARTS_MAX: usize = 6;
/// The longest word that is indexed, in bytes; a longer one is cut.
const WORD_BYTES_MAX: usize = 100;

/// A piece of text between spaces and punctuation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Its words in order: one, or those of a compound, or pairs of characters. There is one at least.
    pub(super) parts: Vec<String>,
    /// The compound as one word: `obrien` for `O'Brien`, `usa` for `U.S.A.`.
    pub(super) joined: Option<String>,
    /// The last part with signs that belong to it: `c++`, `c#`, `.net`.
    pub(super) symbol: Option<String>,
    /// Whether the parts are pairs of characters, of a script that has no spaces.
    pub(super) pairs: bool,
}

/// A word of a text and where it stands; forms of one word stand at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) position: usize,
    pub(super) word: String,
}

/// The words of a text in every form in which they can be found.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut position = 0;
    for chunk in chunks(text) {
        let last = position + chunk.parts.len() - 1;
        tokens.extend(chunk.joined.map(|word| Token { position, word }));
        tokens.extend(chunk.symbol.map(|word| Token { position: last, word }));
        if chunk.pairs {
            // So that the last character can be found alone.
            let single = chunk.parts.last().and_then(|pair| pair.chars().nth(1));
            tokens.extend(single.map(|single| Token { position: last + 1, word: single.into() }));
        }
        for word in chunk.parts {
            tokens.push(Token { position, word });
            position += 1;
        }
        position += usize::from(chunk.pairs);
    }
    tokens.sort_by_key(|token| token.position);
    tokens
}

/// The pieces of a text, in order.
pub(super) fn chunks(text: &str) -> Vec<Chunk> {
    let chars = folded(text);
    let (mut chunks, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        if is_unspaced(chars[at]) {
            let end = at + chars[at..].iter().take_while(|c| is_unspaced(**c)).count();
            chunks.push(pairs(&chars[at..end]));
            at = end;
        } else if is_letter(chars[at]) {
            at = compound(&chars, at, &mut chunks);
        } else {
            at += 1;
        }
    }
    chunks
}

/// The words of a text in one line, as they are compared as a whole.
pub(super) fn line(text: &str) -> String {
    let words = chunks(text).into_iter().map(|chunk| chunk.joined.unwrap_or_else(|| chunk.parts.join(" ")));
    words.collect::<Vec<_>>().join(" ")
}

/// Reads the compound that begins at `start`, and returns its end.
fn compound(chars: &[char], start: usize, chunks: &mut Vec<Chunk>) -> usize {
    let at_letter = |at: usize| chars.get(at).is_some_and(|c| is_letter(*c) && !is_unspaced(*c));
    let (mut parts, mut at, mut dotted) = (Vec::new(), start, start > 0 && chars[start - 1] == '.');
    loop {
        let from = at;
        while at_letter(at) {
            at += 1;
        }
        parts.push(cut(chars[from..at].iter().collect()));
        let joins = matches!(chars.get(at), Some('\'' | '-' | '.')) && at_letter(at + 1);
        if !joins {
            break;
        }
        dotted = chars[at] == '.';
        at += 1;
    }
    let signs: String = chars[at..].iter().take_while(|c| matches!(c, '+' | '#')).take(2).collect();
    let last = parts.last().expect("one at least").clone();
    let symbol = if !signs.is_empty() && !at_letter(at + signs.len()) {
        Some(format!("{last}{signs}"))
    } else {
        (dotted && last == "net" && parts[0] != "www").then(|| ".net".to_owned())
    };
    let joined = (2..=JOINED_PARTS_MAX).contains(&parts.len()).then(|| cut(parts.concat()));
    chunks.push(Chunk { parts, joined, symbol, pairs: false });
    at
}

fn pairs(run: &[char]) -> Chunk {
    let parts = if run.len() == 1 {
        vec![run[0].to_string()]
    } else {
        run.windows(2).map(|two| two.iter().collect()).collect()
    };
    Chunk { parts, pairs: run.len() > 1, ..Chunk::default() }
}

fn cut(mut word: String) -> String {
    if word.len() > WORD_BYTES_MAX {
        word.truncate(word.floor_char_boundary(WORD_BYTES_MAX));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> String {
        let words: Vec<_> = tokens(text).into_iter().map(|token| format!("{}{}", token.word, token.position)).collect();
        words.join(" ")
    }

    #[test]
    fn texts_are_divided_into_words() {
        for (text, expected) in [
            ("The Green MILE", "the0 green1 mile2"),
            ("O’Brien's e-mail", "obriens0 o0 brien1 s2 email3 e3 mail4"),
            ("Core C++ & C#, COM+", "core0 c++1 c1 c#2 c2 com+3 com3"),
            ("ASP.NET, .NET", "aspnet0 asp0 .net1 net1 .net2 net2"),
            ("U.S.A.", "usa0 u0 s1 a2"),
            ("Władysław Søren Đorđe Strauß Næss Þór", "wladyslaw0 soren1 dorde2 strauss3 naess4 thor5"),
            ("cafe\u{301} na\u{ef}ve", "cafe0 naive1"),
            ("日本語の本", "日本0 本語1 語の2 の本3 本4"),
            ("שָׁלוֹם", "שלום0"),
            ("हिन्दी", "हिन्दी0"),
            ("x86-64", "x86640 x860 641"),
            ("… % + - '", ""),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
        assert_eq!(line("Frankenstein, or, The e-mail"), "frankenstein or the email");
    }

    proptest! {
        #[test]
        fn any_text_is_divided(text in any::<String>()) {
            for token in tokens(&text) {
                prop_assert!(!token.word.is_empty() && token.word.len() <= WORD_BYTES_MAX + 8);
            }
        }
    }
}
