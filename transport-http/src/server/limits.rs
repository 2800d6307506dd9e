//! The limits of a server, each with its unit and its default.

use std::{net::IpAddr, time::Duration};

use super::{hosts::Hosts, rate_limit::RateLimit};

/// The limits of one server.
///
/// ```
/// use bookstore_transport_http::server::ServerLimits;
/// use std::time::Duration;
///
/// let limits = ServerLimits { request_deadline: Duration::from_secs(3), ..ServerLimits::default() };
/// assert_eq!(limits.in_flight_max, 2048);
/// ```
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Connections served at once; 4096. If all are taken, the one that has been idle for the longest time is closed to make room
    /// for a new one.
    pub connections_max: usize,
    /// Connections from one peer address at once, not from loopback; 512. More are closed at once. Of an IPv6 address the first
    /// 64 bits count.
    pub connections_per_peer_max: usize,
    /// Peers without limits of their own: proxies, which bring many clients from one address; none. Their clients have a
    /// [rate limit](Self::changes_per_peer) by the address in `X-Forwarded-For`, which such a proxy MUST set.
    pub shared_peers: Vec<IpAddr>,
    /// Connections beyond those that still get one answer each, 503 or a health check's, before they are closed; 64. Any
    /// more are closed at once. As many at most are on their way out to make room for others.
    pub spare_connections_max: usize,
    /// Requests worked on at once; 2048. More are answered 503 before any work. Health checks are neither counted nor refused.
    ///
    /// While a handler waits for the rest of its request's body, the request does not count here, but among the next two; it takes
    /// its place again when the body is complete, or is answered 503, not executed.
    pub in_flight_max: usize,
    /// Requests at once whose bodies are waited for; 1024. More are answered 503 and not executed. A body that arrives together
    /// with its headers never counts.
    ///
    /// What they hold in memory is at most this times the longest body of a route: 64 MiB with 64 KiB each. Longer ones are for
    /// those who have shown a token.
    pub bodies_incomplete_max: usize,
    /// Requests of one peer address at once whose bodies are waited for, from loopback, too; 64.
    pub bodies_incomplete_per_peer_max: usize,
    /// The least rate of a body that is waited for, in bytes a second, beyond [`body_grace`](Self::body_grace); 1024. A slower
    /// one is answered 408, not executed, and the connection is closed.
    pub body_bytes_per_second_min: u32,
    /// How long a body may take to arrive at any rate; 5 s.
    pub body_grace: Duration,
    /// Requests of one address that change something (all methods but those that only read), not from loopback: 429 above; none.
    pub changes_per_peer: Option<RateLimit>,
    /// The longest request line and headers, in bytes (at least 8 KiB): 431 above; 16 KiB.
    pub header_bytes_max: usize,
    /// The longest path and query, in bytes: 414 above; 2 KiB.
    pub uri_bytes_max: usize,
    /// The longest body that axum's extractors read, in bytes: 413 above; 64 KiB. Two kinds of route have limits of their own: the
    /// public interface (`BODY_MAX` and `BOOKS_MAX` in `api/extract.rs`), and batches between servers (`BIG_BODY_MAX` in
    /// `internal/routes.rs`).
    pub body_bytes_max: usize,
    /// How long a connection may take to send a request's headers, and how long it may be idle; 10 s.
    pub header_timeout: Duration,
    /// How long a request may take, from its headers to the head of the answer, see [`Deadline`](super::Deadline); 10 s.
    pub request_deadline: Duration,
    /// How long a peer may leave an answer unread; 30 s.
    pub stall_timeout: Duration,
    /// How long requests in flight may take to end after the shutdown has begun; 10 s.
    pub drain_timeout: Duration,
    /// The names and addresses that requests may be for, by their `Host` header or the target's authority: 421 for others. `None`,
    /// the default, is any.
    ///
    /// A server on loopback MUST have such a list, or pages of other sites can use it through a browser on the same machine.
    pub hosts: Option<Hosts>,
    /// Threads that serve the connections, each with a runtime of its own; with 0, the default, connections are tasks of the
    /// current runtime.
    ///
    /// With many connections, threads of their own are faster, because they share nothing. With fewer connections than
    /// threads some threads are idle, because no work moves between them. A TCP listener MUST come through
    /// [`tcp`](super::tcp) then, or one thread is notified of every byte and another one reads it.
    pub worker_threads: usize,
    /// Whether answers carry a `Date` header, which they do by default; a simulation leaves it out.
    pub date_header: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_peer_max: 512,
            shared_peers: Vec::new(),
            spare_connections_max: 64,
            in_flight_max: 2048,
            bodies_incomplete_max: 1024,
            bodies_incomplete_per_peer_max: 64,
            body_bytes_per_second_min: 1024,
            body_grace: Duration::from_secs(5),
            changes_per_peer: None,
            header_bytes_max: 16 << 10,
            uri_bytes_max: 2 << 10,
            body_bytes_max: 64 << 10,
            header_timeout: Duration::from_secs(10),
            request_deadline: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            hosts: None,
            worker_threads: 0,
            date_header: true,
        }
    }
}
