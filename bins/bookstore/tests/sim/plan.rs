//! The plan of a run, drawn from its seed: sizes, limits and rates.

use bookstore_core::{orders::Ack, writer::WriterLimits};
use bookstore_transport_http::{api, cache::CacheOptions, client::ClientOptions, server::ServerLimits};
use bookstore_transport_inproc::Rates;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::time::Duration;

use super::accident::Accident;

/// Everything that is drawn before a run begins. Each kind of fault is off in some seeds, so that the others have room.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The time between two steps of the simulated network.
    pub(crate) tick: Duration,
    /// How long there are faults.
    pub(crate) chaos: Duration,
    /// How long buyers and the others think at most.
    pub(crate) think: Duration,
    pub(crate) buyers: u64,
    /// Purchases that one buyer means to make.
    pub(crate) intents: u64,
    /// The books, by their first stock.
    pub(crate) stocks: Vec<u32>,
    /// The longest usual latency of a link.
    pub(crate) latency_max: Duration,
    /// Time between two faults, about.
    pub(crate) faults_every: Duration,
    pub(crate) crashes: bool,
    pub(crate) power: bool,
    pub(crate) cuts: bool,
    pub(crate) clogs: bool,
    pub(crate) clocks: bool,
    pub(crate) checkpoints: bool,
    /// The longest usual time of a flush, and between it and the answers.
    pub(crate) flush_max: Duration,
    /// Shares of flushes that take very long, and of writes that fail.
    pub(crate) slow: f64,
    pub(crate) failing: f64,
    /// Between the servers.
    pub(crate) rates: Rates,
    pub(crate) ack: Ack,
    pub(crate) cache: Option<CacheOptions>,
    /// Whether queues are tiny.
    pub(crate) tight: bool,
    /// Whether callers give up before the servers do.
    pub(crate) hasty: bool,
    /// Whether a batch may be begun for a single command while another is on its way to the disk.
    pub(crate) eager: bool,
    /// Whether no client sends anything twice by itself, so that buyers see how each server reports a failure.
    pub(crate) single: bool,
    /// What happens to the ledger's file.
    pub(crate) accident: Option<Accident>,
    /// Whether the operator puts the right file back, or goes back to the wrong one.
    pub(crate) put_back: bool,
    /// If there is an accident, how late order servers ask for entries: their copies are behind what they have sold.
    pub(crate) poll_delay: Duration,
    /// Whether the catalog searches by an index.
    pub(crate) indexed: bool,
    /// New texts that a search waits for.
    pub(crate) wait_for_texts_max: usize,
}

/// Time enough for buyers before and after an accident.
const CHAOS_WITH_ACCIDENT: Duration = Duration::from_millis(3_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Plan {
    pub(crate) fn draw(seed: u64, forced: Option<Accident>, indexed: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rng = &mut rng;
        let books = rng.random_range(1..=3);
        let often = |rng: &mut StdRng, share: f64, most: f64| {
            if rng.random_bool(share) { rng.random_range(0.0..most) } else { 0.0 }
        };
        let rates = Rates {
            overloaded: often(rng, 0.3, 0.05),
            request_lost: often(rng, 0.4, 0.08),
            reply_lost: often(rng, 0.4, 0.08),
            duplicated: often(rng, 0.5, 0.3),
            delayed: often(rng, 0.4, 0.3),
            delay_max: ms(rng.random_range(20..900)),
        };
        let wait = ms(rng.random_range(30..400));
        let plan = Self {
            tick: ms(rng.random_range(6..=12)),
            chaos: ms(rng.random_range(2_000..4_500)),
            think: ms(rng.random_range(50..400)),
            buyers: rng.random_range(2..=4),
            intents: rng.random_range(4..=9),
            stocks: (0..books).map(|_| rng.random_range(1..=12)).collect(),
            latency_max: ms(rng.random_range(2..40)),
            faults_every: ms(rng.random_range(80..500)),
            crashes: rng.random_bool(0.8),
            power: rng.random_bool(0.7),
            cuts: rng.random_bool(0.6),
            clogs: rng.random_bool(0.5),
            clocks: rng.random_bool(0.4),
            checkpoints: rng.random_bool(0.4),
            flush_max: ms(rng.random_range(1..60)),
            slow: often(rng, 0.4, 0.08),
            failing: often(rng, 0.4, 0.08),
            rates,
            ack: if rng.random_bool(0.3) { Ack::Copied { wait } } else { Ack::Ledger },
            cache: rng.random_bool(0.7).then(|| CacheOptions {
                books_max: 2,
                max_staleness: ms(rng.random_range(100..600)),
                timeout: ms(rng.random_range(50..1_000)),
            }),
            tight: rng.random_bool(0.25),
            hasty: rng.random_bool(0.4),
            eager: rng.random_bool(0.75),
            single: rng.random_bool(0.3),
            accident: None,
            put_back: true,
            poll_delay: Duration::ZERO,
            indexed: false,
            wait_for_texts_max: 0,
        };
        plan.with_accident(rng, forced).with_index(rng, indexed)
    }

    /// In a part of the seeds there is an index, unless one is forced.
    fn with_index(self, rng: &mut StdRng, forced: bool) -> Self {
        let drawn = rng.random_bool(0.1);
        // Now and then the store answers while a few texts are taken in.
        let wait_for_texts_max = if rng.random_bool(0.5) { rng.random_range(1..=2) } else { 1_000 };
        Self { indexed: forced || drawn, wait_for_texts_max, ..self }
    }

    /// In a part of the seeds there is an accident, unless one is forced.
    fn with_accident(mut self, rng: &mut StdRng, forced: Option<Accident>) -> Self {
        let drawn = (rng.random_bool(0.25), Accident::draw(rng));
        let (put_back, copied, wait) = (rng.random_bool(0.5), rng.random_bool(0.7), ms(rng.random_range(1_000..2_500)));
        let poll_delay = ms(rng.random_range(0..150));
        self.accident = forced.or(Some(drawn.1).filter(|_| drawn.0));
        if self.accident.is_some() {
            self.chaos = self.chaos.max(CHAOS_WITH_ACCIDENT);
            self.ack = if copied { Ack::Copied { wait } } else { Ack::Ledger };
        }
        Self { put_back, poll_delay, ..self }
    }

    /// Whether purchases are acknowledged once they are copied.
    pub(crate) fn acknowledges_copied(&self) -> bool {
        matches!(self.ack, Ack::Copied { .. })
    }

    /// Whether the catalog's machine is lost, and the shop goes on elsewhere.
    pub(crate) fn loses_catalog(&self) -> bool {
        self.accident == Some(Accident::Promoted)
    }

    /// Whether there is a machine for another catalog server.
    pub(crate) fn has_spare(&self) -> bool {
        matches!(self.accident, Some(Accident::Promoted | Accident::SecondName))
    }

    pub(crate) fn writer_limits(&self) -> WriterLimits {
        let mut limits = WriterLimits { recover_after: ms(200), ..WriterLimits::default() };
        if self.tight {
            (limits.waiting_max, limits.batch_max) = (1, 1);
        }
        // Where the disk fails, batches pile up as often as they can.
        if self.eager || self.failing > 0.0 {
            limits.overlap_min = 0;
        }
        limits
    }

    /// The limits of every server.
    pub(crate) fn server_limits(&self) -> ServerLimits {
        let usual = ServerLimits { date_header: false, ..api::limits() };
        // Long polls take places too: of two followers, the auditor and a cache.
        if self.tight { ServerLimits { in_flight_max: 7, ..usual } } else { usual }
    }

    pub(crate) fn client_options(&self, inner: bool, seed: u64) -> ClientOptions {
        // Shorter than in production, in the same order: the servers further in give up first.
        let (deadline, attempt_timeout) = if inner { (900, 600) } else { (2_000, 1_200) };
        let (deadline, attempt_timeout) = (ms(deadline), ms(attempt_timeout));
        let mut usual = ClientOptions { deadline, attempt_timeout, ..ClientOptions::default() };
        if self.single {
            usual.retries_max = 0;
        }
        let waiting_max = if self.tight { 1 } else { usual.waiting_max };
        let batches_in_flight_max = if self.tight { 1 } else { usual.batches_in_flight_max };
        ClientOptions { seed, waiting_max, batches_in_flight_max, ..usual }
    }

    /// The deadline of a call and of one attempt, for buyers and staff: longer than the servers need, or shorter.
    pub(crate) fn timeouts(&self) -> (Duration, Duration) {
        if self.hasty { (ms(1_500), ms(500)) } else { (ms(3_000), ms(2_400)) }
    }
}
