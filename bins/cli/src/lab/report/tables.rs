//! The numbers behind the plots.

use std::fmt::Write as _;

use super::answers::percent;
use crate::{
    lab::{Cell, LabResult},
    load::{
        Latency, Mix, Numbers, Operation,
        plot::escaped,
        report::whole,
        shown_us,
        text::{grouped, shown_rate},
    },
};

/// What an operation is called in the exercise.
pub(super) fn called(operation: Operation) -> &'static str {
    match operation {
        Operation::SearchTopic => "Search",
        Operation::Book => "Info",
        Operation::Purchase => "Purchase",
        Operation::PurchaseAgain => "Purchase again",
        operation => operation.name(),
    }
}

/// A number of requests for each operation.
pub(super) fn few(number: f64) -> String {
    if number > 0.0 && number < 0.01 { format!("{number:.4}") } else { format!("{number:.2}") }
}

/// A column: its name, and whether it has numbers.
type Column = (&'static str, bool);

fn table(html: &mut String, columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) {
    html.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    for (name, number) in columns {
        let _ = write!(html, "<th{}>{name}</th>", class(*number));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for ((_, number), cell) in columns.iter().zip(row) {
            let _ = write!(html, "<td{}>{}</td>", class(*number), escaped(&cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>\n");
}

fn folded(html: &mut String, columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) {
    html.push_str("<details><summary>All numbers</summary>\n");
    table(html, columns, rows);
    html.push_str("</details>\n");
}

fn latency(numbers: Option<&Numbers>, pick: fn(&Latency) -> u64) -> String {
    let latency = numbers.and_then(|numbers| numbers.latency.as_ref());
    latency.map_or_else(|| "–".to_owned(), |latency| shown_us(pick(latency)))
}

/// Median, and what 99 % are within, of some operations.
fn latencies(cell: &Cell, operations: &[Operation]) -> Vec<String> {
    let both = |operation: &Operation| {
        let numbers = cell.operation(*operation);
        [latency(numbers, |latency| latency.p50_us), latency(numbers, |latency| latency.p99_us)]
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
    pub(super) fn write_clients_table(&self, html: &mut String) {
        let columns = [
            ("Deployment", false),
            ("Clients", true),
            ("Answers/s", true),
            ("Search p50", true),
            ("p99", true),
            ("Info p50", true),
            ("p99", true),
            ("Purchase p50", true),
            ("p99", true),
            ("Failed", true),
        ];
        let rows = self.clients.iter().map(|cell| {
            let mut row = vec![
                cell.shape.name().to_owned(),
                cell.clients.to_string(),
                shown_rate(cell.total.answered_per_second),
            ];
            row.extend(latencies(cell, &[Operation::SearchTopic, Operation::Book, Operation::Purchase]));
            row.push(grouped(cell.total.failed_total()));
            row
        });
        folded(html, &columns, rows);
    }

    pub(super) fn write_tiers_table(&self, html: &mut String) {
        let columns = [
            ("Deployment", false),
            ("Clients", true),
            ("Operation", false),
            ("Tier", false),
            ("Requests", true),
            ("Mean", true),
            ("Of it here", true),
        ];
        let rows = self.tiers.iter().flat_map(|cell| {
            cell.hops.iter().map(|hop| {
                vec![
                    cell.shape.name().to_owned(),
                    cell.clients.to_string(),
                    called(cell.operation).to_owned(),
                    hop.tier.name().to_owned(),
                    grouped(hop.requests),
                    shown_us(whole(hop.mean_us)),
                    shown_us(whole(hop.own_us)),
                ]
            })
        });
        folded(html, &columns, rows);
    }

    pub(super) fn write_mixes_table(&self, html: &mut String) {
        let columns = [
            ("Deployment", false),
            ("Looks that lead to a purchase", true),
            ("Answers/s", true),
            ("Purchases/s", true),
            ("Info p50", true),
            ("p99", true),
            ("Purchase p50", true),
            ("p99", true),
            ("Failed", true),
        ];
        let rows = self.mixes.iter().map(|cell| {
            let bought = cell.operation(Operation::Purchase).map_or(0.0, |numbers| numbers.succeeded_per_second);
            let mut row = vec![
                cell.shape.name().to_owned(),
                chance(cell.mix),
                shown_rate(cell.total.answered_per_second),
                shown_rate(bought),
            ];
            row.extend(latencies(cell, &[Operation::Book, Operation::Purchase]));
            row.push(grouped(cell.total.failed_total()));
            row
        });
        folded(html, &columns, rows);
    }

    pub(super) fn write_caching_tables(&self, html: &mut String) {
        let columns = [
            ("Cache", false),
            ("Looks that lead to a purchase", true),
            ("Hits", true),
            ("Answers/s", true),
            ("Info p50", true),
            ("p99", true),
            ("Purchase p50", true),
            ("p99", true),
            ("Catalog requests per look", true),
            ("per purchase", true),
            ("Polls/s", true),
            ("Entries followed", true),
        ];
        let rows = self.caching.cells.iter().map(|cell| {
            let mut row = vec![
                if cell.cached { "with" } else { "without" }.to_owned(),
                chance(cell.cell.mix),
                if cell.cached { percent(cell.hit_share()) } else { "–".to_owned() },
                shown_rate(cell.cell.total.answered_per_second),
            ];
            row.extend(latencies(&cell.cell, &[Operation::Book, Operation::Purchase]));
            row.extend([
                few(cell.catalog_looks_per_look()),
                if cell.purchases > 0 { few(cell.catalog_calls_per_purchase()) } else { "–".to_owned() },
                shown_rate(cell.polls_per_second()),
                grouped(cell.entries_followed),
            ]);
            row
        });
        folded(html, &columns, rows);
        html.push_str("<h3>Staleness: from a purchase’s acknowledgement to the other frontend’s showing it</h3>\n");
        let columns = [
            ("Meanwhile", false),
            ("Purchases", true),
            ("First look was old", true),
            ("Median", true),
            ("99 % within", true),
            ("Longest", true),
            ("Bound", true),
        ];
        let rows = self.caching.staleness.iter().map(|staleness| {
            vec![
                if staleness.clients > 0 {
                    format!("{} clients", staleness.clients)
                } else {
                    "no other load".to_owned()
                },
                grouped(staleness.purchases),
                grouped(staleness.seen_old),
                shown_us(staleness.p50_us),
                shown_us(staleness.p99_us),
                shown_us(staleness.max_us),
                shown_us(self.caching.bound_ms * 1000),
            ]
        });
        table(html, &columns, rows);
        html.push_str(
            "<p class=\"quiet\">The end of the first look that shows the purchase counts, so a look’s own time is part of it. Polling for \
             the ledger’s next entries waits until there are some: a cache hears of a purchase as soon as an order server’s copy \
             does.</p>\n",
        );
    }

    pub(super) fn write_killing_tables(&self, html: &mut String) {
        let columns = [
            ("Operation", false),
            ("Answers/s", true),
            ("Succeeded", true),
            ("Refused", true),
            ("Failed", true),
            ("Retries", true),
            ("p50", true),
            ("p99", true),
            ("p99.9", true),
            ("Longest", true),
        ];
        let rows = self.killing.operations.iter().map(|operation| {
            let numbers = &operation.numbers;
            let at = |pick| latency(Some(numbers), pick);
            vec![
                called(operation.operation).to_owned(),
                shown_rate(numbers.answered_per_second),
                grouped(numbers.succeeded),
                grouped(numbers.refused_total()),
                grouped(numbers.failed_total()),
                grouped(numbers.retries),
                at(|latency| latency.p50_us),
                at(|latency| latency.p99_us),
                at(|latency| latency.p999_us),
                at(|latency| latency.max_us),
            ]
        });
        table(html, &columns, rows);
        let kinds = self.killing.operations.iter().flat_map(|operation| {
            let numbers = &operation.numbers;
            let counts = [("refused", &numbers.refused), ("failed", &numbers.failed)];
            counts.into_iter().flat_map(move |(how, counts)| {
                counts.iter().map(move |(kind, count)| {
                    vec![called(operation.operation).to_owned(), how.to_owned(), kind.clone(), grouped(*count)]
                })
            })
        });
        let kinds: Vec<Vec<String>> = kinds.collect();
        if kinds.is_empty() {
            html.push_str("<p>No request failed or was refused.</p>\n");
        } else {
            table(html, &[("Operation", false), ("", false), ("Kind", false), ("Count", true)], kinds);
        }
        if let Some(check) = &self.killing.check {
            let rows = check.promises.iter().map(|promise| {
                let not = promise.not_checked.as_ref().map(|not| format!("; not checked: {not}"));
                vec![
                    promise.promise.name().to_owned(),
                    promise.verdict.name().to_owned(),
                    format!("{}{}", promise.checked, not.unwrap_or_default()),
                ]
            });
            table(html, &[("Promise", false), ("", false), ("Checked", false)], rows);
        }
    }
}
