//! Money as whole cents: no floats, no silent overflow.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount of money in cents, from 0 to [`Cents::MAX`].
///
/// The currency is the shop's; amounts carry none. A value outside the range cannot be made, so nothing that takes
/// `Cents` checks it again.
///
/// ```
/// use bookstore_core::Cents;
///
/// # fn main() -> bookstore_core::Result<()> {
/// let price = Cents::new(1999)?;
/// assert_eq!(price.times(3).and_then(|sum| sum.plus(price)), Some(Cents::new(7996)?));
/// assert_eq!(price.to_string(), "19.99");
/// assert!(Cents::new(u64::MAX).is_err());
/// # Ok(())
/// # }
/// ```
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

    /// The amount, or `None` above [`Cents::MAX`].
    pub(crate) fn checked(cents: u64) -> Option<Self> {
        (cents <= Self::MAX.0).then_some(Self(cents))
    }

    /// The amount as a number of cents.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// This amount `quantity` times, or `None` above [`Cents::MAX`].
    #[must_use]
    pub fn times(self, quantity: u32) -> Option<Self> {
        self.0.checked_mul(u64::from(quantity)).and_then(Self::checked)
    }

    /// What all these copies cost together, each at its price; `None` above [`Cents::MAX`].
    #[must_use]
    pub fn total(lines: impl IntoIterator<Item = (Self, u32)>) -> Option<Self> {
        lines.into_iter().try_fold(Self::ZERO, |sum, (price, quantity)| sum.plus(price.times(quantity)?))
    }

    /// The sum, or `None` above [`Cents::MAX`].
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::checked)
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
