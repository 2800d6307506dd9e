//! How fast a search answers, one client, one query at a time.

use bookstore_benches::Result;
use bookstore_core::{Catalog, CatalogService as _, Cents, Facet, Query, Sort};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tantivy::{
    Index, Term,
    collector::{Count, TopDocs},
    query::{BooleanQuery, TermQuery},
    schema::IndexRecordOption,
};

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

/// Prints how long the engine alone takes for the first 20 books that have a word or its stem, ranked as it ranks by itself.
///
/// # Errors
/// The index in the folder cannot be read.
pub(crate) fn print_engine(folder: &Path) -> Result<()> {
    /// The fields of words and of stems, with `history` as it stands there.
    const FORMS: [(&str, &[&str]); 2] = [
        ("history", &["title", "author", "subjects", "rest"]),
        ("histori", &["title_stems", "subject_stems", "rest_stems"]),
    ];
    let index = Index::open_in_dir(folder)?;
    let (schema, searcher) = (index.schema(), index.reader()?.searcher());
    let mut terms = Vec::new();
    for (word, fields) in FORMS {
        for field in fields {
            terms.push(Term::from_field_text(schema.get_field(field)?, word));
        }
    }
    let query = || {
        let term = |term: &Term| TermQuery::new(term.clone(), IndexRecordOption::WithFreqs);
        BooleanQuery::union(terms.iter().map(|form| Box::new(term(form)) as _).collect())
    };
    let top = || TopDocs::with_limit(20).order_by_score();
    let first = median_of(|| Ok(searcher.search(&query(), &top())?.len()))?;
    let counted = median_of(|| Ok(searcher.search(&query(), &(top(), Count))?.1))?;
    println!("{:22} {:10.3}", "the engine alone", ms(first));
    println!("{:22} {:10.3}", "… with the total", ms(counted));
    Ok(())
}

fn median_of(mut run: impl FnMut() -> Result<usize>) -> Result<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        std::hint::black_box(run()?);
        times.push(started.elapsed());
    }
    Ok(middle(times))
}

async fn median(catalog: &Catalog, query: &Query) -> Result<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        catalog.search(query.clone()).await?;
        times.push(started.elapsed());
    }
    Ok(middle(times))
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// A time in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
