//! The filters beside search results: those that are on, and what each further one would leave.

use bookstore_core::{
    Facets, Period, Query, Sort,
    page::{Facet, FacetCount},
};

use super::{money::Money, text};

/// Values of one property that are offered.
const VALUES: usize = 10;
/// Prices that a search can be limited to, see [`Money::round`].
const PRICES: [u64; 3] = [10, 20, 50];

/// A filter that is on.
pub(super) struct Active {
    pub(super) label: String,
    /// The search without it.
    pub(super) without: String,
}

/// Filters of one kind that can be switched on.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) choices: Vec<Choice>,
}

/// A filter that can be switched on.
pub(super) struct Choice {
    pub(super) label: String,
    pub(super) url: String,
    /// How many books it leaves, if that was counted.
    pub(super) books: Option<u64>,
}

/// What to count for the filters that can still be switched on.
pub(super) fn facets(query: &Query) -> Vec<Facet> {
    let open = |facet: &Facet| match facet {
        Facet::Topic => query.topic.is_none(),
        Facet::Author => query.author.is_none(),
        Facet::Year => query.year_min.is_none() && query.year_max.is_none(),
    };
    Facet::ALL.into_iter().filter(open).collect()
}

/// The filters that are on.
pub(super) fn active(query: &Query, money: Money) -> Vec<Active> {
    let mut active = Vec::new();
    let mut add = |label: Option<String>, without: Query| {
        active.extend(label.map(|label| Active { label, without: url(&without) }));
    };
    add(query.topic.clone(), Query { topic: None, ..first(query) });
    add(query.author.clone(), Query { author: None, ..first(query) });
    add(query.in_stock.then(|| "In stock".to_owned()), Query { in_stock: false, ..first(query) });
    let price = range(query.price_min.as_ref(), query.price_max.as_ref(), |cents| money.show(cents));
    add(price, Query { price_min: None, price_max: None, ..first(query) });
    let year = range(query.year_min.as_ref(), query.year_max.as_ref(), text::year);
    add(year, Query { year_min: None, year_max: None, ..first(query) });
    add(query.sold.map(sold), Query { sold: None, ..first(query) });
    active
}

fn range<T: PartialEq>(min: Option<&T>, max: Option<&T>, shown: impl Fn(&T) -> String) -> Option<String> {
    Some(match (min, max) {
        (Some(min), Some(max)) if min == max => shown(min),
        (Some(min), Some(max)) => format!("{} to {}", shown(min), shown(max)),
        (Some(min), None) => format!("From {}", shown(min)),
        (None, Some(max)) => format!("Up to {}", shown(max)),
        (None, None) => return None,
    })
}

/// The filters that can be switched on.
pub(super) fn groups(query: &Query, facets: Option<Facets>, money: Money) -> Vec<Group> {
    let Facets { topic, author, year } = facets.unwrap_or_default();
    let mut groups = vec![
        Group {
            name: "Topic",
            choices: counted(topic, |value| Query { topic: Some(value.to_owned()), ..first(query) }),
        },
        Group {
            name: "Author",
            choices: counted(author, |value| Query { author: Some(value.to_owned()), ..first(query) }),
        },
        Group { name: "Year", choices: years(query, year) },
        Group { name: "Price", choices: prices(query, money) },
    ];
    if query.sort == Sort::BestSelling {
        groups.push(Group { name: "Sold", choices: periods(query) });
    }
    if !query.in_stock {
        let url = url(&Query { in_stock: true, ..first(query) });
        groups.push(Group { name: "Stock", choices: vec![Choice { label: "In stock".into(), url, books: None }] });
    }
    // One value of everything that was found is no choice.
    groups.retain(|group| group.choices.len() > usize::from(!matches!(group.name, "Price" | "Stock" | "Sold")));
    groups
}

fn counted(values: Option<Vec<FacetCount>>, with: impl Fn(&str) -> Query) -> Vec<Choice> {
    let values = values.into_iter().flatten().take(VALUES);
    let choice = |FacetCount { value, books }| Choice { url: url(&with(&value)), label: value, books: Some(books) };
    values.map(choice).collect()
}

fn years(query: &Query, values: Option<Vec<FacetCount>>) -> Vec<Choice> {
    let only = |value: &str| {
        let year = value.parse().ok();
        Query { year_min: year, year_max: year, ..first(query) }
    };
    let mut choices = counted(values, only);
    for choice in &mut choices {
        choice.label = choice.label.parse().map_or_else(|_| choice.label.clone(), |year: i32| text::year(&year));
    }
    choices
}

fn prices(query: &Query, money: Money) -> Vec<Choice> {
    if query.price_min.is_some() || query.price_max.is_some() {
        return Vec::new();
    }
    let prices = PRICES.into_iter().filter_map(|units| money.round(units));
    let choice = |cents| Choice {
        label: format!("Up to {}", money.show(&cents)),
        url: url(&Query { price_max: Some(cents), ..first(query) }),
        books: None,
    };
    prices.map(choice).collect()
}

fn periods(query: &Query) -> Vec<Choice> {
    let others = Period::ALL.into_iter().filter(|period| query.sold != Some(*period));
    let url = |period| url(&Query { sold: Some(period), ..first(query) });
    others.map(|period| Choice { label: sold(period), url: url(period), books: None }).collect()
}

fn sold(period: Period) -> String {
    period.days().map_or_else(|| "Ever sold".into(), |days| format!("Sold in the last {days} days"))
}

/// The first page of a query.
fn first(query: &Query) -> Query {
    Query { page_token: None, ..query.clone() }
}

/// The address of a search.
pub(super) fn url(query: &Query) -> String {
    let path = query.topic.as_deref().map_or_else(|| "/search".into(), text::topic_url);
    let shown = |value: Option<String>| value.unwrap_or_default();
    let sort = if query.sort == Sort::default() { "" } else { query.sort.name() };
    text::url(
        &path,
        &[
            ("q", query.words.as_deref().unwrap_or_default()),
            ("author", query.author.as_deref().unwrap_or_default()),
            ("in_stock", if query.in_stock { "true" } else { "" }),
            ("price_min", &shown(query.price_min.map(|cents| cents.get().to_string()))),
            ("price_max", &shown(query.price_max.map(|cents| cents.get().to_string()))),
            ("year_min", &shown(query.year_min.map(|year| year.to_string()))),
            ("year_max", &shown(query.year_max.map(|year| year.to_string()))),
            ("sold", &shown(query.sold.map(|period| period.to_string()))),
            ("sort", sort),
            ("page_size", &shown(query.page_size.map(|size| size.to_string()))),
            ("page_token", query.page_token.as_deref().unwrap_or_default()),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{Cents, Currency};

    #[test]
    fn links_keep_the_query() {
        let query = Query {
            words: Some("war & peace".into()),
            topic: Some("History/War".into()),
            in_stock: true,
            price_max: Cents::new(1_999).ok(),
            year_min: Some(-400),
            sold: Some(Period::Month),
            sort: Sort::BestSelling,
            page_size: Some(5),
            page_token: Some("new".into()),
            ..Query::default()
        };
        assert_eq!(
            url(&query),
            "/search?topic=History%2FWar&q=war%20%26%20peace&in_stock=true&price_max=1999&year_min=-400\
             &sold=30&sort=best_selling&page_size=5&page_token=new"
        );
        assert_eq!(url(&Query::topic("Science")), "/search/Science");
        let labels: Vec<_> = active(&query, Currency::USD.into()).into_iter().map(|filter| filter.label).collect();
        assert_eq!(labels, ["History/War", "In stock", "Up to $19.99", "From 400 BC", "Sold in the last 30 days"]);
        assert!(active(&query, Currency::USD.into()).iter().all(|filter| !filter.without.contains("page_token")));
    }

    #[test]
    fn one_value_is_no_choice() {
        let count = |value: &str| FacetCount { value: value.into(), books: 2 };
        let facets = Facets {
            topic: Some(vec![count("A"), count("B")]),
            author: Some(vec![count("C")]),
            year: Some(Vec::new()),
        };
        let groups = groups(&Query { in_stock: true, ..Query::default() }, Some(facets), Currency::USD.into());
        let names: Vec<_> = groups.iter().map(|group| group.name).collect();
        assert_eq!(names, ["Topic", "Price"]);
        assert_eq!(groups[0].choices[1].url, "/search/B?in_stock=true");
    }
}
