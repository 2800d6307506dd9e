//! What the server, the connection itself, and its requests know of a connection.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

use super::{admission::Admission, connections::Peer};

/// How long a server that drains waits for the first request of a connection, from when it was accepted.
const FIRST_REQUEST_WAIT: Duration = Duration::from_millis(500);

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// To end once its request is answered, at once if it is idle.
    Drain = 1,
    /// To close, if it is still idle.
    MakeRoom = 2,
}

/// What the server, the connection itself, and its requests know of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    pub(crate) admission: Arc<Admission>,
    pub(crate) peer: Arc<Peer>,
    /// When the server was started.
    started: Instant,
    /// When the connection was accepted.
    accepted: Instant,
    has_had_request: AtomicBool,
    /// The `Host` of its first request that passed the checks. Clients nearly always send the same one again.
    pub(super) host: OnceLock<Box<[u8]>>,
    /// A read waits for the peer.
    awaits_peer: AtomicBool,
    /// A request is answered.
    in_request: AtomicBool,
    /// An [`EndlessAnswer`](super::stall::EndlessAnswer) is written.
    endless: AtomicBool,
    /// When its last request began, or it did, in microseconds since the server's start.
    active_us: AtomicU64,
    told: AtomicU8,
    tell: Notify,
}

impl ConnectionState {
    pub(super) fn new(admission: Arc<Admission>, peer: Arc<Peer>, started: Instant) -> Self {
        let state = Self {
            admission,
            peer,
            started,
            accepted: Instant::now(),
            has_had_request: AtomicBool::new(false),
            host: OnceLock::new(),
            awaits_peer: AtomicBool::new(false),
            in_request: AtomicBool::new(false),
            endless: AtomicBool::new(false),
            active_us: AtomicU64::new(0),
            told: AtomicU8::new(0),
            tell: Notify::new(),
        };
        state.touch(state.accepted);
        state
    }

    fn touch(&self, at: Instant) {
        let us = u64::try_from(at.duration_since(self.started).as_micros()).unwrap_or(u64::MAX);
        self.active_us.store(us, Ordering::Relaxed);
    }

    pub(super) fn active_at(&self) -> u64 {
        self.active_us.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn was_active_at(&self, us: u64) {
        self.active_us.store(us, Ordering::Relaxed);
    }

    /// Whether nothing happens on the connection until its peer sends something: no request, and no answer that is being
    /// written, since the connection reads only between answers.
    pub(crate) fn is_idle(&self) -> bool {
        self.awaits_peer.load(Ordering::Relaxed) && !self.in_request.load(Ordering::Relaxed)
    }

    pub(crate) fn begin_request(&self, at: Instant) {
        self.touch(at);
        self.has_had_request.store(true, Ordering::Relaxed);
        self.endless.store(false, Ordering::Relaxed);
        self.in_request.store(true, Ordering::Relaxed);
    }

    pub(crate) fn end_request(&self, is_endless: bool) {
        self.endless.store(is_endless, Ordering::Relaxed);
        self.in_request.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_endless(&self) -> bool {
        self.endless.load(Ordering::Relaxed)
    }

    /// Until when a draining server waits for the connection's first request: the past, unless it is a new one.
    pub(crate) fn first_request_until(&self) -> Instant {
        if self.has_had_request.load(Ordering::Relaxed) { self.accepted } else { self.accepted + FIRST_REQUEST_WAIT }
    }

    /// Notes whether a read has to wait.
    pub(crate) fn reads(&self, waits: bool) {
        self.awaits_peer.store(waits, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, told: Told) {
        self.told.fetch_max(told as u8, Ordering::Relaxed);
        self.tell.notify_one();
    }

    /// Waits until the connection is told something.
    pub(crate) async fn told(&self) -> Told {
        self.tell.notified().await;
        if self.told.load(Ordering::Relaxed) == Told::MakeRoom as u8 { Told::MakeRoom } else { Told::Drain }
    }
}
