//! What can be done with an order, and by whom.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

use crate::{clock::Timestamp, error::Error, id::OrderId};

use super::Lines;

/// A change of one order, as [`OrderService::change`](crate::OrderService::change) takes it.
///
/// Each may be sent again: what the order's state says already is answered with the order, and nothing is changed. What each does in
/// each state is the table in [`decide`](crate::decide).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum OrderAction {
    /// Buys all lines or none, as [`OrderService::purchase`](crate::OrderService::purchase) does.
    Purchase {
        /// What to buy.
        lines: Lines,
        /// What the order is called elsewhere, for example by a payment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    /// Sets copies aside, all lines or none, until the order is confirmed or the time is up.
    Hold {
        /// What to hold.
        lines: Lines,
        /// For how long, from the moment when it is decided: 1 to [`Self::HOLD_SECONDS_MAX`], without an [`Actor`] at most
        /// [`Self::PUBLIC_HOLD_SECONDS_MAX`].
        seconds: u32,
        /// What the order is called elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<Reference>,
    },
    /// Places a held order: the copies are sold at the prices at which they were held.
    Confirm,
    /// Holds the copies for longer.
    Extend {
        /// The [`Order::expires_at`](super::Order::expires_at) that the caller saw.
        seen: Timestamp,
        /// The new one: later than that, and at most [`Self::HOLD_SECONDS_MAX`] from now. A hold without an [`Actor`] ends at most
        /// [`Self::PUBLIC_HOLD_SECONDS_MAX`] after it began.
        expires_at: Timestamp,
    },
    /// Cancels the order, as [`OrderService::cancel`](crate::OrderService::cancel) does.
    Cancel,
    /// Cancels the order; if there is none, its id will never buy anything. So an unknown outcome becomes a known one.
    Void,
    /// Notes that the order was handed over.
    Fulfil,
    /// Puts some copies of a placed or fulfilled order into stock again.
    Return {
        /// What comes back: at most what was bought and has not come back yet. Prices do not count.
        lines: Lines,
        /// Makes it happen once.
        key: OrderId,
    },
}

impl OrderAction {
    /// The longest hold, in seconds.
    pub const HOLD_SECONDS_MAX: u32 = 86_400;
    /// The longest hold without an [`Actor`], in seconds, extensions included.
    pub const PUBLIC_HOLD_SECONDS_MAX: u32 = 900;
}

/// Reads a text that is kept as it is.
fn checked(field: &str, text: &str, max: usize) -> Result<Arc<str>, Error> {
    let length = text.chars().count();
    if length == 0 || length > max {
        return Err(Error::invalid(field, format!("must have 1 to {max} characters, not {length}")));
    }
    if text.contains(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(text.into())
}

macro_rules! short_text {
    ($name:ident, $field:literal, $docs:literal) => {
        impl FromStr for $name {
            type Err = Error;

            /// # Errors
            #[doc = $docs]
            fn from_str(text: &str) -> Result<Self, Error> {
                checked($field, text, Self::MAX).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.as_ref().to_owned()
            }
        }

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// What an order is called elsewhere: 1 to [`Reference::MAX`] characters, kept as they are. It is part of the ledger and never changes,
/// so it MUST NOT be anything personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct Reference(Arc<str>);

impl Reference {
    /// The most characters.
    pub const MAX: usize = 200;
}

short_text!(
    Reference,
    "reference",
    "[`Error::Invalid`] outside 1 to [`Reference::MAX`] characters, and for control characters."
);

/// Who of the shop did something: the name of an access token, or a part of the embedding program. It is part of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
#[serde(try_from = "String", into = "String")]
pub struct Actor(Arc<str>);

impl Actor {
    /// The most characters.
    pub const MAX: usize = 64;
}

short_text!(Actor, "actor", "[`Error::Invalid`] outside 1 to [`Actor::MAX`] characters, and for control characters.");
