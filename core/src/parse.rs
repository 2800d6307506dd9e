//! Ids and amounts that come from outside are checked here, and nowhere else.
//!
//! The types themselves (`id.rs`, `money.rs`) do not know [`Error`], because errors name ids and amounts.

use std::{str::FromStr, sync::Arc};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    error::Error,
    id::{BookId, OrderId},
    money::{Cents, Currency},
    order::{Actor, Reference, Status},
};

impl FromStr for BookId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse().map(Self).map_err(|_| Error::malformed(format!("a book id is a whole number, not {text:?}")))
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads a moment as RFC 3339 has it, or a day, which stands for its beginning in UTC.
    fn from_str(text: &str) -> Result<Self, Error> {
        let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let moment = text.parse().ok().or_else(|| Some(day()?.timestamp()));
        let message = || format!("a moment is a day such as 2026-01-31 or 2026-01-31T12:00:00Z, not {text:?}");
        moment.map(|moment: jiff::Timestamp| Self(moment.as_millisecond())).ok_or_else(|| Error::malformed(message()))
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::Held, Self::Placed, Self::Fulfilled, Self::Cancelled, Self::Lapsed, Self::Voided];
        all.into_iter().find(|status| status.as_str() == name).ok_or_else(|| {
            let names = all.map(Self::as_str).join(", ");
            Error::invalid("status", format!("must be one of {names}, not {name:?}"))
        })
    }
}

impl FromStr for OrderId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let id = Uuid::parse_str(text).map_err(|_| Error::malformed(format!("an order id is a UUID, not {text:?}")))?;
        Self(id).check()
    }
}

impl OrderId {
    /// The longest `Idempotency-Key`, in characters.
    pub const KEY_MAX: usize = 255;

    /// The order id of an `Idempotency-Key`: the key itself if it is a UUID, otherwise a UUID of version 5, the hash of
    /// the key.
    ///
    /// Whoever can guess the key knows the order id. So this is for a program that trusts those who give it keys; the public
    /// HTTP interface sells under [random](Self::is_random) ids only.
    ///
    /// ```
    /// use bookstore_core::OrderId;
    ///
    /// # fn main() -> bookstore_core::Result<()> {
    /// let id = OrderId::from_key("basket 17 of customer 4")?;
    /// assert_eq!(OrderId::from_key("basket 17 of customer 4")?, id, "the same key is always the same order");
    /// assert_eq!(OrderId::from_key(&id.to_string())?, id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Malformed`] if the key is empty, longer than [`OrderId::KEY_MAX`], or has control characters.
    /// - Those of [`OrderId::check`].
    pub fn from_key(key: &str) -> Result<Self, Error> {
        if let Ok(id) = Uuid::parse_str(key) {
            return Self(id).check();
        }
        if key.is_empty() || key.chars().count() > Self::KEY_MAX || key.contains(|c: char| c.is_control()) {
            return Err(Error::malformed(format!(
                "an idempotency key has 1 to {} printable characters",
                Self::KEY_MAX
            )));
        }
        Ok(Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes())))
    }

    /// Refuses the [reserved](Self::is_reserved) ids.
    ///
    /// # Errors
    /// - [`Error::Invalid`] in `order_id`.
    pub fn check(self) -> Result<Self, Error> {
        if self.is_reserved() {
            let message = "must not be the nil or the max UUID, which name nothing; draw a UUID of version 4 or 7";
            return Err(Error::invalid("order_id", message));
        }
        Ok(self)
    }
}

impl Cents {
    /// Checks an amount.
    ///
    /// # Errors
    /// - [`Error::Invalid`] above [`Cents::MAX`].
    pub fn new(cents: u64) -> Result<Self, Error> {
        let too_large = || Error::invalid("price_cents", format!("must be at most {}", Self::MAX.get()));
        Self::checked(cents).ok_or_else(too_large)
    }
}

impl FromStr for Currency {
    type Err = Error;

    /// Reads a code of ISO 4217, in capital letters or not.
    fn from_str(code: &str) -> Result<Self, Error> {
        let wrong = || format!("must be a code of ISO 4217 such as USD, EUR or JPY, not {code:?}");
        let found = Self::all().find(|currency| currency.code().eq_ignore_ascii_case(code));
        found.ok_or_else(|| Error::invalid("currency", wrong()))
    }
}

impl Currency {
    /// Reads an amount as people type it, with a point before the decimals: `19.99`, `19.9` or `19`.
    ///
    /// # Errors
    /// [`Error::Invalid`] in `price` for anything else: a sign, separated thousands, more decimals than the currency has, or more than
    /// [`Cents::MAX`].
    pub fn read(self, typed: &str) -> Result<Cents, Error> {
        let (code, decimals) = (self.code(), usize::from(self.decimals()));
        let wrong = || {
            let example = ["1999", "19.9", "19.99", "19.999"][decimals.min(3)];
            let more = if decimals == 0 { " without decimals" } else { "" };
            Error::invalid("price", format!("must be an amount in {code}{more} such as {example}, not {typed:?}"))
        };
        let (units, rest) =
            typed.trim().split_once('.').map_or((typed.trim(), None), |(units, rest)| (units, Some(rest)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(units) || rest.is_some_and(|rest| !digits(rest) || rest.len() > decimals) {
            return Err(wrong());
        }
        let cents = format!("{units}{:0<decimals$}", rest.unwrap_or_default()).parse().ok().and_then(Cents::checked);
        cents.ok_or_else(|| Error::invalid("price", format!("must be at most {}", self.show(Cents::MAX))))
    }
}

impl TryFrom<u64> for Cents {
    type Error = Error;

    fn try_from(cents: u64) -> Result<Self, Error> {
        Self::new(cents)
    }
}
/// Reads a text that is kept as it is.
fn short_text(field: &str, text: &str, max: usize) -> Result<Arc<str>, Error> {
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
                short_text($field, text, Self::MAX).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }
    };
}

short_text!(
    Reference,
    "reference",
    "[`Error::Invalid`] outside 1 to [`Reference::MAX`] characters, and for control characters."
);
short_text!(Actor, "actor", "[`Error::Invalid`] outside 1 to [`Actor::MAX`] characters, and for control characters.");
