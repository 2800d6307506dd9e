//! Query strings: every parameter known, given once, and readable.

use axum::http::Uri;
use bookstore_core::{
    Error, OrderQuery, Query, Result, Seq, Sort, TopicQuery, TopicSort,
    catalog::{ENTRIES_MAX, WAIT_MAX},
};
use std::{str::FromStr, time::Duration};

/// The parameters of one request, checked against those that its path knows.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(uri: &Uri, known: &[&str]) -> Result<Self> {
        let pairs: Vec<(String, String)> =
            uri.query().map_or(Vec::new(), |query| form_urlencoded::parse(query.as_bytes()).into_owned().collect());
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let message = match known {
                    [] => format!("unknown query parameter {name:?}; there are none here"),
                    _ => format!("unknown query parameter {name:?}; there are {}", known.join(", ")),
                };
                return Err(Error::malformed(message));
            }
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::malformed(format!("the query parameter {name} is given twice")));
            }
        }
        Ok(Self(pairs))
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let read = |text: String| {
            text.parse()
                .map_err(|_| Error::invalid(name, format!("must be a whole number within its range, not {text:?}")))
        };
        self.text(name).map(read).transpose()
    }

    fn sort(&mut self) -> Result<Sort> {
        let Some(name) = self.text("sort") else { return Ok(Sort::default()) };
        match name.as_str() {
            "relevance" => Ok(Sort::Relevance),
            "title" => Ok(Sort::Title),
            "price" => Ok(Sort::Price),
            "newest" => Ok(Sort::Newest),
            _ => Err(Error::invalid("sort", format!("must be relevance, title, price or newest, not {name:?}"))),
        }
    }
}

/// The query of `GET /search`, or of `GET /search/{topic}`.
pub(super) fn search(uri: &Uri, topic: Option<String>) -> Result<Query> {
    const ALL: &[&str] = &["q", "sort", "page_size", "page_token", "topic"];
    let known = if topic.is_some() { &ALL[..4] } else { ALL };
    let mut parameters = Parameters::of(uri, known)?;
    Ok(Query {
        words: parameters.text("q"),
        sort: parameters.sort()?,
        page_size: parameters.number("page_size")?,
        page_token: parameters.text("page_token"),
        topic: topic.or_else(|| parameters.text("topic")),
    })
}

/// The query of `GET /topics`.
pub(super) fn topics(uri: &Uri) -> Result<TopicQuery> {
    let mut parameters = Parameters::of(uri, &["sort", "page_size", "page_token"])?;
    let sort = match parameters.text("sort").as_deref() {
        None | Some("name") => TopicSort::Name,
        Some("books") => TopicSort::Books,
        Some(other) => return Err(Error::invalid("sort", format!("must be name or books, not {other:?}"))),
    };
    Ok(TopicQuery { sort, page_size: parameters.number("page_size")?, page_token: parameters.text("page_token") })
}

/// The query of `GET /orders`.
pub(super) fn orders(uri: &Uri) -> Result<OrderQuery> {
    let mut parameters = Parameters::of(uri, &["page_size", "page_token"])?;
    Ok(OrderQuery { page_size: parameters.number("page_size")?, page_token: parameters.text("page_token") })
}

/// The query of `GET /entries`: after which entry, at most how many, and how long to wait for one.
pub(super) fn entries(uri: &Uri) -> Result<(Seq, usize, Duration)> {
    let mut parameters = Parameters::of(uri, &["after", "limit", "wait_ms"])?;
    let after = Seq(parameters.number("after")?.unwrap_or_default());
    let limit = parameters.number("limit")?.unwrap_or(ENTRIES_DEFAULT);
    let wait = Duration::from_millis(parameters.number("wait_ms")?.unwrap_or_default());
    if i64::try_from(after.0).is_err() {
        return Err(Error::invalid("after", "no ledger is that long"));
    }
    if !(1..=ENTRIES_MAX).contains(&limit) {
        return Err(Error::invalid("limit", format!("must be from 1 to {ENTRIES_MAX}")));
    }
    if wait > WAIT_MAX {
        return Err(Error::invalid("wait_ms", format!("must be at most {}", WAIT_MAX.as_millis())));
    }
    Ok((after, limit, wait))
}

/// Entries a page, unless asked otherwise.
const ENTRIES_DEFAULT: usize = 100;

/// For paths without a query.
pub(super) fn none(uri: &Uri) -> Result<()> {
    Parameters::of(uri, &[]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Query> {
        search(&format!("/search?{query}").parse().unwrap(), None)
    }

    #[test]
    fn a_search_is_read() {
        let query = read("q=caf%C3%A9+noir&sort=price&page_size=5&topic=&page_token=x").unwrap();
        assert_eq!(query.words.as_deref(), Some("café noir"));
        assert_eq!((query.sort, query.page_size, query.page_token.as_deref()), (Sort::Price, Some(5), Some("x")));
        assert_eq!(query.topic.as_deref(), Some(""));
        assert_eq!(read("").unwrap(), Query::default());
    }

    #[test]
    fn a_topic_stands_in_the_path_or_in_the_query() {
        let uri = "/search/x?topic=y".parse().unwrap();
        assert!(matches!(search(&uri, Some("x".into())), Err(Error::Malformed { .. })));
        let uri = "/search/x?q=y".parse().unwrap();
        assert_eq!(search(&uri, Some("x".into())).unwrap().topic.as_deref(), Some("x"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, code, word) in [
            ("q=a&q=b", "malformed", "twice"),
            ("colour=red", "malformed", "colour"),
            ("page_size=ten", "invalid", "page_size"),
            ("page_size=-1", "invalid", "page_size"),
            ("sort=banana", "invalid", "banana"),
        ] {
            let error = read(query).unwrap_err();
            assert_eq!(error.code(), code, "{query}");
            assert!(error.to_string().contains(word), "{query}: {error}");
        }
    }
}
