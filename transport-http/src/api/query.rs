//! Query strings: every parameter known, given once, and readable.

use axum::http::Uri;
use bookstore_core::{
    BookId, Cents, Error, OrderQuery, Period, Query, Result, Seq, Sort, SuggestQuery, TopicQuery, TopicSort,
    catalog::{ENTRIES_MAX, WAIT_MAX},
};
use std::{str::FromStr, time::Duration};

use crate::book_ids::{read_id, read_ids};

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

    fn cents(&mut self, name: &str) -> Result<Option<Cents>> {
        let read = |cents| Cents::new(cents).map_err(|_| Error::invalid(name, "is more than any book costs"));
        self.number(name)?.map(read).transpose()
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        match self.text(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::invalid(name, format!("must be true or false, not {other:?}"))),
        }
    }

    /// Anything that says itself what is wrong with it. An empty field of a form is none.
    fn parsed<T: FromStr<Err = Error>>(&mut self, name: &str) -> Result<Option<T>> {
        let read = |text: String| {
            text.parse().map_err(|error: Error| match error {
                Error::Malformed { message } => Error::invalid(name, message),
                error => error,
            })
        };
        self.text(name).filter(|text| !text.is_empty()).map(read).transpose()
    }

    /// A list with commas.
    fn list<T: FromStr<Err = Error>>(&mut self, name: &str) -> Result<Vec<T>> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').filter(|_| !text.is_empty()).map(str::parse).collect()
    }
}

/// The query of `GET /search`; of `GET /search/{topic}` and `GET /authors/{name}` with what their paths name.
pub(super) fn search(uri: &Uri, topic: Option<String>, author: Option<String>) -> Result<Query> {
    const ALL: [&str; 13] = [
        "q",
        "topic",
        "author",
        "in_stock",
        "price_min",
        "price_max",
        "year_min",
        "year_max",
        "sold",
        "facets",
        "sort",
        "page_size",
        "page_token",
    ];
    let in_path = [("topic", topic.is_some()), ("author", author.is_some())];
    let known: Vec<&str> = ALL.into_iter().filter(|name| !in_path.contains(&(*name, true))).collect();
    let mut parameters = Parameters::of(uri, &known)?;
    Ok(Query {
        words: parameters.text("q"),
        topic: topic.or_else(|| parameters.text("topic")),
        author: author.or_else(|| parameters.text("author")),
        in_stock: parameters.flag("in_stock")?,
        price_min: parameters.cents("price_min")?,
        price_max: parameters.cents("price_max")?,
        year_min: parameters.number("year_min")?,
        year_max: parameters.number("year_max")?,
        sold: parameters.text("sold").map(|text| text.parse()).transpose()?,
        facets: parameters.list("facets")?,
        sort: parameters.text("sort").map_or(Ok(Sort::default()), |name| name.parse())?,
        page_size: parameters.number("page_size")?,
        page_token: parameters.text("page_token"),
    })
}

/// The query of `GET /new`.
pub(super) fn new(uri: &Uri) -> Result<Query> {
    let mut parameters = Parameters::of(uri, &["page_size", "page_token"])?;
    let (page_size, page_token) = (parameters.number("page_size")?, parameters.text("page_token"));
    Ok(Query { sort: Sort::NewlyListed, page_size, page_token, ..Query::default() })
}

/// The query of `GET /bestsellers`: without `days`, of all times.
pub(super) fn best_sellers(uri: &Uri) -> Result<Query> {
    let mut parameters = Parameters::of(uri, &["days", "page_size", "page_token"])?;
    let period = parameters.text("days").map_or(Ok(Period::Ever), |days| Period::of_days(&days))?;
    let (page_size, page_token) = (parameters.number("page_size")?, parameters.text("page_token"));
    Ok(Query { page_size, page_token, ..Query::best_sellers(period) })
}

/// The query of `GET /suggest`.
pub(super) fn suggest(uri: &Uri) -> Result<SuggestQuery> {
    let mut parameters = Parameters::of(uri, &["q", "limit"])?;
    Ok(SuggestQuery { text: parameters.text("q").unwrap_or_default(), limit: parameters.number("limit")? })
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
    let known = ["reference", "status", "book", "from", "to", "contact", "page_size", "page_token"];
    let mut parameters = Parameters::of(uri, &known)?;
    Ok(OrderQuery {
        reference: parameters.parsed("reference")?,
        status: parameters.parsed("status")?,
        book: parameters.text("book").filter(|book| !book.is_empty()).map(|book| read_id("book", &book)).transpose()?,
        from: parameters.parsed("from")?,
        to: parameters.parsed("to")?,
        contact: parameters.text("contact").filter(|words| !words.is_empty()),
        page_size: parameters.number("page_size")?,
        page_token: parameters.text("page_token"),
    })
}

/// The query of `GET /books`.
pub(super) fn books(uri: &Uri) -> Result<Vec<BookId>> {
    read_ids(&Parameters::of(uri, &["ids"])?.text("ids").unwrap_or_default())
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
    use bookstore_core::Facet;

    fn read(query: &str) -> Result<Query> {
        search(&format!("/search?{query}").parse().unwrap(), None, None)
    }

    #[test]
    fn a_search_is_read() {
        let query = read("q=caf%C3%A9+noir&sort=price&page_size=5&topic=&page_token=x").unwrap();
        assert_eq!(query.words.as_deref(), Some("café noir"));
        assert_eq!((query.sort, query.page_size, query.page_token.as_deref()), (Sort::Price, Some(5), Some("x")));
        assert_eq!(query.topic.as_deref(), Some(""));
        assert_eq!(read("").unwrap(), Query::default());
        let query =
            read("in_stock=true&price_max=1999&year_min=-50&author=Roe&facets=topic,year&sort=price_desc&sold=30")
                .unwrap();
        let cents = Cents::new(1999).unwrap();
        let expected = Query {
            in_stock: true,
            price_max: Some(cents),
            year_min: Some(-50),
            sold: Some(Period::Month),
            facets: vec![Facet::Topic, Facet::Year],
            sort: Sort::PriceDesc,
            ..Query::author("Roe")
        };
        assert_eq!(query, expected);
    }

    #[test]
    fn a_topic_stands_in_the_path_or_in_the_query() {
        let uri = "/search/x?topic=y".parse().unwrap();
        assert!(matches!(search(&uri, Some("x".into()), None), Err(Error::Malformed { .. })));
        let uri = "/search/x?q=y".parse().unwrap();
        assert_eq!(search(&uri, Some("x".into()), None).unwrap().topic.as_deref(), Some("x"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, code, word) in [
            ("q=a&q=b", "malformed", "twice"),
            ("colour=red", "malformed", "colour"),
            ("page_size=ten", "invalid", "page_size"),
            ("page_size=-1", "invalid", "page_size"),
            ("sort=banana", "invalid", "banana"),
            ("in_stock=1", "invalid", "in_stock"),
            ("price_min=9.99", "invalid", "price_min"),
            ("price_max=9999999999999999", "invalid", "price_max"),
            ("facets=colour", "invalid", "colour"),
            ("sold=8", "invalid", "sold"),
        ] {
            let error = read(query).unwrap_err();
            assert_eq!(error.code(), code, "{query}");
            assert!(error.to_string().contains(word), "{query}: {error}");
        }
    }
}
