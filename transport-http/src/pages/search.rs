//! Search results.

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use bookstore_core::{Book, BookPage, Error, Period, Query, Sort};

use super::{
    assets,
    filters::{self, Active, Group, url},
    form::{Fields, whole},
    money::Money,
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
    money: Money,
    /// How many were found on all pages.
    total: u64,
    sorts: Vec<SortLink>,
    active: Vec<Active>,
    groups: Vec<Group>,
    /// The first page, if this is another one.
    first: Option<String>,
    next: Option<String>,
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
    results(&shop, None, None, &uri).await
}

/// `GET /search/{topic}`
pub(super) async fn search_topic(State(shop): Shared, TextInPath(topic): TextInPath, uri: Uri) -> Answer {
    results(&shop, Some(topic), None, &uri).await
}

/// `GET /authors/{name}`
pub(super) async fn author(State(shop): Shared, TextInPath(author): TextInPath, uri: Uri) -> Answer {
    results(&shop, None, Some(author), &uri).await
}

/// `GET /bestsellers`
pub(super) async fn best_sellers(State(shop): Shared, uri: Uri) -> Answer {
    let fields = Fields::of_uri(&uri);
    let period = fields.text("days").parse().unwrap_or_default();
    let Query { page_size, page_token, .. } = read(&fields, None, None);
    answer(&shop, Query { page_size, page_token, ..Query::best_sellers(period) }).await
}

async fn results(shop: &Shop, topic: Option<String>, author: Option<String>, uri: &Uri) -> Answer {
    answer(shop, read(&Fields::of_uri(uri), topic, author)).await
}

async fn answer(shop: &Shop, query: Query) -> Answer {
    let (facets, money) = (filters::facets(&query), Money::of(shop).await);
    match shop.catalog.search(Query { facets, ..query.clone() }).await {
        Ok(found) => page(StatusCode::OK, &Results::of(query, found, money)),
        Err(error @ Error::Invalid { .. }) => {
            let (status, _) = error_status::status(&error);
            page(status, &Results::new(query, BookPage::default(), money, Some(explain(&error))))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a link or a form asks for. What cannot be read is no reason not to show books.
fn read(fields: &Fields, topic: Option<String>, author: Option<String>) -> Query {
    let number = |name| whole(fields.text(name));
    let year = |name| number(name).and_then(|year| i32::try_from(year).ok());
    Query {
        words: fields.filled("q"),
        topic: topic.or_else(|| fields.filled("topic")),
        author: author.or_else(|| fields.filled("author")),
        in_stock: fields.text("in_stock") == "true",
        price_min: fields.cents("price_min"),
        price_max: fields.cents("price_max"),
        year_min: year("year_min"),
        year_max: year("year_max"),
        sold: fields.text("sold").parse().ok(),
        facets: Vec::new(),
        sort: fields.text("sort").parse().unwrap_or_default(),
        page_size: number("page_size").and_then(|size| u32::try_from(size).ok()),
        page_token: fields.filled("page_token"),
    }
}

fn explain(error: &Error) -> Notice {
    let Error::Invalid { field, message } = error else { return Notice::bad(sentence(&error.to_string())) };
    match field.as_str() {
        "q" => Notice::bad(format!("This is too much to search for: the words {message}.")),
        "topic" => Notice::bad(format!("There is no such topic: its name {message}.")),
        "author" => Notice::bad(format!("There is no such author: the name {message}.")),
        "page_token" => {
            Notice::bad("This link does not lead to a page of books any more.").link("/search", "See all books")
        }
        _ => Notice::bad(sentence(&error.to_string())),
    }
}

impl Results {
    fn of(query: Query, mut found: BookPage, money: Money) -> Self {
        let other = |words: String| {
            let url = url(&Query { words: Some(words.clone()), page_token: None, ..query.clone() });
            Proposal { words, url }
        };
        let did_you_mean = found.did_you_mean.take().map(other);
        let groups = filters::groups(&query, found.facets.take(), money);
        Self { did_you_mean, groups, ..Self::new(query, found, money, None) }
    }

    fn new(query: Query, found: BookPage, money: Money, notice: Option<Notice>) -> Self {
        let BookPage { books, next_page_token, total, .. } = found;
        let heading = match (&query.words, query.topic.as_ref().or(query.author.as_ref())) {
            (Some(words), Some(within)) => format!("“{words}” in {within}"),
            (Some(words), None) => format!("“{words}”"),
            (None, Some(within)) => within.clone(),
            (None, None) if query.sort == Sort::BestSelling => best_sellers_of(query.sold),
            (None, None) => "All books".into(),
        };
        let at = |page_token| url(&Query { page_token, ..query.clone() });
        let first = query.page_token.is_some().then(|| at(None));
        let next = next_page_token.map(|token| at(Some(token)));
        let (sorts, active) = (sort_links(&query), filters::active(&query, money));
        let (groups, did_you_mean) = (Vec::new(), None);
        Self { query, heading, notice, books, money, total, sorts, active, groups, first, next, did_you_mean }
    }

    fn hint(&self) -> &'static str {
        if !self.active.is_empty() && self.query.words.is_some() {
            "Every word must begin a word of the title, the author or a subject. \
             Try fewer words, or without the filters."
        } else if self.query.words.is_some() {
            "Every word must begin a word of the title, the author or a subject. \
             Try fewer words, or only their beginnings."
        } else {
            "There is no book here yet."
        }
    }
}

fn best_sellers_of(period: Option<Period>) -> String {
    match period.and_then(Period::days) {
        Some(days) => format!("Best sellers of the last {days} days"),
        None => "Best sellers".into(),
    }
}

fn sort_links(query: &Query) -> Vec<SortLink> {
    let label = |sort| match sort {
        Sort::Relevance if query.words.is_some() => "Best match",
        Sort::Relevance => "As listed",
        Sort::Title => "Title",
        Sort::Price => "Lowest price",
        Sort::PriceDesc => "Highest price",
        Sort::Newest => "Newest",
        Sort::Oldest => "Oldest",
        Sort::NewlyListed => "Just listed",
        Sort::BestSelling => "Best sellers",
    };
    let link = |sort| SortLink {
        label: label(sort),
        url: url(&Query { sort, page_token: None, ..query.clone() }),
        current: sort == query.sort,
    };
    Sort::ALL.into_iter().map(link).collect()
}
