//! The named tokens that a server accepts.

use bookstore_core::{Error, Result};
use hyper::HeaderMap;
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{AccessToken, Role, bearer, not_the_right_one};

/// A token that a server accepts: whose it is, what it opens, and the hash by which it is known.
///
/// The hash is BLAKE3, a fast one. That is enough because a token is drawn at random: the 256 bits of those that `bookstore token new`
/// makes cannot be guessed, however fast guesses are checked. A password would need a slow hash.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedToken {
    name: Arc<str>,
    role: Role,
    hash: blake3::Hash,
}

impl NamedToken {
    /// The name of the token that is given to a server as a file of its own.
    pub const ADMIN: &str = "admin";
    /// The most characters of a name.
    pub const NAME_MAX: usize = 64;

    /// A token with this name.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a name has 1 to [`Self::NAME_MAX`] of the characters a to z, 0 to 9, `.`, `_` and `-`.
    pub fn new(name: &str, role: Role, secret: &AccessToken) -> Result<Self> {
        Self::with_hash(name, role, secret.hash())
    }

    pub(super) fn with_hash(name: &str, role: Role, hash: blake3::Hash) -> Result<Self> {
        let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if !(1..=Self::NAME_MAX).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(Error::invalid("name", "must have 1 to 64 of the characters a to z, 0 to 9, '.', '_' and '-'"));
        }
        Ok(Self { name: name.into(), role, hash })
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it opens.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    pub(super) fn hash(&self) -> &blake3::Hash {
        &self.hash
    }
}

impl From<&AccessToken> for NamedToken {
    /// The token named [`NamedToken::ADMIN`], which opens everything.
    fn from(secret: &AccessToken) -> Self {
        Self { name: Self::ADMIN.into(), role: Role::Admin, hash: secret.hash() }
    }
}

impl fmt::Debug for NamedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, role, hash: _ } = self;
        f.debug_struct("NamedToken").field("name", name).field("role", role).finish_non_exhaustive()
    }
}

/// Whoever has shown a token: its name goes into the log with every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(NamedToken);

impl Actor {
    /// The name of the token.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Who that is in the ledger.
    ///
    /// # Errors
    /// None: the name of a token is short and plain.
    pub(crate) fn for_ledger(&self) -> Result<bookstore_core::Actor> {
        self.name().parse()
    }

    /// Whether the token's role suffices.
    ///
    /// # Errors
    /// [`Error::Forbidden`], which says what would.
    pub fn allow(&self, needed: Role) -> Result<()> {
        let Self(NamedToken { name, role, .. }) = self;
        if *role >= needed {
            return Ok(());
        }
        let message = format!("this needs a token with the role {needed}; the token {name} has the role {role}");
        Err(Error::Forbidden { message })
    }

    /// Tells the log what was changed, and by whom.
    #[cfg(feature = "server")]
    pub(crate) fn changed(&self, what: impl fmt::Display) {
        tracing::info!(actor = self.name(), "{what}");
    }
}

/// The tokens that a server accepts; without any, admin is off. Clones share them, so they can be [replaced](Tokens::replace) while
/// the server runs.
///
/// ```
/// use bookstore_transport_http::token::{AccessToken, NamedToken, Role, Tokens};
///
/// # fn main() -> bookstore_core::Result<()> {
/// let secret = "KEaLNdcdkd9i0nxGNTdcqZsDIvLpZGLL8yMnsTxZF2E";
/// let tokens = Tokens::new([NamedToken::new("till-2", Role::Read, &AccessToken::new(secret)?)?]);
/// let actor = tokens.find(secret).expect("it is the one");
/// assert!(actor.allow(Role::Read).is_ok() && actor.allow(Role::Stock).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tokens(Arc<RwLock<Arc<[NamedToken]>>>);

impl Tokens {
    /// These tokens.
    #[must_use]
    pub fn new(tokens: impl IntoIterator<Item = NamedToken>) -> Self {
        Self(Arc::new(RwLock::new(tokens.into_iter().collect())))
    }

    /// Accepts these tokens from now on, and no others: also what was begun with another one, such as a session, has ended.
    pub fn replace(&self, tokens: impl IntoIterator<Item = NamedToken>) {
        let tokens = tokens.into_iter().collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Whether there is none, so that admin is off.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.now().is_empty()
    }

    /// Whose token this is, if it is one.
    #[must_use]
    pub fn find(&self, shown: &str) -> Option<Actor> {
        self.with_hash(&blake3::hash(shown.as_bytes()))
    }

    /// Whose token a request with these headers carries as `Authorization: Bearer`.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub fn authorise(&self, headers: &HeaderMap) -> Result<Actor> {
        self.find(bearer(headers)?).ok_or_else(not_the_right_one)
    }

    /// The same token as it is now, if it is still accepted: its role may have changed.
    #[must_use]
    pub fn again(&self, actor: &Actor) -> Option<Actor> {
        self.with_hash(actor.0.hash())
    }

    /// Compares with every hash, each in constant time (as [`blake3::Hash`] does): how long it takes says nothing about what is there.
    fn with_hash(&self, hash: &blake3::Hash) -> Option<Actor> {
        let tokens = self.now();
        let found = tokens.iter().fold(None, |found, token| if token.hash == *hash { Some(token) } else { found });
        found.cloned().map(Actor)
    }

    fn now(&self) -> Arc<[NamedToken]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<Option<AccessToken>> for Tokens {
    /// The one admin token, or none.
    fn from(admin: Option<AccessToken>) -> Self {
        Self::new(admin.iter().map(NamedToken::from))
    }
}

impl From<AccessToken> for Tokens {
    /// The one admin token.
    fn from(admin: AccessToken) -> Self {
        Some(admin).into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: char) -> AccessToken {
        AccessToken::new(&letter.to_string().repeat(43)).unwrap()
    }

    fn token(name: &str, role: Role, letter: char) -> NamedToken {
        NamedToken::new(name, role, &secret(letter)).unwrap()
    }

    #[test]
    fn each_token_opens_as_much_as_its_role() {
        let tokens = Tokens::new([token("a", Role::Read, 'a'), token("b", Role::Stock, 'b')]);
        let allowed = |letter: char| {
            let actor = tokens.find(&letter.to_string().repeat(43))?;
            Some(Role::ALL.map(|role| actor.allow(role).is_ok()))
        };
        assert_eq!(allowed('a'), Some([true, false, false]));
        assert_eq!(allowed('b'), Some([true, true, false]));
        assert_eq!(allowed('c'), None);
        assert_eq!(tokens.find(""), None);
        let error = tokens.find(&"a".repeat(43)).unwrap().allow(Role::Admin).unwrap_err();
        assert_eq!(error.code(), "forbidden");
        assert_eq!(error.to_string(), "this needs a token with the role admin; the token a has the role read");
    }

    #[test]
    fn replaced_tokens_open_nothing_any_more() {
        let tokens = Tokens::from(secret('a'));
        let shared = tokens.clone();
        let admin = tokens.find(&"a".repeat(43)).unwrap();
        assert_eq!((admin.name(), tokens.again(&admin)), ("admin", Some(admin.clone())));
        tokens.replace([token("a", Role::Read, 'b')]);
        assert_eq!((shared.again(&admin), shared.find(&"a".repeat(43))), (None, None));
        assert_eq!(shared.find(&"b".repeat(43)).unwrap().name(), "a");
        tokens.replace([]);
        assert!(shared.is_empty() && !format!("{shared:?} {admin:?}").contains("hash"));
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "till-2", "jo.doe_x", &"x".repeat(64)] {
            assert!(NamedToken::new(good, Role::Read, &secret('a')).is_ok(), "{good}");
        }
        for bad in ["", "A", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert!(NamedToken::new(bad, Role::Read, &secret('a')).is_err(), "{bad:?}");
        }
    }
}
