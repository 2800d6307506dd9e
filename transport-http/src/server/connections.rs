//! The connections of a server: how many there are, from whom, and which one is closed when there is no room for another.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::time::Instant;

use super::{
    admission::Admission,
    connection_state::{ConnectionState, Told},
    limits::ServerLimits,
};

/// All connections of a server.
#[derive(Debug)]
pub(crate) struct Connections {
    admission: Arc<Admission>,
    started: Instant,
    connections_max: usize,
    spare_max: usize,
    per_peer_max: usize,
    /// Locked when a connection begins and when it ends, not by requests.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Those within the limit, by number. One that is told to make room is taken out at once.
    regular: HashMap<u64, Arc<ConnectionState>>,
    spare: usize,
    /// Told to make room, but not closed yet.
    closing: usize,
    peers: HashMap<IpAddr, Arc<Peer>>,
    next: u64,
    /// Of the longest idle: when each was last active, and its number. The longest idle one is the last.
    candidates: Vec<(u64, u64)>,
}

/// How many of the longest idle connections are looked for at once: with all places taken, each new connection needs one.
const CANDIDATES: usize = 64;

/// What all connections from one address have in common. Of an IPv6 address the first 64 bits count: one customer has them all.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(super) key: IpAddr,
    /// Many clients share the address.
    pub(super) is_shared: bool,
    /// Changed under the lock only.
    connections: AtomicUsize,
    /// Bodies of this peer that are waited for.
    pub(super) bodies: AtomicUsize,
}

impl Connections {
    pub(crate) fn new(limits: &ServerLimits, admission: Arc<Admission>) -> Self {
        Self {
            admission,
            started: Instant::now(),
            connections_max: limits.connections_max,
            spare_max: limits.spare_connections_max,
            per_peer_max: limits.connections_per_peer_max,
            open: Mutex::default(),
        }
    }

    /// Admits a connection, or `None`: close it then. If there is no room for it, the connection that has been idle for the
    /// longest time makes room; if none is idle, it is a spare one.
    pub(crate) fn admit(self: &Arc<Self>, from: SocketAddr) -> Option<ConnectionPermit> {
        let key = peer_key(from.ip());
        let is_shared = self.admission.shared_peers.contains(&key);
        let is_limited = !key.is_loopback() && !is_shared;
        let mut open = self.open();
        let peer = open.peers.entry(key).or_insert_with(|| Arc::new(Peer::new(key, is_shared)));
        let peer = Arc::clone(peer);
        let is_admitted = !is_limited || peer.connections.load(Ordering::Relaxed) < self.per_peer_max;
        let is_spare = match is_admitted {
            true if open.regular.len() < self.connections_max => Some(false),
            true if open.make_room(self.spare_max) => Some(false),
            true if open.spare < self.spare_max => Some(true),
            _ => None,
        };
        let Some(is_spare) = is_spare else {
            open.forget_if_gone(&peer);
            return None;
        };
        peer.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(ConnectionState::new(Arc::clone(&self.admission), peer, self.started));
        let number = open.next;
        open.next += 1;
        if is_spare {
            open.spare += 1;
        } else {
            open.regular.insert(number, Arc::clone(&state));
        }
        Some(ConnectionPermit { connections: Arc::clone(self), number, state, is_spare })
    }

    /// Tells all connections to end: idle ones at once, others after their answer.
    pub(crate) fn drain(&self) {
        for connection in self.open().regular.values() {
            connection.tell(Told::Drain);
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Tells the connection that has been idle for the longest time to close; `false` if none is idle. At most `closing_max` are
    /// on their way out at once.
    fn make_room(&mut self, closing_max: usize) -> bool {
        if self.closing >= closing_max.max(1) {
            return false;
        }
        let Some(longest) = self.longest_idle() else { return false };
        if let Some(connection) = self.regular.remove(&longest) {
            self.closing += 1;
            metrics::counter!("bookstore_http_connections_evicted_total").increment(1);
            connection.tell(Told::MakeRoom);
        }
        true
    }

    fn longest_idle(&mut self) -> Option<u64> {
        for look_again in [false, true] {
            if look_again {
                self.find_candidates();
            }
            // One that was active since is not the longest idle any more, and no other one has become idle for longer.
            while let Some((active_at, number)) = self.candidates.pop() {
                let connection = self.regular.get(&number);
                if connection.is_some_and(|found| found.is_idle() && found.active_at() == active_at) {
                    return Some(number);
                }
            }
        }
        None
    }

    fn find_candidates(&mut self) {
        let idle = self.regular.iter().filter(|(_, connection)| connection.is_idle());
        self.candidates = idle.map(|(number, connection)| (connection.active_at(), *number)).collect();
        self.candidates.sort_unstable();
        self.candidates.truncate(CANDIDATES);
        self.candidates.reverse();
    }

    fn forget_if_gone(&mut self, peer: &Peer) {
        if peer.connections.load(Ordering::Relaxed) == 0 {
            self.peers.remove(&peer.key);
        }
    }
}

/// The address that a peer's limits count by.
pub(super) fn peer_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

impl Peer {
    fn new(key: IpAddr, is_shared: bool) -> Self {
        Self { key, is_shared, connections: AtomicUsize::new(0), bodies: AtomicUsize::new(0) }
    }
}

/// Permission to serve a connection. Dropped, it makes room for another one.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    connections: Arc<Connections>,
    number: u64,
    pub(crate) state: Arc<ConnectionState>,
    /// The connection is over the limit: it gets one answer, a health check's or a refusal.
    pub(crate) is_spare: bool,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        if self.is_spare {
            open.spare -= 1;
        } else if open.regular.remove(&self.number).is_none() {
            open.closing -= 1;
        }
        self.state.peer.connections.fetch_sub(1, Ordering::Relaxed);
        open.forget_if_gone(&self.state.peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn connections(limits: ServerLimits) -> Arc<Connections> {
        Arc::new(Connections::new(&limits, Arc::new(Admission::new(&limits))))
    }

    fn admit(connections: &Arc<Connections>, from: &str) -> Option<ConnectionPermit> {
        connections.admit(SocketAddr::new(from.parse().unwrap(), 1))
    }

    #[test]
    fn a_peer_has_a_limit_unless_many_clients_share_its_address() {
        let shared_peers = vec!["10.0.0.9".parse().unwrap()];
        let connections =
            connections(ServerLimits { connections_per_peer_max: 2, shared_peers, ..ServerLimits::default() });
        for (one, same, other) in
            [("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1")]
        {
            let held = [admit(&connections, one), admit(&connections, same)];
            assert!(held.iter().all(Option::is_some));
            assert!(admit(&connections, one).is_none() && admit(&connections, same).is_none());
            assert!(admit(&connections, other).is_some());
            drop(held);
            assert!(admit(&connections, one).is_some());
        }
        for shared in ["127.0.0.1", "::1", "10.0.0.9"] {
            let held: Vec<_> = (0..5).map(|_| admit(&connections, shared)).collect();
            assert!(held.iter().all(Option::is_some), "{shared}");
        }
        assert!(connections.open().peers.is_empty(), "nothing is left of those who are gone");
    }

    #[test]
    fn only_idle_connections_make_room_and_the_longest_idle_goes_first() {
        let limits = ServerLimits { connections_max: 3, spare_connections_max: 1, ..ServerLimits::default() };
        let connections = connections(limits);
        let next = || admit(&connections, "127.0.0.1");
        let held: Vec<_> = (0..3).map(|_| next().unwrap()).collect();
        let spare = next().unwrap();
        assert!(spare.is_spare, "none is idle: nobody has looked at them yet");
        assert!(next().is_none());
        for (permit, active_us) in held.iter().zip([30, 10, 20]) {
            permit.state.reads(true);
            permit.state.was_active_at(active_us);
        }
        held[1].state.begin_request(Instant::now());
        assert!(next().is_some_and(|permit| !permit.is_spare), "the third one makes room");
        let told: Vec<_> = held.iter().map(|permit| permit.state.told().now_or_never()).collect();
        assert_eq!(told, [None, None, Some(Told::MakeRoom)]);
        // The new one is gone again, and its place is free.
        let _regular = next().filter(|permit| !permit.is_spare).unwrap();
        assert!(next().is_none(), "one at a time: the third one has not closed yet");
        drop((held, spare));
        let open = connections.open();
        assert_eq!((open.regular.len(), open.closing, open.spare), (1, 0, 0));
    }
}
