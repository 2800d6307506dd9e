//! Question 2: in which tier is the time spent?
//!
//! Each server times its own requests. A tier's own part is its mean time minus the mean time of the calls that it waits
//! for; the client's part is its mean latency minus the first server's mean time.

use super::{
    Hop, LabError, Shape, Tier, TierCell,
    deployment::{Deployment, Snapshot},
    session::Session,
};
use crate::load::{Load, LoadResult, Mix, Operation};

/// A load for each number of clients, and its operations tier by tier.
pub(super) async fn measure(
    session: &mut Session<'_>,
    shop: &Deployment<'_>,
    cells: &mut Vec<TierCell>,
) -> Result<(), LabError> {
    let plan = session.plan();
    for clients in &plan.tier_clients {
        // Purchases that are sent twice would count at the servers, but not as purchases of the clients.
        let load = Load { again: 0.0, ..session.cell(shop, Mix::Even, *clients) };
        let doing = format!("{}: time per tier with {clients} clients", shop.shape.name());
        let (result, counted) = session.load_counted(shop, &load, doing, plan.warmed_cell_takes()).await?;
        for operation in [Operation::SearchTopic, Operation::Book, Operation::Purchase] {
            let hops = hops(shop.shape, operation, &result, &counted);
            cells.push(TierCell { shape: shop.shape, clients: *clients, operation, hops });
        }
    }
    Ok(())
}

/// The routes of an operation, from the first server inwards.
fn path(shape: Shape, operation: Operation) -> Vec<(Tier, &'static str, &'static str)> {
    let first = if shape == Shape::Monolith { Tier::Whole } else { Tier::Frontend };
    let mut path = match operation {
        Operation::SearchTopic => vec![(first, "GET", "/search/{topic}"), (Tier::Catalog, "POST", "/v1/search")],
        Operation::Book => vec![(first, "GET", "/info/{id}"), (Tier::Catalog, "GET", "/v1/books/{id}")],
        _ => vec![
            (first, "POST", "/purchase/{id}"),
            (Tier::Order, "POST", "/v1/calls"),
            (Tier::Catalog, "POST", "/v1/calls"),
        ],
    };
    if shape == Shape::Monolith {
        path.truncate(1);
    }
    path
}

fn hops(shape: Shape, operation: Operation, result: &LoadResult, counted: &Snapshot) -> Vec<Hop> {
    let numbers = result.operations.iter().find(|of| of.operation == operation).map(|of| &of.numbers);
    let client = numbers.and_then(|numbers| numbers.latency.as_ref()).map_or(0.0, |latency| latency.mean_us);
    let answered = numbers.map_or(0, |numbers| numbers.succeeded + numbers.refused_total());
    let mut hops = vec![Hop { tier: Tier::Client, requests: answered, mean_us: client, own_us: client }];
    for (tier, method, route) in path(shape, operation) {
        let (requests, seconds) = counted.of(tier).requests(method, route);
        let mean_us = if requests > 0.0 { seconds * 1e6 / requests } else { 0.0 };
        hops.push(Hop { tier, requests: whole(requests), mean_us, own_us: mean_us });
    }
    for at in 1..hops.len() {
        hops[at - 1].own_us = (hops[at - 1].mean_us - hops[at].mean_us).max(0.0);
    }
    hops
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(count: f64) -> u64 {
    count as u64
}
