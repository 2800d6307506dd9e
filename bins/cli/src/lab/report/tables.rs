//! The numbers behind the charts.

use super::answers::percent;
use crate::{
    lab::{Cell, LabResult},
    load::{
        Mix, Numbers, Operation,
        report::{kinds_table, operations_table},
    },
    report::{Table, whole},
    text::{counted, grouped, shown_rate, shown_us},
};

/// What the exercise calls an operation.
pub(super) fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::SearchTopic => "Search",
        Operation::Book => "Info",
        Operation::Purchase => "Purchase",
        Operation::PurchaseAgain => "Purchase again",
        operation => operation.name(),
    }
}

/// A mean number of requests.
pub(super) fn requests_each(number: f64) -> String {
    if number > 0.0 && number < 0.01 { format!("{number:.4}") } else { format!("{number:.2}") }
}

/// Median, and what 99 % are within, of some operations.
fn latencies(cell: &Cell, operations: &[Operation]) -> Vec<String> {
    let both = |operation: &Operation| {
        let nothing = Numbers::default();
        let numbers = cell.operation(*operation).unwrap_or(&nothing);
        [numbers.shown(|latency| latency.p50_us), numbers.shown(|latency| latency.p99_us)]
    };
    operations.iter().flat_map(both).collect()
}

fn chance(mix: Mix) -> String {
    match mix {
        Mix::Chance(chance) => percent(chance),
        mix => mix.to_string(),
    }
}

impl LabResult {
    pub(super) fn clients_table(&self) -> Table {
        let row = |cell: &Cell| {
            let mut row = vec![cell.shape.name().to_owned(), cell.clients.to_string()];
            row.push(shown_rate(cell.total.answered_per_second));
            row.extend(latencies(cell, &[Operation::SearchTopic, Operation::Book, Operation::Purchase]));
            row.push(grouped(cell.total.failed_total()));
            row
        };
        Table {
            text: &["Deployment"],
            numbers: &["Clients", "Answers/s", "Search p50", "p99", "Info p50", "p99", "Purchase p50", "p99", "Failed"],
            rows: self.clients.iter().map(row).collect(),
        }
    }

    pub(super) fn tiers_table(&self) -> Table {
        let hops = self.tiers.iter().flat_map(|cell| cell.hops.iter().map(move |hop| (cell, hop)));
        let rows = hops.map(|(cell, hop)| {
            let text = [cell.shape.name(), operation_name(cell.operation), hop.tier.name()].map(str::to_owned);
            let [mean, own] = [hop.mean_us, hop.own_us].map(|us| shown_us(whole(us)));
            text.into_iter().chain([cell.clients.to_string(), grouped(hop.requests), mean, own]).collect()
        });
        Table {
            text: &["Deployment", "Operation", "Tier"],
            numbers: &["Clients", "Requests", "Mean", "Of it here"],
            rows: rows.collect(),
        }
    }

    pub(super) fn mixes_table(&self) -> Table {
        let row = |cell: &Cell| {
            let bought = cell.operation(Operation::Purchase).map_or(0.0, |numbers| numbers.succeeded_per_second);
            let mut row = vec![cell.shape.name().to_owned(), chance(cell.mix)];
            row.extend([cell.total.answered_per_second, bought].map(shown_rate));
            row.extend(latencies(cell, &[Operation::Book, Operation::Purchase]));
            row.push(grouped(cell.total.failed_total()));
            row
        };
        Table {
            text: &["Deployment"],
            numbers: &[
                "Looks that lead to a purchase",
                "Answers/s",
                "Purchases/s",
                "Info p50",
                "p99",
                "Purchase p50",
                "p99",
                "Failed",
            ],
            rows: self.mixes.iter().map(row).collect(),
        }
    }

    pub(super) fn caching_tables(&self) -> Vec<(&'static str, Table)> {
        vec![
            ("Loads", self.caching_table()),
            ("Staleness: from a purchase’s acknowledgement until the other frontend shows it", self.staleness_table()),
        ]
    }

    fn caching_table(&self) -> Table {
        let rows = self.caching.cells.iter().map(|cell| {
            let mut row = vec![if cell.cached { "with" } else { "without" }.to_owned(), chance(cell.cell.mix)];
            row.push(if cell.cached { percent(cell.hit_share()) } else { "–".to_owned() });
            row.push(shown_rate(cell.cell.total.answered_per_second));
            row.extend(latencies(&cell.cell, &[Operation::Book, Operation::Purchase]));
            row.push(requests_each(cell.catalog_looks_per_look()));
            let per_purchase = requests_each(cell.catalog_calls_per_purchase());
            row.push(if cell.purchases > 0 { per_purchase } else { "–".to_owned() });
            row.extend([shown_rate(cell.polls_per_second()), grouped(cell.entries_followed)]);
            row
        });
        Table {
            text: &["Cache"],
            numbers: &[
                "Looks that lead to a purchase",
                "Hits",
                "Answers/s",
                "Info p50",
                "p99",
                "Purchase p50",
                "p99",
                "Catalog requests per look",
                "per purchase",
                "Polls/s",
                "Entries followed",
            ],
            rows: rows.collect(),
        }
    }

    fn staleness_table(&self) -> Table {
        let rows = self.caching.staleness.iter().map(|staleness| {
            let load = match staleness.clients {
                0 => "none".to_owned(),
                clients => counted(clients as u64, "client", "clients"),
            };
            let mut row = vec![load, grouped(staleness.purchases), grouped(staleness.seen_old)];
            let times = [staleness.p50_us, staleness.p99_us, staleness.max_us, self.caching.bound_ms * 1000];
            row.extend(times.map(shown_us));
            row
        });
        Table {
            text: &["Other load"],
            numbers: &["Purchases", "First look was old", "Median", "99 % within", "Longest", "Bound"],
            rows: rows.collect(),
        }
    }

    pub(super) fn killing_tables(&self) -> Vec<(&'static str, Table)> {
        let each = || self.killing.operations.iter().map(|of| (operation_name(of.operation), &of.numbers));
        let (table, kinds) = (operations_table(each()), kinds_table(each()));
        let mut tables = vec![("Operations", table)];
        if !kinds.rows.is_empty() {
            tables.push(("Refused and failed, by kind", kinds));
        }
        tables
    }
}
