//! Question 4: what does a frontend's cache save, what does keeping it consistent cost, and how stale is it?

use bookstore_transport_http::cache::CacheOptions;
use std::time::{Duration, Instant};
use tokio::time::timeout;

use super::{
    CacheCell, Caching, Cell, LabError, Shape, Staleness, Tier,
    deployment::{Deployment, Snapshot},
    plan::CHECK,
    session::Session,
};
use crate::load::{Load, LoadResult, Mix, Stop};
use bookstore::Bookstore;

/// How long another frontend may take to show a purchase before the lab gives up.
const STALE_MAX: Duration = Duration::from_secs(30);

/// Runs the same loads without and with a cache in both frontends, then measures how stale the cache is.
pub(super) async fn measure(session: &mut Session<'_>) -> Result<Caching, LabError> {
    let options = CacheOptions::default();
    let bound_ms = u64::try_from(options.max_staleness.as_millis()).unwrap_or(u64::MAX);
    let mut caching = Caching { bound_ms, books_max: options.books_max, ..Caching::default() };
    for cached in [false, true] {
        let shop = session.open(Shape::Replicated, if cached { options.books_max } else { 0 }).await?;
        // Otherwise the filling of the cache would be measured.
        shop.warm_up().await?;
        for chance in &session.plan().cache_chances {
            caching.cells.push(cell(session, &shop, cached, *chance).await?);
        }
        if cached {
            caching.staleness.push(alone(session, &shop).await?);
            caching.staleness.push(under_load(session, &shop).await?);
        }
        session.close(shop).await?;
    }
    Ok(caching)
}

async fn cell(
    session: &mut Session<'_>,
    shop: &Deployment<'_>,
    cached: bool,
    chance: f64,
) -> Result<CacheCell, LabError> {
    let plan = session.plan();
    let load = Load { again: 0.0, ..session.cell(shop, Mix::Chance(chance), plan.clients_otherwise) };
    let with = if cached { "with" } else { "without" };
    let doing = format!("{with} a cache: {:.0} % of the looks lead to a purchase", chance * 100.0);
    let (result, counted) = session.load_counted(shop, &load, doing, plan.warmed_cell_takes()).await?;
    Ok(counted_cell(cached, result, &counted))
}

fn counted_cell(cached: bool, result: LoadResult, counted: &Snapshot) -> CacheCell {
    let (frontends, catalog) = (counted.of(Tier::Frontend), counted.of(Tier::Catalog));
    let cache = |what: &str| whole(frontends.sum(&format!("bookstore_cache_{what}_total"), &[]));
    CacheCell {
        cached,
        seconds: result.measured_seconds,
        hits: cache("hits"),
        misses: cache("misses"),
        bypasses: cache("bypasses"),
        looks: whole(frontends.requests("GET", "/info/{id}").0),
        catalog_looks: whole(catalog.requests("GET", "/v1/books/{id}").0),
        purchases: whole(frontends.requests("POST", "/purchase/{id}").0),
        catalog_calls: whole(catalog.requests("POST", "/v1/calls").0),
        catalog_polls: whole(catalog.requests("GET", "/v1/entries").0),
        entries_followed: cache("entries_followed"),
        cell: Cell::new(Shape::Replicated, result),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(count: f64) -> u64 {
    count as u64
}

async fn alone(session: &mut Session<'_>, shop: &Deployment<'_>) -> Result<Staleness, LabError> {
    let time = session.plan().staleness;
    session.steps.begin("staleness, without other load".into(), time);
    let seen = watch(shop, time, || session.steps.report()).await?;
    Ok(summed_up(0, seen))
}

async fn under_load(session: &mut Session<'_>, shop: &Deployment<'_>) -> Result<Staleness, LabError> {
    let (time, clients) = (session.plan().staleness, session.plan().clients_otherwise);
    let doing = format!("staleness, with {clients} clients");
    session.steps.begin(doing.clone(), time + CHECK);
    let load = Load { duration: time, warmup: Duration::ZERO, ..session.cell(shop, Mix::Chance(0.2), clients) };
    let stop = Stop::new();
    // The load ends when the measurement does, so that its check does not disturb it.
    let watching = async {
        let seen = watch(shop, time, || session.steps.report()).await;
        stop.stop();
        seen
    };
    let lasting = Load { duration: time + STALE_MAX, ..load };
    let (result, seen) = tokio::join!(lasting.run(&|_| (), &stop), watching);
    session.loaded(shop, &doing, result)?;
    Ok(summed_up(clients, seen?))
}

/// How long one purchase took to show, and whether the first look was too early.
struct Seen {
    after: Duration,
    old_first: bool,
}

/// Buys through the first frontend and looks through the other one until it shows the purchase, repeatedly.
async fn watch(shop: &Deployment<'_>, time: Duration, report: impl Fn()) -> Result<Vec<Seen>, LabError> {
    let urls = shop.urls();
    let connect = |url: &str| Bookstore::connect(url).map_err(|error| LabError::Failed(error.to_string()));
    let (buying, looking) = (connect(&urls[0])?, connect(&urls[1])?);
    let (until, mut seen) = (Instant::now() + time, Vec::new());
    for book in shop.books().cycle() {
        if Instant::now() >= until {
            break;
        }
        report();
        // This puts it into the other frontend's cache.
        looking.info(book).await.map_err(LabError::asked("look at a book"))?;
        let order = buying.purchase_new(book, 1).await.map_err(LabError::asked("buy a book"))?;
        let bought = Instant::now();
        let shown = async {
            let mut looks = 0u32;
            while looking.info(book).await?.version < order.seq {
                looks += 1;
            }
            Ok(looks > 0)
        };
        let old_first = timeout(STALE_MAX, shown).await.map_err(|_| {
            let seconds = STALE_MAX.as_secs();
            LabError::Failed(format!(
                "a purchase of book {book} is not seen through the other frontend after {seconds} s"
            ))
        })?;
        seen.push(Seen { after: bought.elapsed(), old_first: old_first.map_err(LabError::asked("look at a book"))? });
    }
    Ok(seen)
}

fn summed_up(clients: usize, seen: Vec<Seen>) -> Staleness {
    let seen_old = seen.iter().filter(|seen| seen.old_first).count() as u64;
    let mut times: Vec<u64> =
        seen.iter().map(|seen| u64::try_from(seen.after.as_micros()).unwrap_or(u64::MAX)).collect();
    times.sort_unstable();
    // Nearest-rank percentiles.
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    Staleness { clients, purchases: times.len() as u64, seen_old, p50_us: at(50), p99_us: at(99), max_us: at(100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_seen() {
        let seen = |us| Seen { after: Duration::from_micros(us), old_first: us > 50 };
        let staleness = summed_up(3, (1..=100).rev().map(seen).collect());
        assert_eq!((staleness.clients, staleness.purchases, staleness.seen_old), (3, 100, 50));
        assert_eq!((staleness.p50_us, staleness.p99_us, staleness.max_us), (50, 99, 100));
        assert_eq!(summed_up(0, vec![seen(7)]).p50_us, 7);
        assert_eq!(summed_up(0, Vec::new()).max_us, 0);
    }
}
