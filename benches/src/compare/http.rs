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
    rounds::alternate,
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
    let start = |side: usize| Server::monolith(&context.builds[side].bookstore, &folders[side].path().join("shop.db"));
    let servers = [start(0)?, start(1)?];
    compare(context, what, servers.each_ref().map(|server| server.address), workloads)
}

pub(crate) fn three(context: &Context) -> Result<Vec<Row>> {
    let folders = context.stores("catalog.db", &context.plain)?;
    let start = |side: usize| ThreeServers::start(&context.builds[side].bookstore, folders[side].path());
    let servers = [start(0)?, start(1)?];
    compare(context, "three servers, purchases", servers.each_ref().map(|three| three.frontend.address), &[HOT, MANY])
}

fn compare(
    context: &Context,
    what: &str,
    servers: [SocketAddr; 2],
    workloads: &[(&str, Workload)],
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (which, workload) in workloads {
        let connect = |side: usize| LoadGenerator::connect(servers[side], CONNECTIONS, THREADS, workload.clone());
        let mut generators = [connect(0)?, connect(1)?];
        let rates = alternate(context.rounds, |side| Ok(generators[side].run_for(WARM_UP, TIME).all_served()?.rate()))?;
        rows.push(Row::new(format!("{what}, {which}: a second"), rates, Budget::RatioAtLeast(RATIO_MIN)));
    }
    Ok(rows)
}
