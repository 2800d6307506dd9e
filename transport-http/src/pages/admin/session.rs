//! Who is logged in: whoever has shown the admin token, for some hours.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
    response::{IntoResponse, Response},
};
use bookstore_core::Timestamp;
use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::login;
use crate::api::Shop;

const COOKIE: &str = "bookstore_admin";
/// How long a session lasts.
const LIFE_S: i64 = 8 * 60 * 60;
/// Sessions at once; one more ends the oldest.
const MAX: usize = 64;

/// The cookie's value: 256 random bits in hexadecimal.
type Secret = String;

/// The sessions of this process, and when each ends.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Secret, Timestamp>>);

impl Sessions {
    /// Starts a session.
    pub(super) fn open(&self, now: Timestamp) -> Secret {
        let mut sessions = self.lock();
        sessions.retain(|_, end| *end > now);
        if sessions.len() >= MAX
            && let Some(oldest) = sessions.iter().min_by_key(|(_, end)| **end).map(|(secret, _)| secret.clone())
        {
            sessions.remove(&oldest);
        }
        let secret = draw();
        sessions.insert(secret.clone(), Timestamp(now.0.saturating_add(LIFE_S * 1000)));
        secret
    }

    fn is_open(&self, secret: &str, now: Timestamp) -> bool {
        self.lock().get(secret).is_some_and(|end| *end > now)
    }

    /// Ends a session.
    pub(super) fn close(&self, secret: &str) {
        self.lock().remove(secret);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Secret, Timestamp>> {
        // Nothing panics in the middle of a change to the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn draw() -> Secret {
    let bits: [u8; 32] = rand::random();
    bits.iter().fold(String::with_capacity(64), |mut secret, byte| {
        write!(secret, "{byte:02x}").expect("a String takes everything");
        secret
    })
}

/// The request comes from somebody who is logged in. Others get the log-in page instead.
pub(super) struct SignedIn {
    pub(super) secret: Secret,
}

impl SignedIn {
    fn find(parts: &Parts, shop: &Shop) -> Option<Self> {
        let sessions = parts.extensions.get::<Arc<Sessions>>()?;
        let secret = secret(&parts.headers)?;
        let good = shop.admin.is_some() && sessions.is_open(secret, shop.clock.now());
        good.then(|| Self { secret: secret.to_owned() })
    }
}

impl FromRequestParts<Arc<Shop>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Response> {
        let instead = || login::instead(shop, parts.method == Method::GET, &parts.uri).into_response();
        Self::find(parts, shop).ok_or_else(instead)
    }
}

impl OptionalFromRequestParts<Arc<Shop>> for SignedIn {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Option<Self>, Infallible> {
        Ok(Self::find(parts, shop))
    }
}

/// The session that the browser shows.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The cookie that carries a session; an empty one ends it.
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

    #[test]
    fn a_session_ends_by_itself_or_when_told() {
        let sessions = Sessions::default();
        let (one, two) = (sessions.open(Timestamp(0)), sessions.open(Timestamp(0)));
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
        let first = sessions.open(Timestamp(0));
        let later: Vec<_> = (1..=MAX).map(|at| sessions.open(Timestamp(i64::try_from(at).unwrap()))).collect();
        assert_eq!(sessions.lock().len(), MAX);
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
