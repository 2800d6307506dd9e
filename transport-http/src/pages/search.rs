//! Search results.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use bookstore_core::{Book, BookPage, Error, Query, Sort};

use super::{
    assets,
    form::{Fields, whole},
    notice::{Notice, sentence},
    render::page,
    text,
};
use crate::{
    api::{Answer, Shared, Shop, extract::TextInPath},
    error_status,
};

#[derive(Template)]
#[template(path = "search.html")]
struct Results {
    query: Query,
    heading: String,
    notice: Option<Notice>,
    books: Vec<Book>,
    sorts: Vec<SortLink>,
    /// The first page, if this is another one.
    first: Option<String>,
    next: Option<String>,
    /// The same words in every topic.
    everywhere: Option<String>,
    did_you_mean: Option<Proposal>,
}

/// Words that find more.
struct Proposal {
    words: String,
    url: String,
}

struct SortLink {
    label: &'static str,
    url: String,
    current: bool,
}

/// `GET /search`
pub(super) async fn search(State(shop): Shared, uri: Uri) -> Answer {
    results(&shop, None, &uri).await
}

/// `GET /search/{topic}`
pub(super) async fn search_topic(State(shop): Shared, TextInPath(topic): TextInPath, uri: Uri) -> Answer {
    results(&shop, Some(topic), &uri).await
}

async fn results(shop: &Shop, topic: Option<String>, uri: &Uri) -> Answer {
    let fields = Fields::of_uri(uri);
    let query = Query {
        words: fields.filled("q"),
        topic: topic.or_else(|| fields.filled("topic")),
        sort: sort(fields.text("sort")),
        page_size: whole(fields.text("page_size")).and_then(|size| u32::try_from(size).ok()),
        page_token: fields.filled("page_token"),
    };
    match shop.catalog.search(query.clone()).await {
        Ok(found) => page(StatusCode::OK, &Results::of(query, found)),
        Err(error @ Error::Invalid { .. }) => {
            let (status, _) = error_status::status(&error);
            page(status, &Results::new(query, Vec::new(), None, Some(explain(&error))))
        }
        Err(error) => Err(error.into()),
    }
}

/// An unknown order of books is no reason not to show them.
fn sort(name: &str) -> Sort {
    let others = [Sort::Title, Sort::Price, Sort::Newest];
    others.into_iter().find(|sort| text::sort_name(*sort) == name).unwrap_or_default()
}

fn explain(error: &Error) -> Notice {
    let Error::Invalid { field, message } = error else { return Notice::bad(sentence(&error.to_string())) };
    match field.as_str() {
        "q" => Notice::bad(format!("This is too much to search for: the words {message}.")),
        "topic" => Notice::bad(format!("There is no such topic: its name {message}.")),
        "page_token" => {
            Notice::bad("This link does not lead to a page of books any more.").link("/search", "See all books")
        }
        _ => Notice::bad(sentence(&error.to_string())),
    }
}

impl Results {
    fn of(query: Query, found: BookPage) -> Self {
        let other = |words: String| {
            let url = url(&Query { words: Some(words.clone()), ..query.clone() }, query.sort, None);
            Proposal { words, url }
        };
        let did_you_mean = found.did_you_mean.map(other);
        Self { did_you_mean, ..Self::new(query, found.books, found.next_page_token, None) }
    }

    fn new(query: Query, books: Vec<Book>, next_page_token: Option<String>, notice: Option<Notice>) -> Self {
        let heading = match (&query.words, &query.topic) {
            (Some(words), Some(topic)) => format!("“{words}” in {topic}"),
            (Some(words), None) => format!("“{words}”"),
            (None, Some(topic)) => topic.clone(),
            (None, None) => "All books".into(),
        };
        let everywhere = query.topic.as_ref().and(query.words.as_deref()).map(text::words_url);
        let first = query.page_token.is_some().then(|| url(&query, query.sort, None));
        let next = next_page_token.map(|token| url(&query, query.sort, Some(&token)));
        let sorts = sort_links(&query);
        Self { query, heading, notice, books, sorts, first, next, everywhere, did_you_mean: None }
    }

    fn hint(&self) -> &'static str {
        if self.query.words.is_some() {
            "Every word must begin a word of the title, the author or a subject. \
             Try fewer words, or only their beginnings."
        } else {
            "There is no book here."
        }
    }
}

fn sort_links(query: &Query) -> Vec<SortLink> {
    let relevance = if query.words.is_some() { "Best match" } else { "As listed" };
    let labels =
        [(Sort::Relevance, relevance), (Sort::Title, "Title"), (Sort::Price, "Price"), (Sort::Newest, "Newest")];
    let link = |(sort, label)| SortLink { label, url: url(query, sort, None), current: sort == query.sort };
    labels.into_iter().map(link).collect()
}

/// The same query, sorted this way, at this page.
fn url(query: &Query, sort: Sort, page_token: Option<&str>) -> String {
    let words = query.words.as_deref().unwrap_or_default();
    let path = query.topic.as_deref().map_or_else(|| "/search".into(), text::topic_url);
    let sort = if sort == Sort::default() { "" } else { text::sort_name(sort) };
    let size = query.page_size.map(|size| size.to_string()).unwrap_or_default();
    let page_token = page_token.unwrap_or_default();
    text::url(&path, &[("q", words), ("sort", sort), ("page_size", &size), ("page_token", page_token)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_query() {
        let query = Query {
            words: Some("war & peace".into()),
            topic: Some("History/War".into()),
            sort: Sort::Price,
            page_size: Some(5),
            page_token: Some("old".into()),
        };
        let next = url(&query, query.sort, Some("new"));
        assert_eq!(next, "/search?topic=History%2FWar&q=war%20%26%20peace&sort=price&page_size=5&page_token=new");
        assert_eq!(url(&Query::topic("Science"), Sort::Relevance, None), "/search/Science");
    }
}
