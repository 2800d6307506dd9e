//! How values read on a page, and the addresses of links. Templates call these, and pass everything by reference.

use bookstore_core::{Order, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Display;

/// Stock up to here is worth pointing out.
const LOW_STOCK: u32 = 5;

/// All but RFC 3986's unreserved characters: encoded like this, a text is good in a path and in a query.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Colours and patterns that a cover can have.
const TONES: u64 = 8;
const MOTIFS: u64 = 4;

/// `1,234,567`
pub(crate) fn number(n: &impl Display) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 book`, `2 books`
pub(crate) fn count(n: &impl Display, thing: &str) -> String {
    let n = number(n);
    if n == "1" { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// What the buyer needs to know about the stock; `assets/shop.js` says the same.
pub(crate) fn stock(stock: &u32) -> String {
    match *stock {
        0 => "Sold out".into(),
        1..=LOW_STOCK => format!("Only {stock} left"),
        _ => format!("{} in stock", number(stock)),
    }
}

/// How the stock looks.
pub(crate) fn stock_class(stock: &u32) -> &'static str {
    match *stock {
        0 => "out",
        1..=LOW_STOCK => "low",
        _ => "in",
    }
}

/// The look of a book's cover: always the same for one title.
pub(crate) fn cover(title: &str) -> String {
    // The upper half of an FNV hash is the well mixed one.
    let hash = super::assets::hash(title.as_bytes()) >> 32;
    format!("tone-{} motif-{}", hash % TONES, hash / TONES % MOTIFS)
}

/// `2004`, `400 BC`
pub(crate) fn year(year: &i32) -> String {
    if *year < 0 { format!("{} BC", year.unsigned_abs()) } else { year.to_string() }
}

/// `22 November 2025, 16:39 UTC`
pub(crate) fn when(time: &Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(time) => time.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        Err(_) => time.to_string(),
    }
}

/// All copies of an order together.
pub(crate) fn copies(order: &Order) -> String {
    number(&order.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>())
}

/// Every book of a topic.
pub(crate) fn topic_url(topic: &str) -> String {
    // What a browser or a proxy would resolve away or split cannot be part of a path.
    if topic.contains(['/', '\\']) || topic.chars().all(|c| c == '.') {
        return format!("/search?topic={}", encode(topic));
    }
    format!("/search/{}", encode(topic))
}

/// Every book with these words.
pub(crate) fn words_url(words: &str) -> String {
    format!("/search?q={}", encode(words))
}

/// A link to an author's books.
pub(crate) fn author_url(author: &str) -> String {
    format!("/search?author={}", encode(author))
}

/// A link to `path` with those of the parameters that have a value.
pub(crate) fn url(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = path.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.extend(encode(value));
    }
    url
}

fn encode(text: &str) -> impl Iterator<Item = &str> + Display {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(&123), "123");
        assert_eq!(number(&1_234_567), "1,234,567");
        assert_eq!(count(&1, "book"), "1 book");
        assert_eq!(count(&0, "book"), "0 books");
        assert_eq!(count(&60_638, "book"), "60,638 books");
    }

    #[test]
    fn stock_is_said_in_words() {
        assert_eq!((stock(&0), stock_class(&0)), ("Sold out".into(), "out"));
        assert_eq!((stock(&5), stock_class(&5)), ("Only 5 left".into(), "low"));
        assert_eq!((stock(&1200), stock_class(&1200)), ("1,200 in stock".into(), "in"));
    }

    #[test]
    fn links_keep_every_character_of_a_topic() {
        assert_eq!(topic_url("distributed systems"), "/search/distributed%20systems");
        assert_eq!(topic_url("a?b#c%d&e\"<"), "/search/a%3Fb%23c%25d%26e%22%3C");
        assert_eq!(topic_url("naïve"), "/search/na%C3%AFve");
        assert_eq!(topic_url("Naval/Military"), "/search?topic=Naval%2FMilitary");
        assert_eq!(topic_url(".."), "/search?topic=..");
        let parameters = [("q", ""), ("sort", "price"), ("page_token", "a=b")];
        assert_eq!(url("/search", &parameters), "/search?sort=price&page_token=a%3Db");
    }

    #[test]
    fn times_and_years_read_well() {
        assert_eq!(when(&Timestamp(1_763_829_540_000)), "22 November 2025, 16:39 UTC");
        assert_eq!((year(&2004), year(&-400)), ("2004".into(), "400 BC".into()));
    }
}
