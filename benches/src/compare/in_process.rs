//! Purchases in the shop's own process.

use bookstore_benches::Result;
use std::time::Duration;

use super::{
    BOOKS, Context,
    report::{Budget, Row},
    rounds::{Side, alternate_running},
    worker::Worker,
};

/// Tasks that buy at the same time.
const TASKS: [u64; 3] = [256, 1024, 4096];
/// How long they buy in a round.
const TIME: Duration = Duration::from_millis(400);
const RATIO_MIN: f64 = 0.92;

pub(crate) fn measure(context: &Context) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (what, books) in [("one hot book", 1), ("10,000 books", BOOKS)] {
        for tasks in TASKS {
            let folders = context.stores("shop.db", &context.plain)?;
            let open = |side: Side| Worker::open(&context.builds[side], &folders[side].path().join("shop.db"));
            let rates = alternate_running(context.rounds, open, |worker| worker.race_for(tasks, books, TIME))?;
            let what = format!("in process, {what}, {tasks} tasks: purchases/s");
            rows.push(Row::new(what, rates, Budget::RatioAtLeast(RATIO_MIN)));
        }
    }
    Ok(rows)
}
