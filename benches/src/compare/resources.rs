//! What a purchase takes in the file, what a server takes in memory, and how large the executable is.

use bookstore_benches::{
    Result,
    catalogue::{self, plain},
    load_generator::{LoadGenerator, Workload},
    race::BookChoice,
    samples::{Samples, format_count},
    server_process::Server,
};
use std::{fs, sync::Arc, time::Duration};

use super::{
    BOOKS, Context,
    report::{Budget, Row},
    rounds::{Side, alternate},
    worker::Worker,
};

/// Rounds of measurements that hardly vary.
const FEW_ROUNDS: usize = 3;

/// The file's growth by purchases of one copy, from closed to closed. The books have some hundred copies, as in a shop: an entry
/// holds the stock that is left, in digits.
pub(crate) fn bytes(context: &Context) -> Result<Vec<Row>> {
    const PURCHASES: u64 = 200_000;
    let books = context.folder.path().join("few-copies.jsonl");
    catalogue::write_json_lines(&books, (1..=BOOKS).map(|n| plain(n, 999)))?;
    let folders = context.stores("shop.db", &books)?;
    let bytes = alternate(FEW_ROUNDS, |side| {
        let store = folders[side].path().join("shop.db");
        let before = fs::metadata(&store)?.len();
        let mut worker = Worker::open(&context.builds[side], &store)?;
        worker.buy(BOOKS, PURCHASES)?;
        worker.close()?;
        Ok((fs::metadata(&store)?.len() - before) as f64 / PURCHASES as f64)
    })?;
    Ok(vec![Row::new("a plain purchase in the file, bytes", bytes, Budget::NewAtMost(90.0))])
}

/// The most resident memory of a server while it is asked for purchases and lookups of all books and for searches.
pub(crate) fn memory(context: &Context) -> Result<Vec<Row>> {
    let books = catalogue::read(&context.real)?;
    let all = BookChoice::Uniform(context.real_books);
    let searches = Workload::Paths(Arc::new(catalogue::topic_searches(&books)));
    let load = [(Workload::Purchase(all), 256, 1500), (Workload::Info(all), 256, 1500), (searches, 16, 500)];
    let folders = context.stores("shop.db", &context.real)?;
    let memory = alternate(FEW_ROUNDS, |side| {
        let server = Server::monolith(&context.builds[side].bookstore, &folders[side].path().join("shop.db"))?;
        for (workload, connections, millis) in &load {
            let mut generator = LoadGenerator::connect(server.address, *connections, 2, workload.clone())?;
            generator.run_for(Duration::ZERO, Duration::from_millis(*millis)).all_served()?;
        }
        let (_, most) = server.resident_mb()?;
        server.stop()?;
        Ok(most)
    })?;
    let what = format!("resident memory with {} books under load, MB", format_count(context.real_books));
    Ok(vec![Row::new(what, memory, Budget::NewAtMost(120.0))])
}

/// The executable's size.
pub(crate) fn size(context: &Context) -> Result<Vec<Row>> {
    let mb = |side: Side| -> Result<Samples> {
        Ok(Samples::one(fs::metadata(&context.builds[side].bookstore)?.len() as f64 / 1e6))
    };
    Ok(vec![Row::new("the executable, MB", [mb(0)?, mb(1)?], Budget::NewAtMost(22.0))])
}
