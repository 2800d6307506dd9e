//! The verdict on a run in which something happened to the ledger's file.
//!
//! - Whatever the shop did not go on with was right until then: the checker judges the calls before the accident by the ledger that there
//!   was, and all calls by the one that went on, where those from before may or may not have happened.
//! - Nothing from before the fork is missing. A purchase or a cancellation that was answered across the accident is in one of the two.
//! - What the shop went on without is *told*: it is whole in the file that was kept, and a copy that had it has set it aside.
//! - What was acknowledged as copied is in a copy, perhaps set aside. After a promotion, all of that is in the ledger.
//! - A catalog with the wrong file, or an old one that came back, has sold nothing.
//!
//! Not judged: what was read since the accident, until all faults are over, and what was changed about books while a wrong catalog was
//! up. Only who sells compares, so a wrong catalog may answer these.

use bookstore_core::{
    Entry, OrderId, Result, Seq, Status,
    check::{Call, FinalState, History, Operation, Options, Outcome, Report, check},
    ledger::Kind,
    store::{StoreError, sqlite::Snapshot},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{accident::Record, caller::Routes, coverage::Seen, hosts::Host, world::Shared};

/// All entries of a store's file.
pub(crate) fn entries(path: &Path) -> std::result::Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    Snapshot::open(path)?.read(|_, entry| {
        entries.push(entry);
        Ok::<_, StoreError>(())
    })?;
    Ok(entries)
}

/// The report on the history that went on; what else is broken is noted in `world`.
pub(crate) fn judge(world: &Shared, history: &History, end: &FinalState, options: &Options) -> Report {
    let record = world.accident.record().clone();
    let Some(began) = record.began else { return check(history, end, options) };
    let ended = record.ended.unwrap_or(u64::MAX);
    judge_copied(world, history, end);
    let Some(kept) = &record.destroyed else {
        let calls = history.calls.iter().filter_map(|call| undisturbed(call, began, ended)).collect();
        return check(&History { calls, ..History::default() }, end, options);
    };
    let before = entries(kept).unwrap_or_else(|error| panic!("the kept file cannot be read: {error}"));
    let calls = history.calls.iter().filter_map(|call| until(call, began)).collect();
    let old = FinalState { entries: before.clone(), ..FinalState::default() }.since(end.since);
    let report = check(&History { calls, ..History::default() }, &old, options);
    for violation in report.violations.iter().take(4) {
        world.fail(violation.rule.name(), format!("before the accident: {}", violation.message));
    }
    let fork = Fork::new(world, &before, end);
    fork.judge_prefix();
    fork.judge_answers(history, began);
    fork.judge_kept(&record);
    fork.judge_set_aside();
    fork.judge_idle();
    let calls = history.calls.iter().filter_map(|call| since(call, began, ended)).collect();
    let mut after = check(&History { calls, ..History::default() }, end, options);
    after.counts.unacknowledged = report.counts.unacknowledged;
    after
}

/// A call as it is judged by a ledger of which nothing was destroyed.
fn undisturbed(call: &Call, began: u64, ended: u64) -> Option<Call> {
    let is_over = call.completed.is_some_and(|completed| completed < began);
    match call.operation {
        Operation::Purchase { .. } | Operation::Cancel { .. } => Some(call.clone()),
        Operation::Amend { .. } if is_over || call.invoked > ended => Some(call.clone()),
        Operation::Amend { .. } => Some(unknown(call)),
        _ => is_over.then(|| call.clone()),
    }
}

/// A call as it is judged by the ledger as it was before.
fn until(call: &Call, began: u64) -> Option<Call> {
    let is_over = call.completed.is_some_and(|completed| completed < began);
    match call.operation {
        _ if call.invoked >= began => None,
        _ if is_over => Some(call.clone()),
        Operation::Purchase { .. } | Operation::Cancel { .. } | Operation::Amend { .. } => Some(unknown(call)),
        _ => None,
    }
}

/// A call as it is judged by the ledger that went on.
fn since(call: &Call, began: u64, ended: u64) -> Option<Call> {
    let judged_from = match call.operation {
        Operation::Purchase { .. } | Operation::Cancel { .. } => began,
        Operation::Amend { .. } => ended,
        _ => return None,
    };
    Some(if call.invoked < judged_from { unknown(call) } else { call.clone() })
}

/// The call, as if it had never returned.
fn unknown(call: &Call) -> Call {
    let operation = match call.operation.clone() {
        Operation::Purchase { order, lines, .. } => Operation::Purchase { order, lines, outcome: Outcome::Unknown },
        Operation::Cancel { order, .. } => Operation::Cancel { order, outcome: Outcome::Unknown },
        Operation::Amend { book, change, key, .. } => Operation::Amend { book, change, key, outcome: Outcome::Unknown },
        other => other,
    };
    Call { operation, completed: None, ..call.clone() }
}

/// The order and the kind of its entry, if a purchase or a cancellation was acknowledged.
fn acknowledged(call: &Call) -> Option<(OrderId, Kind)> {
    match &call.operation {
        Operation::Purchase { order, outcome, .. } => outcome.answered().map(|_| (*order, Kind::Sale)),
        Operation::Cancel { order, outcome } => outcome.answered().map(|_| (*order, Kind::Return)),
        _ => None,
    }
}

/// The orders that a copy has set aside.
fn set_aside(world: &Shared, host: Host) -> BTreeSet<OrderId> {
    let read = || {
        let mut copy = Snapshot::open(&world.disk(host).path())?;
        copy.orders_set_aside(0, 10_000)
    };
    let orders = read().unwrap_or_else(|error| panic!("a copy cannot be read: {error}"));
    orders.into_iter().map(|(_, order)| order.id).collect()
}

/// With `--ack copied`, whatever was acknowledged was in a copy.
fn judge_copied(world: &Shared, history: &History, end: &FinalState) {
    if !world.plan.acknowledges_copied() {
        return;
    }
    let sold = end.entries.iter().filter(|entry| entry.kind == Kind::Sale).filter_map(|entry| entry.key);
    let mut found: BTreeSet<OrderId> = sold.collect();
    if !world.plan.loses_catalog() {
        found.extend([Host::Order1, Host::Order2].into_iter().flat_map(|host| set_aside_at_all(world, host)));
    }
    for (order, kind) in history.calls.iter().filter_map(acknowledged) {
        if kind == Kind::Sale && !found.contains(&order) {
            world.fail("copied", format!("order {order} was acknowledged as copied, and no copy has it"));
        }
    }
}

/// Whatever a copy has set aside, cancelled orders too.
fn set_aside_at_all(world: &Shared, host: Host) -> Vec<OrderId> {
    let summary = Snapshot::open(&world.disk(host).path())
        .and_then(|mut copy| copy.read(|_, _| Ok::<_, StoreError>(())).map(|(summary, _)| summary));
    summary.unwrap_or_else(|error| panic!("a copy cannot be read: {error}")).orders_set_aside
}

/// Two histories, and where the one that went on begins.
struct Fork<'a> {
    world: &'a Shared,
    before: &'a [Entry],
    end: &'a FinalState,
    at: Seq,
}

impl<'a> Fork<'a> {
    fn new(world: &'a Shared, before: &'a [Entry], end: &'a FinalState) -> Self {
        let timeline = end.entries.iter().rev().find(|entry| entry.kind == Kind::Timeline);
        if timeline.is_none() {
            world.fail("fork", "the ledger that went on has no timeline of its own".into());
        }
        Self { world, before, end, at: timeline.map_or(Seq(0), |entry| entry.seq) }
    }

    /// Entries that are in the ledger no more.
    fn lost(&self) -> impl Iterator<Item = &'a Entry> {
        let at = self.at;
        self.before.iter().filter(move |entry| entry.seq >= at)
    }

    fn judge_prefix(&self) {
        let end = self.end.entries.iter().take_while(|entry| entry.seq < self.at);
        if !self.before.iter().take_while(|entry| entry.seq < self.at).eq(end) {
            self.world.fail("fork", format!("the ledger is not what it was before entry {}", self.at));
        }
    }

    /// What was answered across the accident is somewhere.
    fn judge_answers(&self, history: &History, began: u64) {
        let both = self.before.iter().chain(&self.end.entries);
        let found: BTreeSet<(OrderId, u8)> = both.filter_map(|entry| Some((entry.key?, number(entry.kind)))).collect();
        for call in history.calls.iter().filter(|call| call.invoked < began) {
            if let Some((order, kind)) = acknowledged(call)
                && !found.contains(&(order, number(kind)))
            {
                self.world.fail("no-loss", format!("the {kind:?} of {order} was acknowledged and is in no ledger"));
            }
        }
        let lost = self.lost().filter(|entry| entry.kind == Kind::Sale).count();
        self.world.coverage.add(Seen::Destroyed, lost as u64);
    }

    /// A restore keeps what it replaces.
    fn judge_kept(&self, record: &Record) {
        let Some(replaced) = &record.replaced else { return };
        let is_whole = entries(replaced).is_ok_and(|entries| entries == self.before);
        if !is_whole {
            self.world.fail("told", "the restore has not kept what it replaced".into());
        }
    }

    /// A copy sets aside what it had, and lists the orders.
    fn judge_set_aside(&self) {
        for (host, seller) in [Host::Order1, Host::Order2].into_iter().zip(self.world.accident.sellers()) {
            let rewound = seller.rewound.lock().expect("nobody panics with it").clone();
            let Some((was_at, count)) = rewound.last().copied() else { continue };
            self.world.coverage.add(Seen::SetAside, count);
            let had: Vec<&Entry> = self.lost().filter(|entry| entry.seq <= was_at).collect();
            let listed = set_aside(self.world, host);
            let mut open: BTreeMap<OrderId, Seq> = BTreeMap::new();
            for entry in &had {
                match (entry.kind, entry.key) {
                    (Kind::Sale, Some(order)) => drop(open.insert(order, entry.seq)),
                    (Kind::Return, Some(order)) => drop(open.remove(&order)),
                    _ => {}
                }
            }
            if had.len() as u64 != count || !open.keys().all(|order| listed.contains(order)) {
                let what =
                    format!("{host} set {count} of {} entries aside, and lists {listed:?} of {open:?}", had.len());
                self.world.fail("told", what);
            }
        }
    }

    /// The old catalog, which came back, has sold nothing.
    fn judge_idle(&self) {
        if !self.world.plan.loses_catalog() {
            return;
        }
        let old = entries(&self.world.disk(Host::Catalog).path()).expect("a store can be read");
        let sold = old.iter().skip(self.before.len()).find(|entry| matches!(entry.kind, Kind::Sale | Kind::Return));
        if let Some(sold) = sold {
            self.world.fail("idle", format!("the old catalog has sold: {sold:?}"));
        }
    }
}

fn number(kind: Kind) -> u8 {
    u8::from(kind == Kind::Return)
}

/// Reads every order that was ever shown, through both order servers: after the faults they must say what the ledger says.
pub(crate) async fn orders_agree(world: &Shared, routes: &Routes, end: &FinalState) -> Result<bool> {
    if !world.accident.has_begun() {
        return Ok(true);
    }
    let mut expected: BTreeMap<OrderId, Status> = BTreeMap::new();
    for entry in &end.entries {
        match (entry.kind, entry.key) {
            (Kind::Sale, Some(order)) => drop(expected.insert(order, Status::Placed)),
            (Kind::Return, Some(order)) => drop(expected.insert(order, Status::Cancelled)),
            _ => {}
        }
    }
    let shown: BTreeSet<OrderId> = world.facts().orders.iter().copied().collect();
    for order in shown {
        for copy in &routes.copies {
            let read = match copy.order(order).await {
                Ok(read) => Some(read.status),
                Err(bookstore_core::Error::OrderNotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            if read != expected.get(&order).copied() {
                world.note(format_args!("{order} is read as {read:?}, the ledger says {:?}", expected.get(&order)));
                return Ok(false);
            }
        }
    }
    Ok(true)
}
