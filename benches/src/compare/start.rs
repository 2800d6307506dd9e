//! From exec to ready, with the real-sized catalogue and a million orders.

use bookstore_benches::{
    Result,
    load_generator::{LoadGenerator, Workload},
    race::BookChoice,
    server_process::Server,
};
use std::{thread, time::Duration};

use super::{
    Context,
    report::{Budget, Row},
    rounds::{Side, alternate},
    worker::Worker,
};

const ORDERS: u64 = 1_000_000;
const MILLIS_MAX: f64 = 60.0;
/// How long purchases go on before the server is killed.
const BUSY: Duration = Duration::from_millis(250);

pub(crate) fn measure(context: &Context) -> Result<Vec<Row>> {
    let folders = context.stores("shop.db", &context.real)?;
    let stores = folders.each_ref().map(|folder| folder.path().join("shop.db"));
    for (build, store) in context.builds.iter().zip(&stores) {
        let mut worker = Worker::open(build, store)?;
        worker.buy(context.real_books, ORDERS)?;
        worker.close()?;
    }
    let start = |side: Side| -> Result<(Server, f64)> {
        let server = Server::monolith(&context.builds[side].bookstore, &stores[side])?;
        let millis = server.ready_after.as_secs_f64() * 1e3;
        Ok((server, millis))
    };
    let clean = alternate(context.rounds, |side| {
        let (server, millis) = start(side)?;
        server.stop()?;
        Ok(millis)
    })?;
    let killed = alternate(context.rounds, |side| {
        let (server, millis) = start(side)?;
        kill_during_purchases(server, context.real_books)?;
        Ok(millis)
    })?;
    let row = |after: &str, samples| {
        Row::new(format!("from exec to ready after {after}, ms"), samples, Budget::NewAtMost(MILLIS_MAX))
    };
    Ok(vec![row("a clean stop", clean), row("kill -9 during purchases", killed)])
}

fn kill_during_purchases(server: Server, books: u64) -> Result<()> {
    let workload = Workload::Purchase(BookChoice::Uniform(books));
    let mut generator = LoadGenerator::connect(server.address, 256, 2, workload)?;
    thread::scope(|scope| {
        // Purchases fail from the kill on.
        scope.spawn(|| generator.run_for(Duration::ZERO, BUSY + Duration::from_millis(20)));
        thread::sleep(BUSY);
        server.kill()
    })
}
