//! How fast a search answers, one client, one query at a time.

use bookstore_benches::Result;
use bookstore_core::{Catalog, CatalogService as _, Cents, Facet, Query, Sort};
use std::time::{Duration, Instant};

use crate::queries::Judged;

/// Runs of each query; its time is the median.
const RUNS: usize = 51;

/// Prints how long queries of each kind take, and the slowest of the judged ones.
///
/// # Errors
/// A search failed.
pub(crate) async fn print(catalog: &Catalog, judged: &[Judged]) -> Result<()> {
    let named = [
        ("a common word", Query::words("history")),
        ("the most common word", Query::words("the")),
        ("two words", Query::words("history war")),
        ("a topic", Query::topic("Science")),
        ("words of a topic", Query { topic: Some("Science".into()), ..Query::words("history") }),
        ("the letter a", Query::words("a")),
        ("every word with a", Query::words("an a")),
        ("a typo", Query::words("frankenstien")),
        ("by title", Query { sort: Sort::Title, ..Query::default() }),
        ("in stock, by price", Query { in_stock: true, sort: Sort::Price, ..Query::default() }),
        ("all facets", Query { facets: Facet::ALL.to_vec(), ..Query::default() }),
        (
            "a word, cheap, facets",
            Query { price_max: Cents::new(2_000).ok(), facets: Facet::ALL.to_vec(), ..Query::words("history") },
        ),
    ];
    println!("\n{:22} {:>10}", "query", "median ms");
    for (name, query) in named {
        println!("{name:22} {:10.3}", ms(median(catalog, &query).await?));
    }
    let mut slowest = (Duration::ZERO, "");
    for judged in judged {
        let time = median(catalog, &Query::words(judged.query.as_str())).await?;
        slowest = slowest.max((time, &judged.query));
    }
    println!("{:22} {:10.3}  {:?}", "slowest of the judged", ms(slowest.0), slowest.1);
    Ok(())
}

async fn median(catalog: &Catalog, query: &Query) -> Result<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        catalog.search(query.clone()).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[RUNS / 2])
}

/// A time in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
