//! Money as whole cents: no floats, no silent overflow.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::error::Error;

/// An amount of money in cents, from 0 to [`Cents::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64))]
#[serde(try_from = "u64", into = "u64")]
pub struct Cents(u64);

impl Cents {
    /// The largest amount: 2^53 − 1, the largest integer that every JSON reader keeps exact.
    pub const MAX: Cents = Cents((1 << 53) - 1);
    /// No money at all.
    pub const ZERO: Cents = Cents(0);

    /// Makes an amount, or says that it is too large.
    ///
    /// # Errors
    /// [`Error::Invalid`] above [`Cents::MAX`].
    pub fn new(cents: u64) -> Result<Self, Error> {
        if cents > Self::MAX.0 {
            return Err(Error::invalid("price_cents", format!("must be at most {}", Self::MAX.0)));
        }
        Ok(Self(cents))
    }

    /// The amount as a number of cents.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// This amount `quantity` times, or `None` above [`Cents::MAX`].
    #[must_use]
    pub fn times(self, quantity: u32) -> Option<Self> {
        self.0.checked_mul(u64::from(quantity)).and_then(|c| Self::new(c).ok())
    }

    /// The sum, or `None` above [`Cents::MAX`].
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(|c| Self::new(c).ok())
    }
}

impl TryFrom<u64> for Cents {
    type Error = Error;
    fn try_from(cents: u64) -> Result<Self, Error> {
        Self::new(cents)
    }
}

impl From<Cents> for u64 {
    fn from(cents: Cents) -> u64 {
        cents.0
    }
}

impl fmt::Display for Cents {
    /// Units and cents, without a currency: `19.99`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:02}", self.0 / 100, self.0 % 100))
    }
}
