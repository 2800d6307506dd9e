//! Money as whole cents: no floats, no silent overflow. The currency is the ledger's.

mod iso_4217;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// An amount of money in cents, from 0 to [`Cents::MAX`].
///
/// A cent stands for the smallest unit of the ledger's [`Currency`], whatever it is called there: 1999 cents are $19.99, ¥1999 or
/// KWD 1.999. Amounts carry no currency. A value outside the range cannot be made, so nothing that takes `Cents` checks it again.
///
/// ```
/// use bookstore_core::{Cents, Currency};
///
/// # fn main() -> bookstore_core::Result<()> {
/// let price = Cents::new(1999)?;
/// assert_eq!(price.times(3).and_then(|sum| sum.plus(price)), Some(Cents::new(7996)?));
/// assert_eq!(Currency::USD.show(price), "$19.99");
/// assert!(Cents::new(u64::MAX).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64))]
#[serde(try_from = "u64", into = "u64")]
pub struct Cents(u64);

/// A price that changes by more than this factor may be a slip of the decimal point.
const UNLIKELY_FACTOR: u64 = 5;

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

    /// Whether a person who sets this price should be asked whether it is meant: it is 0, or the price changes by more than a factor
    /// of 5. `before` is the price of a book that has one. Services do not ask; what people type into does.
    ///
    /// ```
    /// use bookstore_core::Cents;
    ///
    /// # fn main() -> bookstore_core::Result<()> {
    /// let before = Some(Cents::new(1999)?);
    /// assert!(Cents::new(199_900)?.is_unlikely(before) && Cents::ZERO.is_unlikely(before));
    /// assert!(!Cents::new(2499)?.is_unlikely(before) && Cents::ZERO.is_unlikely(None));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_unlikely(self, before: Option<Self>) -> bool {
        match before {
            None => self == Self::ZERO,
            Some(before) if before == self => false,
            Some(before) => {
                let (low, high) = (self.min(before).0, self.max(before).0);
                self == Self::ZERO || high > low.saturating_mul(UNLIKELY_FACTOR)
            }
        }
    }
}

impl From<Cents> for u64 {
    fn from(cents: Cents) -> u64 {
        cents.0
    }
}

impl fmt::Display for Cents {
    /// The number of cents, for messages that do not know the currency; people are shown [`Currency::show`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cents", self.0)
    }
}

/// A currency of ISO 4217, in which all amounts of a ledger are. A ledger keeps it for ever.
///
/// ```
/// use bookstore_core::{Cents, Currency};
///
/// # fn main() -> bookstore_core::Result<()> {
/// let (yen, dinar): (Currency, Currency) = ("JPY".parse()?, "kwd".parse()?);
/// assert_eq!((yen.decimals(), dinar.decimals()), (0, 3));
/// assert_eq!(dinar.read("19.5")?, Cents::new(19_500)?);
/// assert_eq!((yen.show(Cents::new(1999)?), dinar.show(Cents::new(1999)?)), ("¥1,999".into(), "KWD 1.999".into()));
/// assert_eq!(dinar.plain(Cents::new(1_999_000)?), "1999.000");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: &'static str,
    decimals: u8,
}

impl Currency {
    /// The US dollar, the currency of a ledger for which nobody names another.
    pub const USD: Self = Self { code: "USD", decimals: 2 };

    /// Every currency.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        iso_4217::CURRENCIES
            .into_iter()
            .flat_map(|(decimals, codes)| codes.split(' ').map(move |code| Self { code, decimals }))
    }

    /// Its code, three capital letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code
    }

    /// Digits behind the decimal point: 0 to 3.
    #[must_use]
    pub fn decimals(self) -> u8 {
        self.decimals
    }

    /// Cents to the unit: 1, 100 or 1000.
    #[must_use]
    pub fn cents_per_unit(self) -> u64 {
        10_u64.pow(self.decimals.into())
    }

    /// What stands before an amount: `$`, `€`, or else the code with a space.
    #[must_use]
    pub fn prefix(self) -> String {
        let own = |(sign, codes): &(&'static str, &str)| codes.starts_with(self.code).then_some(*sign);
        iso_4217::SIGNS.iter().take(10).find_map(own).map_or_else(|| format!("{} ", self.code), str::to_owned)
    }

    /// Whether a sign or a code that somebody wrote beside an amount, such as `$`, `US$`, `Fr.` or `EUR`, may stand for this currency.
    #[must_use]
    pub fn may_be(self, sign: &str) -> bool {
        let sign = sign.replace('.', "").to_uppercase();
        let mut signs = iso_4217::SIGNS.iter().filter(|(known, _)| *known == sign);
        sign == self.code || signs.any(|(_, codes)| codes.split(' ').any(|code| code == self.code))
    }

    /// An amount as people are shown it: `$1,234.50`, `CHF 12.00`, `¥1,999`.
    #[must_use]
    pub fn show(self, amount: Cents) -> String {
        let plain = self.plain(amount);
        let (units, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
        let mut shown = self.prefix();
        for (at, digit) in units.chars().enumerate() {
            if at > 0 && (units.len() - at).is_multiple_of(3) {
                shown.push(',');
            }
            shown.push(digit);
        }
        shown + rest
    }

    /// An amount as it can be [read](Self::read) again: `1234.50`.
    #[must_use]
    pub fn plain(self, amount: Cents) -> String {
        let (units, cents) = (amount.0 / self.cents_per_unit(), amount.0 % self.cents_per_unit());
        match self.decimals {
            0 => units.to_string(),
            decimals => format!("{units}.{cents:0>width$}", width = usize::from(decimals)),
        }
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self::USD
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Display for Currency {
    /// Its code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(cents: u64) -> Cents {
        Cents::new(cents).unwrap()
    }

    fn currency(code: &str) -> Currency {
        code.parse().unwrap_or_else(|error| panic!("{code}: {error}"))
    }

    #[test]
    fn each_currency_is_listed_once_in_capital_letters() {
        let mut codes: Vec<_> = Currency::all().map(Currency::code).collect();
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!((count, codes.len()), (155, 155));
        for (_, codes) in iso_4217::SIGNS {
            assert!(codes.split(' ').all(|code| currency(code).code() == code));
        }
    }

    #[test]
    fn currencies_are_known_by_their_codes() {
        for (code, decimals) in [("JPY", 0), ("KRW", 0), ("USD", 2), ("eur", 2), ("HUF", 2), ("KWD", 3), ("tnd", 3)] {
            assert_eq!(currency(code).decimals(), decimals, "{code}");
            assert_eq!(currency(code).code(), code.to_uppercase());
        }
        for wrong in ["", "US", "USDX", "XXX", "XAU", "$", "DEM", "USD EUR"] {
            let error = wrong.parse::<Currency>().unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
        assert_eq!(serde_json::to_string(&Currency::USD).unwrap(), "\"USD\"");
        assert!(
            serde_json::from_str::<Currency>("\"EUR\"").is_ok() && serde_json::from_str::<Currency>("\"E\"").is_err()
        );
    }

    #[test]
    fn amounts_are_shown_and_read_in_the_currency() {
        for (code, amount, shown, plain) in [
            ("USD", 0, "$0.00", "0.00"),
            ("USD", 5, "$0.05", "0.05"),
            ("USD", 199_999, "$1,999.99", "1999.99"),
            ("EUR", 1999, "€19.99", "19.99"),
            ("CHF", 1200, "CHF 12.00", "12.00"),
            ("CAD", 123_456_789, "CAD 1,234,567.89", "1234567.89"),
            ("JPY", 1999, "¥1,999", "1999"),
            ("CNY", 1999, "CNY 19.99", "19.99"),
            ("KWD", 1999, "KWD 1.999", "1.999"),
            ("KWD", 7, "KWD 0.007", "0.007"),
        ] {
            let currency = currency(code);
            assert_eq!(
                (&currency.show(cents(amount))[..], &currency.plain(cents(amount))[..]),
                (shown, plain),
                "{code}"
            );
            assert_eq!(currency.read(plain), Ok(cents(amount)), "{plain} {code}");
        }
        assert_eq!(Currency::USD.show(Cents::MAX), "$90,071,992,547,409.91");
    }

    #[test]
    fn amounts_are_read_exactly_or_refused() {
        let usd = |text| Currency::USD.read(text).map(Cents::get);
        assert_eq!((usd("19"), usd("19.9"), usd("007.05"), usd(" 12 ")), (Ok(1900), Ok(1990), Ok(705), Ok(1200)));
        assert_eq!(usd("90071992547409.91"), Ok(Cents::MAX.get()));
        for wrong in [
            "",
            ".",
            ".5",
            "12.",
            "19.999",
            "1,234",
            "-1",
            "+1",
            "1e3",
            "$5",
            "90071992547409.92",
            "9".repeat(30).as_str(),
        ] {
            let error = Currency::USD.read(wrong).unwrap_err().to_string();
            assert!(error.contains("19.99") || error.contains("at most"), "{wrong}: {error}");
        }
        let yen = currency("JPY").read("19.99").unwrap_err().to_string();
        assert!(yen.contains("JPY") && yen.contains("\"19.99\""), "{yen}");
        assert!(currency("KWD").read("1.9999").is_err());
    }

    #[test]
    fn signs_may_stand_for_several_currencies() {
        for (code, sign, may) in [
            ("USD", "$", true),
            ("USD", "US$", true),
            ("USD", "usd", true),
            ("USD", "€", false),
            ("USD", "C$", false),
            ("CAD", "$", true),
            ("CHF", "Fr.", true),
            ("CZK", "Kč", true),
            ("EUR", "$", false),
            ("EUR", "EUR", true),
            ("JPY", "¥", true),
            ("USD", "abc", false),
        ] {
            assert_eq!(currency(code).may_be(sign), may, "{sign} for {code}");
        }
    }

    #[test]
    fn a_price_that_may_be_a_slip_is_told_from_others() {
        let unlikely = |before: u64, price: u64| cents(price).is_unlikely(Some(cents(before)));
        assert!(unlikely(1999, 0) && unlikely(1999, 199_900) && unlikely(1999, 20) && unlikely(0, 1999));
        assert!(unlikely(100, 501) && !unlikely(100, 500) && unlikely(501, 100) && !unlikely(500, 100));
        assert!(!unlikely(0, 0) && !unlikely(1999, 1999));
        assert!(unlikely(1, Cents::MAX.get()) && !unlikely(Cents::MAX.get() - 1, Cents::MAX.get()));
        assert!(Cents::ZERO.is_unlikely(None) && !cents(1).is_unlikely(None));
    }
}
