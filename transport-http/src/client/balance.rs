//! Which of a group's servers gets the next request.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Failures in a row, other than a failed connect, that take a server out.
const FAILURES_MAX: u32 = 3;
/// How long a server is out the first time; twice as long every further time.
const OUT: Duration = Duration::from_millis(500);
/// The longest a server is out before it is tried again.
const OUT_MAX: Duration = Duration::from_secs(10);

/// A group of servers that all answer the same.
#[derive(Debug)]
pub(crate) struct Servers(Vec<Server>);

#[derive(Debug)]
struct Server {
    /// `http://host:port`.
    base: String,
    in_flight: AtomicUsize,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    failures: u32,
    /// How often it was taken out without an answer since.
    times_out: u32,
    out_until: Option<Instant>,
    /// A request is on its way to find out whether it is back.
    probed: bool,
}

/// What became of a request to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It answered.
    Answered,
    /// No connection could be made.
    NoConnection,
    /// It was sent and no answer came, or the server said that it is not ready.
    Failed,
}

impl Servers {
    pub(crate) fn new(bases: Vec<String>) -> Self {
        Self(bases.into_iter().map(Server::new).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Picks a server: one that is due for a probe, or the less busy of two random ones that are in, other than
    /// `avoid` if there is another. When all are out, any of them is better than none.
    pub(crate) fn pick(&self, avoid: Option<usize>, draw: impl Fn(usize) -> usize) -> Picked<'_> {
        let now = Instant::now();
        if let Some(due) = self.0.iter().position(|server| server.standing().start_probe(now)) {
            return self.picked(due, true);
        }
        let mut candidates: Vec<_> =
            (0..self.0.len()).filter(|&at| self.0[at].standing().out_until.is_none()).collect();
        if candidates.is_empty() {
            candidates.extend(0..self.0.len());
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

    fn less_busy(&self, a: usize, b: usize) -> usize {
        let busy = |at: usize| self.0[at].in_flight.load(Ordering::Relaxed);
        if busy(b) < busy(a) { b } else { a }
    }

    fn picked(&self, at: usize, probe: bool) -> Picked<'_> {
        let server = &self.0[at];
        server.in_flight.fetch_add(1, Ordering::Relaxed);
        Picked { server, at, probe }
    }
}

impl Server {
    fn new(base: String) -> Self {
        Self { base, in_flight: AtomicUsize::new(0), standing: Mutex::default() }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn start_probe(&mut self, now: Instant) -> bool {
        let due = !self.probed && self.out_until.is_some_and(|until| until <= now);
        self.probed |= due;
        due
    }

    /// Says whether this took the server out that was in.
    fn note(&mut self, fate: Fate, now: Instant) -> bool {
        if fate == Fate::Answered {
            *self = Self::default();
            return false;
        }
        self.failures += 1;
        let was_in = self.out_until.is_none();
        let again = self.out_until.is_some_and(|until| until <= now);
        if (was_in && (fate == Fate::NoConnection || self.failures >= FAILURES_MAX)) || again {
            let out = OUT.saturating_mul(1 << self.times_out.min(16)).min(OUT_MAX);
            self.out_until = Some(now + out);
            self.times_out += 1;
        }
        was_in && self.out_until.is_some()
    }
}

/// One request's hold on a server.
#[derive(Debug)]
pub(crate) struct Picked<'a> {
    server: &'a Server,
    at: usize,
    probe: bool,
}

impl Picked<'_> {
    /// `http://host:port`.
    pub(crate) fn base(&self) -> &str {
        &self.server.base
    }

    /// Its place in the group.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Tells what became of the request.
    pub(crate) fn note(&self, fate: Fate) {
        if self.server.standing().note(fate, Instant::now()) {
            tracing::warn!(server = self.server.base, ?fate, "a server is left alone for a while");
        }
    }
}

impl Drop for Picked<'_> {
    fn drop(&mut self) {
        self.server.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.probe {
            // Also when the request was given up: then the next one may probe.
            self.server.standing().probed = false;
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
        servers.pick(Some(1), first).note(Fate::NoConnection);
        for _ in 0..10 {
            assert_eq!(servers.pick(None, first).at(), 1);
        }
        tokio::time::advance(OUT).await;
        let probe = servers.pick(None, first);
        assert_eq!(probe.at(), 0);
        assert_eq!(servers.pick(None, first).at(), 1, "one probe at a time");
        probe.note(Fate::NoConnection);
        drop(probe);
        tokio::time::advance(OUT).await;
        assert_eq!(servers.pick(None, first).at(), 1, "out for twice as long");
        tokio::time::advance(OUT).await;
        let probe = servers.pick(None, first);
        probe.note(Fate::Answered);
        drop(probe);
        assert_eq!(servers.pick(Some(1), first).at(), 0, "back in");
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_probe_frees_the_next_one() {
        let servers = two();
        servers.pick(Some(1), first).note(Fate::NoConnection);
        tokio::time::advance(OUT).await;
        drop(servers.pick(None, first));
        assert_eq!(servers.pick(None, first).at(), 0);
    }

    #[test]
    fn a_server_is_out_after_several_failures_and_all_out_is_not_none() {
        let servers = two();
        for _ in 1..FAILURES_MAX {
            servers.pick(Some(1), first).note(Fate::Failed);
            assert!(servers.0[0].standing().out_until.is_none());
        }
        servers.pick(Some(1), first).note(Fate::Failed);
        assert!(servers.0[0].standing().out_until.is_some());
        servers.pick(Some(0), first).note(Fate::NoConnection);
        servers.pick(None, first);
        let single = Servers::new(vec!["http://a".into()]);
        single.pick(None, first).note(Fate::NoConnection);
        assert_eq!(single.pick(Some(0), first).at(), 0);
    }
}
