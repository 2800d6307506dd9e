//! Purchases and lookups over HTTP, from 256 connections.

use bookstore_benches::{
    Result,
    load_generator::{LoadGenerator, Workload},
    race::BookChoice,
    server_process::{Server, ThreeServers},
};
use std::{net::SocketAddr, time::Duration};

use super::{
    BOOKS, Context,
    report::{Budget, Row},
    rounds::{Side, alternate_running},
};

const CONNECTIONS: usize = 256;
/// Threads of the load generator.
const THREADS: usize = 2;
/// The parts of a round.
const WARM_UP: Duration = Duration::from_millis(50);
const TIME: Duration = Duration::from_millis(400);
const RATIO_MIN: f64 = 0.88;

const HOT: (&str, Workload) = ("one hot book", Workload::Purchase(BookChoice::Hot));
const MANY: (&str, Workload) = ("10,000 books", Workload::Purchase(BookChoice::Uniform(BOOKS)));
const INFO: (&str, Workload) = ("10,000 books", Workload::Info(BookChoice::Uniform(BOOKS)));

pub(crate) fn purchases(context: &Context) -> Result<Vec<Row>> {
    one_server(context, "HTTP purchases", &[HOT, MANY])
}

pub(crate) fn info(context: &Context) -> Result<Vec<Row>> {
    one_server(context, "GET /info/{id}", &[INFO])
}

fn one_server(context: &Context, what: &str, workloads: &[(&str, Workload)]) -> Result<Vec<Row>> {
    let folders = context.stores("shop.db", &context.plain)?;
    let start = |side: Side| -> Result<_> {
        let server = Server::monolith(&context.builds[side].bookstore, &folders[side].path().join("shop.db"))?;
        Ok((server.address, server))
    };
    compare(context, what, start, workloads)
}

pub(crate) fn three(context: &Context) -> Result<Vec<Row>> {
    let folders = context.stores("catalog.db", &context.plain)?;
    let start = |side: Side| -> Result<_> {
        let three = ThreeServers::start(&context.builds[side].bookstore, folders[side].path())?;
        Ok((three.frontend.address, three))
    };
    compare(context, "three servers, purchases", start, &[HOT, MANY])
}

/// `start` returns where requests go, and the servers, which run until dropped.
fn compare<S>(
    context: &Context,
    what: &str,
    start: impl Fn(Side) -> Result<(SocketAddr, S)>,
    workloads: &[(&str, Workload)],
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (which, workload) in workloads {
        let connect = |side: Side| -> Result<_> {
            let (address, servers) = start(side)?;
            Ok((LoadGenerator::connect(address, CONNECTIONS, THREADS, workload.clone())?, servers))
        };
        let rates = alternate_running(context.rounds, connect, |(generator, _)| {
            Ok(generator.run_for(WARM_UP, TIME).all_served()?.rate())
        })?;
        rows.push(Row::new(format!("{what}, {which}: a second"), rates, Budget::RatioAtLeast(RATIO_MIN)));
    }
    Ok(rows)
}
