//! The times for which best sellers are counted.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

/// A time up to now in which copies were sold: whole days by UTC, today included.
///
/// Copies that come back, by a cancellation or a return, are counted back on the day when they do. Copies that are held are sold once
/// their order is placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Period {
    /// Today and the 6 days before.
    #[serde(rename = "7")]
    Week,
    /// Today and the 29 days before.
    #[serde(rename = "30")]
    Month,
    /// Today and the 364 days before.
    #[serde(rename = "365")]
    Year,
    /// As long as there has been a ledger.
    #[default]
    #[serde(rename = "ever")]
    Ever,
}

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 4] = [Self::Week, Self::Month, Self::Year, Self::Ever];

    /// The period of so many days.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming `days`, for any but 7, 30 and 365.
    pub fn of_days(days: &str) -> Result<Self> {
        let period = days.parse().ok().filter(|period| *period != Self::Ever);
        period.ok_or_else(|| Error::invalid("days", format!("must be 7, 30 or 365, not {days:?}")))
    }

    /// How many days it has; `None` if it has no beginning.
    #[must_use]
    pub fn days(self) -> Option<u16> {
        match self {
            Self::Week => Some(7),
            Self::Month => Some(30),
            Self::Year => Some(365),
            Self::Ever => None,
        }
    }
}

/// As in JSON and in query strings.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days() {
            Some(days) => write!(f, "{days}"),
            None => f.write_str("ever"),
        }
    }
}

impl FromStr for Period {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|period| period.to_string() == text);
        found.ok_or_else(|| Error::invalid("sold", format!("must be 7, 30 or 365 days, or ever, not {text:?}")))
    }
}
