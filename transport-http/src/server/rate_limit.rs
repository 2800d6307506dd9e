//! How often one address may change something.

use axum::response::{IntoResponse as _, Response};
use bookstore_core::Executed;
use hyper::{HeaderMap, StatusCode, header};
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

use super::{
    connections::{Peer, peer_key},
    error_response::transport_problem,
};

/// A rate of requests; see [`ServerLimits::changes_per_peer`](super::ServerLimits::changes_per_peer).
///
/// ```
/// use bookstore_transport_http::server::RateLimit;
///
/// let limit = RateLimit::per_minute(600);
/// assert_eq!((limit.per_minute, limit.burst), (600, 60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a minute, at least 1.
    pub per_minute: u32,
    /// Requests that may come at once, at least 1.
    pub burst: u32,
}

impl RateLimit {
    /// A tenth of this many may come at once, but at least 10.
    #[must_use]
    pub fn per_minute(per_minute: u32) -> Self {
        Self { per_minute, burst: (per_minute / 10).max(10) }
    }
}

/// Locks, each for its part of the addresses.
const PARTS: usize = 16;
/// The most addresses that are remembered, in all parts. More are not limited: who has that many is not stopped by their number.
const ADDRESSES_MAX: usize = 1 << 16;

/// Limits requests by address, as a leaky bucket (the generic cell rate algorithm, as in ATM networks).
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: RateLimit,
    hash: RandomState,
    parts: [Mutex<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    /// When each address's bucket is empty.
    empty_at: HashMap<IpAddr, Instant>,
    swept: Option<Instant>,
}

/// Why a request is refused: its address has changed too much.
#[derive(Clone, Debug)]
pub(crate) struct TooManyChanges {
    limit: RateLimit,
    wait: Duration,
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let limit = RateLimit { per_minute: limit.per_minute.max(1), burst: limit.burst.max(1) };
        Self { limit, hash: RandomState::new(), parts: Default::default() }
    }

    /// Counts a request of a peer, or of the client that a proxy brings.
    pub(crate) fn admit(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        proxies: &[IpAddr],
        now: Instant,
    ) -> Result<(), TooManyChanges> {
        let client = if peer.is_shared { forwarded_for(headers, proxies).unwrap_or(peer.key) } else { peer.key };
        if client.is_loopback() && !peer.is_shared { Ok(()) } else { self.count(client, now) }
    }

    fn count(&self, client: IpAddr, now: Instant) -> Result<(), TooManyChanges> {
        let each = Duration::from_secs(60) / self.limit.per_minute;
        let part = usize::from(self.hash.hash_one(client).to_ne_bytes()[0]) % PARTS;
        let mut part = self.parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = part.empty_at.get(&client).copied().unwrap_or(now).max(now);
        let wait = (empty_at + each).duration_since(now).saturating_sub(each * self.limit.burst);
        if !wait.is_zero() {
            return Err(TooManyChanges { limit: self.limit, wait });
        }
        part.note(client, empty_at + each, now);
        Ok(())
    }
}

impl Part {
    fn note(&mut self, client: IpAddr, empty_at: Instant, now: Instant) {
        if self.empty_at.len() >= ADDRESSES_MAX / PARTS && self.swept.is_none_or(|swept| now > swept + SWEEP_EVERY) {
            self.swept = Some(now);
            self.empty_at.retain(|_, empty_at| *empty_at > now);
        }
        if self.empty_at.len() < ADDRESSES_MAX / PARTS || self.empty_at.contains_key(&client) {
            self.empty_at.insert(client, empty_at);
        }
    }
}

/// How often those who came back no more are forgotten, if there is no room.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The client that a trusted proxy has seen: the last address in `X-Forwarded-For` that is no proxy of ours. What stands before it
/// was said by the client itself.
fn forwarded_for(headers: &HeaderMap, proxies: &[IpAddr]) -> Option<IpAddr> {
    let values = headers.get_all("x-forwarded-for").iter().rev();
    let addresses = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
    let addresses = addresses.map(|address| forwarded_address(address.trim()).map(peer_key));
    let client = addresses.into_iter().find(|address| address.is_none_or(|address| !proxies.contains(&address)));
    client.flatten()
}

/// An address, perhaps with a port, as proxies write it.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

impl TooManyChanges {
    pub(crate) fn respond(self) -> Response {
        let Self { limit: RateLimit { per_minute, burst }, wait } = self;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("more than {per_minute} changes a minute, {burst} at once, from your address");
        let headers = [
            (header::RETRY_AFTER, seconds.to_string()),
            (header::HeaderName::from_static("ratelimit-policy"), format!("\"changes\";q={per_minute};w=60")),
            (header::HeaderName::from_static("ratelimit"), format!("\"changes\";r=0;t={seconds}")),
        ];
        (headers, transport_problem(StatusCode::TOO_MANY_REQUESTS, &detail, Executed::No)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let limiter = RateLimiter::new(RateLimit { per_minute: 60, burst: 3 });
        let start = Instant::now();
        let passed = |at: u64| {
            (0..10).filter(|_| limiter.count(ip("10.0.0.1"), start + Duration::from_millis(at)).is_ok()).count()
        };
        assert_eq!([passed(0), passed(900), passed(1000), passed(3500), passed(100_000)], [3, 0, 1, 2, 3]);
        assert!(limiter.count(ip("10.0.0.2"), start).is_ok(), "another address has its own");
        limiter.count(ip("10.0.0.3"), start).unwrap();
        limiter.count(ip("10.0.0.3"), start).unwrap();
        limiter.count(ip("10.0.0.3"), start).unwrap();
        let refused = limiter.count(ip("10.0.0.3"), start + Duration::from_millis(250)).unwrap_err();
        assert_eq!(refused.wait, Duration::from_millis(750));
    }

    #[test]
    fn a_proxy_s_clients_are_told_apart_and_believed_no_further_than_the_proxy() {
        let proxies = [ip("127.0.0.1"), ip("10.0.0.9")];
        let client = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            forwarded_for(&headers, &proxies)
        };
        assert_eq!(client(&["192.0.2.1"]), Some(ip("192.0.2.1")));
        assert_eq!(client(&["203.0.113.7, 192.0.2.1, 10.0.0.9"]), Some(ip("192.0.2.1")));
        assert_eq!(client(&["203.0.113.7", "192.0.2.1:4711"]), Some(ip("192.0.2.1")));
        assert_eq!(client(&["[2001:db8::1]:80"]), Some(ip("2001:db8::")));
        for nobody in [&[][..], &["unknown"], &["203.0.113.7, nonsense"], &["10.0.0.9"]] {
            assert_eq!(client(nobody), None, "{nobody:?}");
        }
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let limiter = RateLimiter::new(RateLimit { per_minute: 60, burst: 1 });
        let start = Instant::now();
        let remembered = || limiter.parts.iter().map(|part| part.lock().unwrap().empty_at.len()).sum::<usize>();
        for number in 0..100_000_u32 {
            assert!(limiter.count(IpAddr::V4((0x0a00_0000 + number).into()), start).is_ok());
        }
        assert!(remembered() <= ADDRESSES_MAX && remembered() > ADDRESSES_MAX / 2);
        for number in 0..1000_u32 {
            assert!(limiter.count(IpAddr::V4(number.into()), start + Duration::from_secs(60)).is_ok());
        }
        assert!(remembered() < ADDRESSES_MAX / 2, "those who came back no more are forgotten");
    }
}
