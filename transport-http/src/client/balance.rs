//! Chooses the server of the next request: the less busy of two random ones (power of two choices), without servers that were
//! ejected because they fail (outlier ejection, as in Envoy).
//!
//! A server is ejected after a failed connect or three failures in a row, for 500 ms at first and for twice as long every
//! further time, up to 2 s. Then a single request probes it: an answer brings the server back, a failure ejects it again. There
//! are no health checks beside the traffic.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Failures in a row, other than a failed connect, that eject a server.
const FAILURES_MAX: u32 = 3;
/// How long a server is ejected the first time; twice as long every further time.
const EJECTION: Duration = Duration::from_millis(500);
/// The longest a server is ejected before it is probed.
const EJECTION_MAX: Duration = Duration::from_secs(2);

/// A group of servers that all answer the same, and what this client knows of each.
#[derive(Debug)]
pub(super) struct Servers {
    all: Vec<Server>,
    /// The server whose probe has just failed: the next request goes elsewhere. [`NONE`] if there is none.
    failed_probe: AtomicUsize,
}

/// No server's index.
const NONE: usize = usize::MAX;

#[derive(Debug)]
struct Server {
    /// `http://host:port`.
    base: String,
    /// Requests of this client, by which the less busy one is found.
    in_flight: AtomicUsize,
    health: Mutex<HealthState>,
}

/// Whether a server may get requests. The default is healthy: any answer resets a server to it.
#[derive(Debug, Default)]
struct HealthState {
    /// Failures since the last answer.
    failures: u32,
    /// Ejections since the last answer.
    ejections: u32,
    /// Set while it is ejected; once it is in the past, the server is due for a probe.
    ejected_until: Option<Instant>,
    /// A request is in flight to find out whether it is back.
    probing: bool,
}

/// What became of a request to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It answered.
    Answered,
    /// No connection could be made.
    NoConnection,
    /// It was sent and no answer came, or the server said that it is not ready.
    Failed,
}

impl Servers {
    /// Servers at `http://host:port` each, all healthy.
    pub(super) fn new(bases: Vec<String>) -> Self {
        Self { all: bases.into_iter().map(Server::new).collect(), failed_probe: AtomicUsize::new(NONE) }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Picks a server: one that is due for a probe, or else the less busy of two random ones, other than `avoid` if there is
    /// another. Ejected servers are left out, unless all are ejected. `draw` returns a random number below its argument.
    ///
    /// After a failed probe comes a request to another server: otherwise every call of somebody who calls seldom would be a probe.
    pub(super) fn pick(&self, avoid: Option<usize>, draw: impl Fn(usize) -> usize) -> Picked<'_> {
        let now = Instant::now();
        let failed = self.failed_probe.load(Ordering::Relaxed);
        if failed != NONE {
            self.failed_probe.store(NONE, Ordering::Relaxed);
        }
        if let Some(due) = self.due_for_probe(failed, now) {
            return self.picked(due, true);
        }
        let mut candidates: Vec<_> =
            (0..self.all.len()).filter(|&at| self.all[at].health().ejected_until.is_none()).collect();
        if candidates.is_empty() {
            candidates.extend((0..self.all.len()).filter(|&at| at != failed || self.all.len() == 1));
        }
        if candidates.len() > 1 {
            candidates.retain(|&at| Some(at) != avoid);
        }
        let at = match candidates.as_slice() {
            [] => 0,
            [only] => *only,
            several => {
                let first = draw(several.len());
                let second = (first + 1 + draw(several.len() - 1)) % several.len();
                self.less_busy(several[first], several[second])
            }
        };
        self.picked(at, false)
    }

    /// Begins a probe of the server that has been due for it for the longest time, other than `failed`.
    fn due_for_probe(&self, failed: usize, now: Instant) -> Option<usize> {
        let due = self.all.iter().enumerate().filter(|(at, _)| *at != failed);
        let due = due.filter_map(|(at, server)| Some((server.health().due_since(now)?, at))).min();
        due.map(|(_, at)| at).filter(|at| self.all[*at].health().start_probe(now))
    }

    fn less_busy(&self, a: usize, b: usize) -> usize {
        let busy = |at: usize| self.all[at].in_flight.load(Ordering::Relaxed);
        if busy(b) < busy(a) { b } else { a }
    }

    fn picked(&self, at: usize, probe: bool) -> Picked<'_> {
        let server = &self.all[at];
        server.in_flight.fetch_add(1, Ordering::Relaxed);
        Picked { servers: self, server, at, probe }
    }
}

impl Server {
    fn new(base: String) -> Self {
        Self { base, in_flight: AtomicUsize::new(0), health: Mutex::default() }
    }

    fn health(&self) -> MutexGuard<'_, HealthState> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HealthState {
    /// Since when a probe is due, if it is.
    fn due_since(&self, now: Instant) -> Option<Instant> {
        self.ejected_until.filter(|until| !self.probing && *until <= now)
    }

    /// Whether a probe is due; then the caller makes it, and no other one is due until it has ended.
    fn start_probe(&mut self, now: Instant) -> bool {
        let due = self.due_since(now).is_some();
        self.probing |= due;
        due
    }

    /// Records an outcome; true if it ejected the server.
    fn note(&mut self, outcome: Outcome, now: Instant) -> bool {
        if outcome == Outcome::Answered {
            *self = Self::default();
            return false;
        }
        self.failures += 1;
        let was_healthy = self.ejected_until.is_none();
        let again = self.ejected_until.is_some_and(|until| until <= now);
        if (was_healthy && (outcome == Outcome::NoConnection || self.failures >= FAILURES_MAX)) || again {
            let ejected_for = EJECTION.saturating_mul(1 << self.ejections.min(16)).min(EJECTION_MAX);
            self.ejected_until = Some(now + ejected_for);
            self.ejections += 1;
        }
        was_healthy && self.ejected_until.is_some()
    }
}

/// A server while it is used by one request. Dropping it ends the use, also if the request was given up.
#[derive(Debug)]
pub(super) struct Picked<'a> {
    servers: &'a Servers,
    server: &'a Server,
    at: usize,
    probe: bool,
}

impl Picked<'_> {
    /// `http://host:port`.
    pub(super) fn base(&self) -> &str {
        &self.server.base
    }

    /// Its index in the group: what to avoid in the next attempt.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Records what became of the request.
    pub(super) fn note(&self, outcome: Outcome) {
        if self.probe && outcome != Outcome::Answered {
            self.servers.failed_probe.store(self.at, Ordering::Relaxed);
        }
        if self.server.health().note(outcome, Instant::now()) {
            tracing::warn!(server = self.server.base, ?outcome, "a server is ejected for a while");
        }
    }
}

impl Drop for Picked<'_> {
    fn drop(&mut self) {
        self.server.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.probe {
            self.server.health().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Servers {
        Servers::new(vec!["http://a".into(), "http://b".into()])
    }

    fn first(_: usize) -> usize {
        0
    }

    #[test]
    fn the_less_busy_one_is_picked() {
        let servers = two();
        let held = servers.pick(None, first);
        let other = servers.pick(None, first);
        assert_ne!(held.at(), other.at());
        drop(held);
        assert_ne!(servers.pick(None, first).at(), other.at());
        assert_ne!(servers.pick(Some(0), first).at(), 0, "a retry goes elsewhere");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_server_is_left_alone_then_probed_once() {
        let servers = two();
        servers.pick(Some(1), first).note(Outcome::NoConnection);
        for _ in 0..10 {
            assert_eq!(servers.pick(None, first).at(), 1);
        }
        tokio::time::advance(EJECTION).await;
        let probe = servers.pick(None, first);
        assert_eq!(probe.at(), 0);
        assert_eq!(servers.pick(None, first).at(), 1, "one probe at a time");
        probe.note(Outcome::NoConnection);
        drop(probe);
        tokio::time::advance(EJECTION).await;
        assert_eq!(servers.pick(None, first).at(), 1, "out for twice as long");
        tokio::time::advance(EJECTION).await;
        let probe = servers.pick(None, first);
        probe.note(Outcome::Answered);
        drop(probe);
        assert_eq!(servers.pick(Some(1), first).at(), 0, "back in");
    }

    /// Somebody who calls as seldom as a probe is due must reach the other server.
    #[tokio::test(start_paused = true)]
    async fn after_a_failed_probe_comes_another_server() {
        let servers = two();
        servers.pick(Some(1), first).note(Outcome::NoConnection);
        for _ in 0..5 {
            tokio::time::advance(EJECTION_MAX).await;
            let probe = servers.pick(None, first);
            assert_eq!(probe.at(), 0);
            probe.note(Outcome::NoConnection);
            drop(probe);
            tokio::time::advance(EJECTION_MAX).await;
            assert_eq!(servers.pick(None, first).at(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_dead_servers_each_is_probed_in_turn() {
        let servers = two();
        servers.pick(Some(1), first).note(Outcome::NoConnection);
        servers.pick(Some(0), first).note(Outcome::NoConnection);
        let mut probed = Vec::new();
        for _ in 0..6 {
            tokio::time::advance(EJECTION_MAX).await;
            let probe = servers.pick(None, first);
            probed.push(probe.at());
            probe.note(Outcome::NoConnection);
        }
        assert_eq!(probed, [0, 1, 0, 1, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_probe_frees_the_next_one() {
        let servers = two();
        servers.pick(Some(1), first).note(Outcome::NoConnection);
        tokio::time::advance(EJECTION).await;
        drop(servers.pick(None, first));
        assert_eq!(servers.pick(None, first).at(), 0);
    }

    #[test]
    fn a_server_is_out_after_several_failures_and_all_out_is_not_none() {
        let servers = two();
        for _ in 1..FAILURES_MAX {
            servers.pick(Some(1), first).note(Outcome::Failed);
            assert!(servers.all[0].health().ejected_until.is_none());
        }
        servers.pick(Some(1), first).note(Outcome::Failed);
        assert!(servers.all[0].health().ejected_until.is_some());
        servers.pick(Some(0), first).note(Outcome::NoConnection);
        servers.pick(None, first);
        let single = Servers::new(vec!["http://a".into()]);
        single.pick(None, first).note(Outcome::NoConnection);
        assert_eq!(single.pick(Some(0), first).at(), 0);
    }
}
