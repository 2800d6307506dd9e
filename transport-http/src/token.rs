//! The secrets that open the servers' inner and admin interfaces.
//!
//! One [`AccessToken`] opens what servers say to each other. People and programs of the shop show [named tokens](Tokens), each with a
//! [`Role`]; servers know only their hashes.

mod line;
mod role;
mod tokens;

use bookstore_core::{Error, Result};
use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};
use std::{fmt, str::FromStr};
use subtle::ConstantTimeEq;

pub use line::{TokenLine, read_tokens};
pub use role::Role;
pub use tokens::{Actor, NamedToken, Tokens};

/// A bearer token: [`AccessToken::LENGTH_MIN`] to [`AccessToken::LENGTH_MAX`] visible ASCII characters.
#[derive(Clone)]
pub struct AccessToken(String);

impl AccessToken {
    /// The fewest characters: 256 bits if they are random bytes' worth of base64, 128 in hexadecimal.
    pub const LENGTH_MIN: usize = 32;
    /// The most characters, so that it fits a header.
    pub const LENGTH_MAX: usize = 1024;

    /// Checks a token; white space around it, such as a file's last newline, is not part of it.
    ///
    /// # Errors
    /// [`Error::Invalid`], which never shows the token itself.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        if !(Self::LENGTH_MIN..=Self::LENGTH_MAX).contains(&text.len()) {
            let limits = format!("must have {} to {} characters", Self::LENGTH_MIN, Self::LENGTH_MAX);
            return Err(Error::invalid("token", limits));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid("token", "must be visible ASCII characters without spaces"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether `shown` is this token, in a time that says nothing about where they differ.
    #[must_use]
    pub fn matches(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }

    fn hash(&self) -> blake3::Hash {
        blake3::hash(self.0.as_bytes())
    }

    /// Whether the request with these headers carries this token as `Authorization: Bearer`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub fn authorise(&self, headers: &HeaderMap) -> Result<()> {
        if self.matches(bearer(headers)?) { Ok(()) } else { Err(not_the_right_one()) }
    }

    /// The `Authorization` header that shows this token.
    ///
    /// # Panics
    /// Never: a token is visible ASCII.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).expect("a token is visible ASCII");
        value.set_sensitive(true);
        value
    }
}

/// The token that a request shows as a `Bearer` credential; the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Result<&str> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = value.and_then(|value| value.split_once(' '));
    let token = credential.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let message = "this needs an Authorization header with a bearer token";
    token.ok_or_else(|| Error::Unauthorized { message: message.to_owned() })
}

fn not_the_right_one() -> Error {
    Error::Unauthorized { message: "the bearer token is not the right one".into() }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

impl FromStr for AccessToken {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn shown(value: &str) -> Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        AccessToken::new(TOKEN).unwrap().authorise(&headers)
    }

    #[test]
    fn only_the_whole_token_opens() {
        assert_eq!(shown(&format!("Bearer {TOKEN}")), Ok(()));
        assert_eq!(shown(&format!("bearer {TOKEN}")), Ok(()));
        for wrong in [&TOKEN[1..], "", &format!("{TOKEN}x"), &TOKEN.to_uppercase()] {
            assert!(matches!(shown(&format!("Bearer {wrong}")), Err(Error::Unauthorized { .. })), "{wrong}");
        }
        assert!(shown(TOKEN).is_err());
        assert!(shown(&format!("Basic {TOKEN}")).is_err());
        assert!(AccessToken::new(TOKEN).unwrap().authorise(&HeaderMap::new()).is_err());
    }

    #[test]
    fn weak_and_unsendable_tokens_are_refused() {
        assert!(AccessToken::new(&TOKEN[1..]).is_err());
        assert!(AccessToken::new(&format!("{TOKEN} {TOKEN}")).is_err());
        assert!(AccessToken::new(&"x".repeat(AccessToken::LENGTH_MAX + 1)).is_err());
        assert!(AccessToken::new(&format!("{TOKEN}\n")).unwrap().matches(TOKEN));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", AccessToken::new(TOKEN).unwrap()), "AccessToken(…)");
        assert!(!format!("{:?}", AccessToken::new(TOKEN).unwrap().header()).contains("0123"));
    }
}
