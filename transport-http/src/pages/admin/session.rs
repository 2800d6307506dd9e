//! Admin sessions: a browser that has sent a token gets a random secret in a cookie, which is good for some hours.

use axum::http::{HeaderMap, HeaderValue, header};
use bookstore_core::Timestamp;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::token::Actor;

const COOKIE: &str = "bookstore_admin";
/// How long a session lasts, in seconds.
const LIFE_S: i64 = 8 * 60 * 60;
/// Sessions at once; one more ends the oldest.
const SESSIONS_MAX: usize = 64;

/// The cookie's value: 256 random bits in hexadecimal.
pub(super) type Secret = String;

/// The sessions of this process.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Secret, Session>>);

#[derive(Debug)]
struct Session {
    /// Whose token was sent.
    actor: Actor,
    end: Timestamp,
}

impl Sessions {
    /// Starts a session.
    pub(super) fn open(&self, actor: Actor, now: Timestamp) -> Secret {
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.end > now);
        if sessions.len() >= SESSIONS_MAX
            && let Some(oldest) =
                sessions.iter().min_by_key(|(_, session)| session.end).map(|(secret, _)| secret.clone())
        {
            sessions.remove(&oldest);
        }
        let secret = draw();
        let end = Timestamp(now.0.saturating_add(LIFE_S * 1000));
        sessions.insert(secret.clone(), Session { actor, end });
        secret
    }

    /// Whose session it is, if it is open now. The token may have been revoked since.
    pub(super) fn actor(&self, secret: &str, now: Timestamp) -> Option<Actor> {
        self.lock().get(secret).filter(|session| session.end > now).map(|session| session.actor.clone())
    }

    /// Ends a session.
    pub(super) fn close(&self, secret: &str) {
        self.lock().remove(secret);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Secret, Session>> {
        // Nothing panics in the middle of a change to the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn draw() -> Secret {
    let (high, low): (u128, u128) = rand::random();
    format!("{high:032x}{low:032x}")
}

/// The session that the browser shows.
pub(super) fn secret(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The `Set-Cookie` header that carries a session; an empty secret ends it.
///
/// By hand, as is [`secret`]: the crate `cookie` brings seven more, among them a second library for dates.
pub(super) fn cookie(secret: &str, headers: &HeaderMap) -> HeaderValue {
    let life_s = if secret.is_empty() { 0 } else { LIFE_S };
    // Without TLS in front, as on one's own machine, a browser would not send a secure cookie back.
    let https = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={secret}; Path=/admin; Max-Age={life_s}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(cookie).expect("hexadecimal digits in visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{AccessToken, Tokens};

    fn actor() -> Actor {
        let secret = "a".repeat(AccessToken::LENGTH_MIN);
        Tokens::from(AccessToken::new(&secret).unwrap()).find(&secret).unwrap()
    }

    impl Sessions {
        fn is_open(&self, secret: &str, now: Timestamp) -> bool {
            self.actor(secret, now).is_some()
        }
    }

    #[test]
    fn a_session_ends_by_itself_or_at_the_log_out() {
        let sessions = Sessions::default();
        let (one, two) = (sessions.open(actor(), Timestamp(0)), sessions.open(actor(), Timestamp(0)));
        assert!(one != two && one.len() == 64);
        assert!(sessions.is_open(&one, Timestamp(LIFE_S * 1000 - 1)));
        assert!(!sessions.is_open(&one, Timestamp(LIFE_S * 1000)));
        assert!(!sessions.is_open("", Timestamp(0)));
        sessions.close(&two);
        assert!(!sessions.is_open(&two, Timestamp(0)));
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_goes() {
        let sessions = Sessions::default();
        let first = sessions.open(actor(), Timestamp(0));
        let later: Vec<_> =
            (1..=SESSIONS_MAX).map(|at| sessions.open(actor(), Timestamp(i64::try_from(at).unwrap()))).collect();
        assert_eq!(sessions.lock().len(), SESSIONS_MAX);
        assert!(!sessions.is_open(&first, Timestamp(1)));
        assert!(later.iter().all(|secret| sessions.is_open(secret, Timestamp(1))));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(secret(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; xbookstore_admin=no"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=d; bookstore_admin=yes"));
        assert_eq!(secret(&headers), Some("yes"));
    }

    #[test]
    fn the_cookie_is_secure_behind_tls_only() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie("ab", &headers), "bookstore_admin=ab; Path=/admin; Max-Age=28800; HttpOnly; SameSite=Strict");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        assert!(cookie("ab", &headers).to_str().unwrap().ends_with("; Secure"));
        assert!(cookie("", &headers).to_str().unwrap().contains("Max-Age=0"));
    }
}
