//! The answers in words.

use crate::{
    lab::{CacheCell, Cell, LabResult, Shape, TierCell},
    load::{Mix, Numbers, Operation},
    report::whole,
    text::{counted, grouped, shown_rate, shown_us},
};

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub question: &'static str,
    /// The answer, in sentences.
    pub sentences: Vec<String>,
}

impl LabResult {
    /// The five questions, answered in words.
    #[must_use]
    pub fn answers(&self) -> [Answer; 5] {
        let answer = |question, sentences| Answer { question, sentences };
        [
            answer("How long do search, info and purchase take as the number of clients grows?", self.of_clients()),
            answer("In which tier is the time spent?", self.of_tiers()),
            answer("What does a larger share of purchases cost?", self.of_mixes()),
            answer("What does a frontend’s cache save, and what does keeping it consistent cost?", self.of_caching()),
            answer("What do clients see when an order server is killed?", self.of_killing()),
        ]
    }

    fn of_clients(&self) -> Vec<String> {
        let few = self.plan.clients.first().copied().unwrap_or(1);
        let many_clients = self.plan.clients.last().copied().unwrap_or(1);
        let medians = |clients| {
            each_shape(|shape| {
                let cell = self.clients.iter().find(|cell| cell.shape == shape && cell.clients == clients)?;
                p50(cell.operation(Operation::Purchase)?)
            })
        };
        let best = each_shape(|shape| {
            let cells = self.clients.iter().filter(|cell| cell.shape == shape);
            let best = cells.max_by(|a, b| rate(a).total_cmp(&rate(b)))?;
            Some(format!("{} with {}", shown_rate(rate(best)), clients(best.clients)))
        });
        vec![
            format!("The median purchase takes {} with {}.", medians(few), clients(few)),
            format!("With {} it takes {}.", clients(many_clients), medians(many_clients)),
            format!("The most answers a second, all three operations together, were {best}."),
        ]
    }

    fn of_tiers(&self) -> Vec<String> {
        let alone = |cell: &&TierCell| cell.clients == self.plan.tier_clients.first().copied().unwrap_or(1);
        let cells = self.tiers.iter().filter(alone).filter(|cell| cell.shape == Shape::ThreeServers);
        let mut sentences: Vec<String> = cells.map(parts).collect();
        sentences.push(
            "Each server times its own requests. A tier’s part is its mean time minus that of the call that it waits for; the \
             client’s part is its latency minus the first server’s time, so it includes the network. The catalog server’s part \
             of a purchase includes the flush to disk. With several clients, purchases share calls, and each call counts once."
                .into(),
        );
        sentences
    }

    fn of_mixes(&self) -> Vec<String> {
        let rates = |chance: f64| {
            each_shape(|shape| {
                let cell = self.mixes.iter().find(|cell| cell.shape == shape && cell.mix == Mix::Chance(chance))?;
                Some(shown_rate(rate(cell)))
            })
        };
        let (Some(least), Some(most)) = (self.plan.chances.first(), self.plan.chances.last()) else {
            return Vec::new();
        };
        vec![
            format!(
                "With {}, when {}, the shop answers {} requests a second.",
                clients(self.plan.clients_otherwise),
                buying(*least),
                rates(*least)
            ),
            format!("When {}, it is {}.", buying(*most), rates(*most)),
        ]
    }

    fn of_caching(&self) -> Vec<String> {
        let cells = &self.caching.cells;
        let cached = cells.iter().filter(|cell| cell.cached);
        let mut sentences: Vec<String> = cached.filter_map(|with| Some(saved(self.without(with)?, with))).collect();
        for staleness in &self.caching.staleness {
            let load = match staleness.clients {
                0 => "Without other load".to_owned(),
                number => format!("While {} load the shop", clients(number)),
            };
            sentences.push(format!(
                "{load}, a purchase through one frontend shows through the other one {} after its acknowledgement (median of \
                 {}), after at most {} in 99 of 100 cases, and after {} at the longest; the first look still showed the old stock in {} \
                 cases. The stated bound is {}.",
                shown_us(staleness.p50_us),
                grouped(staleness.purchases),
                shown_us(staleness.p99_us),
                shown_us(staleness.max_us),
                grouped(staleness.seen_old),
                shown_us(self.caching.bound_ms * 1000),
            ));
        }
        sentences
    }

    /// The same load without a cache.
    pub(super) fn without(&self, with: &CacheCell) -> Option<&CacheCell> {
        self.caching.cells.iter().find(|cell| !cell.cached && cell.cell.mix == with.cell.mix)
    }

    fn of_killing(&self) -> Vec<String> {
        let killing = &self.killing;
        let total = &killing.total;
        let longest = total.latency.as_ref().map_or(0, |latency| latency.max_us);
        let median = total.latency.as_ref().map_or(0, |latency| latency.p50_us);
        let mut sentences = vec![
            format!(
                "While {} requests a second arrived, one of two order servers was killed (kill -9) after {:.1} s, and started again \
                 after {:.1} s; its copy had caught up {} later.",
                grouped(whole(killing.rate)),
                killing.killed_at,
                killing.restarted_at,
                shown_us(whole((killing.ready_at - killing.restarted_at).max(0.0) * 1e6)),
            ),
            format!(
                "Of {}, {} failed and {} never started; clients sent {} again, frontends {}. The median request took {}, the longest \
                 {}.",
                counted(total.succeeded + total.refused_total() + total.failed_total(), "request", "requests"),
                grouped(total.failed_total()),
                grouped(killing.not_started),
                grouped(total.retries),
                grouped(killing.frontend_retries),
                shown_us(median),
                shown_us(longest),
            ),
        ];
        if let (Some(check), Some(audit)) = (&killing.check, &killing.audit) {
            let copies: Vec<String> = audit.copies.iter().map(|copy| grouped(copy.orders)).collect();
            sentences.push(format!(
                "{} Afterwards {} of {} acknowledged orders were read back as answered; the ledger has {} orders, the order \
                 servers’ copies have {}.",
                check.sentence(),
                grouped(check.confirmed),
                grouped(check.acknowledged),
                grouped(audit.orders),
                copies.join(" and "),
            ));
        }
        sentences
    }
}

/// `1.2 ms (one process), 2 ms (three servers)`.
fn each_shape(value: impl Fn(Shape) -> Option<String>) -> String {
    let shown = |shape: Shape| format!("{} ({})", value(shape).unwrap_or_else(|| "–".to_owned()), shape.name());
    let [first, second, third] = Shape::ALL.map(shown);
    format!("{first}, {second} and {third}")
}

fn p50(numbers: &Numbers) -> Option<String> {
    numbers.latency.as_ref().map(|latency| shown_us(latency.p50_us))
}

fn rate(cell: &Cell) -> f64 {
    cell.total.answered_per_second
}

fn clients(number: usize) -> String {
    match number {
        1 => "one client".to_owned(),
        number => format!("{} clients", grouped(number as u64)),
    }
}

fn buying(chance: f64) -> String {
    if chance > 0.0 { format!("{} of the looks lead to a purchase", percent(chance)) } else { "nobody buys".to_owned() }
}

pub(super) fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 99.0 && percent < 100.0 { format!("{percent:.2} %") } else { format!("{percent:.0} %") }
}

/// One operation, tier by tier.
fn parts(cell: &TierCell) -> String {
    let all = cell.hops.first().map_or(0.0, |hop| hop.mean_us);
    let part = |hop: &crate::lab::Hop| {
        let share = if all > 0.0 { hop.own_us / all } else { 0.0 };
        format!("{} {} ({})", hop.tier.name(), shown_us(whole(hop.own_us)), percent(share))
    };
    let parts: Vec<String> = cell.hops.iter().map(part).collect();
    let (name, all) = (super::tables::operation_name(cell.operation), shown_us(whole(all)));
    format!(
        "{name} in {} with {} takes {all} on average: {}.",
        cell.shape.name(),
        clients(cell.clients),
        parts.join(", ")
    )
}

/// What a cache saves, and what it costs.
fn saved(without: &CacheCell, with: &CacheCell) -> String {
    let chance = match with.cell.mix {
        Mix::Chance(chance) => chance,
        _ => 0.0,
    };
    let look = |cell: &CacheCell| cell.cell.operation(Operation::Book).and_then(p50).unwrap_or_else(|| "–".to_owned());
    let purchase =
        |cell: &CacheCell| cell.cell.operation(Operation::Purchase).and_then(p50).unwrap_or_else(|| "–".to_owned());
    let purchases = if with.purchases > 0 {
        format!("; a purchase takes {} instead of {}", purchase(with), purchase(without))
    } else {
        String::new()
    };
    format!(
        "When {}, the cache answers {} of the looks: the median look takes {} instead of {}, and the \
         catalog server gets {} requests for each look instead of {}{purchases}. To keep it consistent, the catalog answers {} \
         polls a second instead of {}, and {} entries were followed.",
        buying(chance),
        percent(with.hit_share()),
        look(with),
        look(without),
        super::tables::requests_each(with.catalog_looks_per_look()),
        super::tables::requests_each(without.catalog_looks_per_look()),
        shown_rate(with.polls_per_second()),
        shown_rate(without.polls_per_second()),
        grouped(with.entries_followed),
    )
}
