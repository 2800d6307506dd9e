//! What people type into forms: read leniently, checked strictly.

use axum::http::Uri;
use bookstore_core::{Cents, Currency, Lines, OrderId};

use super::text;

/// The most characters of a number that is worth reading.
const NUMBER_MAX: usize = 20;
/// Digits of a price that is too large, rather than mistyped.
const MAX_DIGITS: usize = 14;

/// The fields of a posted form, or the parameters of a link.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a form's body. Bytes that are no UTF-8 become replacement characters.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// Reads a link's parameters.
    pub(crate) fn of_uri(uri: &Uri) -> Self {
        Self::of_body(uri.query().unwrap_or_default().as_bytes())
    }

    /// What was typed into a field; nothing if there is no such field.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// As [`Fields::text`], if anything but white space was typed.
    pub(crate) fn filled(&self, name: &str) -> Option<String> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The id that a page put into a hidden field.
    pub(crate) fn id(&self, name: &str) -> Option<OrderId> {
        self.text(name).parse().ok()
    }

    /// The price that a page put into a hidden field.
    pub(crate) fn cents(&self, name: &str) -> Option<Cents> {
        self.text(name).parse().ok().and_then(|cents| Cents::new(cents).ok())
    }
}

/// How many copies to buy.
pub(crate) fn quantity(typed: &str) -> Result<u32, String> {
    let max = Lines::QUANTITY_MAX;
    match whole(typed).and_then(|n| u32::try_from(n).ok()) {
        Some(n) if (1..=max).contains(&n) => Ok(n),
        _ => Err(format!("Please enter a whole number from 1 to {}.", text::number(&max))),
    }
}

/// A whole number, with a sign if it has one.
pub(crate) fn whole(typed: &str) -> Option<i64> {
    let typed = typed.trim();
    (typed.len() <= NUMBER_MAX).then(|| typed.parse().ok()).flatten()
}

/// A price: `12`, `12.5`, `12.50`, with a comma if that is what a decimal point looks like, and with the currency's own sign.
pub(crate) fn price(typed: &str, currency: Currency) -> Result<Cents, String> {
    let number = typed.trim();
    let number = number.strip_prefix(currency.prefix().trim()).unwrap_or(number).trim_start();
    // Three digits behind a comma are thousands, or the decimals of a dinar.
    let number = if currency.decimals() == 2 { number.replacen(',', ".", 1) } else { number.to_owned() };
    let number = number.strip_suffix('.').unwrap_or(&number);
    currency.read(number).map_err(|_| {
        let whole = number.split('.').next().unwrap_or_default();
        if whole.len() >= MAX_DIGITS && whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return format!("Please enter at most {}.", currency.show(Cents::MAX));
        }
        format!("Please enter {}.", price_hint(currency))
    })
}

/// `a price such as 12 or 12.50`
pub(crate) fn price_hint(currency: Currency) -> String {
    let example = Cents::new(currency.cents_per_unit() * 25 / 2).unwrap_or_default();
    if currency.decimals() == 0 {
        "a price such as 12".into()
    } else {
        format!("a price such as 12 or {}", currency.plain(example))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_leniently() {
        let fields = Fields::of_body(b"a=+x+&b=%22%3C&c=%FF&a=second&empty=+");
        assert_eq!(fields.text("a"), " x ");
        assert_eq!(fields.filled("a").as_deref(), Some("x"));
        assert_eq!(fields.text("b"), "\"<");
        assert_eq!(fields.text("c"), "\u{fffd}");
        assert_eq!((fields.text("missing"), fields.filled("empty")), ("", None));
        assert_eq!(Fields::of_body(b"id=not-a-uuid").id("id"), None);
        assert_eq!(Fields::of_body(b"cents=9007199254740992").cents("cents"), None);
    }

    #[test]
    fn quantities() {
        assert_eq!(quantity(" 2 "), Ok(2));
        assert_eq!(quantity("1000"), Ok(1000));
        for wrong in ["", "0", "-1", "abc", "1.5", "1e3", "1001", "4294967297", &"9".repeat(500), "２"] {
            assert!(quantity(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prices() {
        let cents = |typed| price(typed, Currency::USD).map(Cents::get);
        assert_eq!(cents("12"), Ok(1200));
        assert_eq!(cents("12.5"), Ok(1250));
        assert_eq!(cents(" $12.05 "), Ok(1205));
        assert_eq!(cents("12,50"), Ok(1250));
        assert_eq!(cents("0"), Ok(0));
        assert_eq!(cents("12."), Ok(1200));
        assert_eq!(cents("90071992547409.91"), Ok(Cents::MAX.get()));
        for wrong in ["", ".5", "1,234", "1.234", "-1", "abc", "1.2.3", "90071992547409.92", "99999999999999999999"] {
            assert!(price(wrong, Currency::USD).is_err(), "{wrong}");
        }
        let [yen, euro, dinar] = ["JPY", "EUR", "KWD"].map(|code| code.parse().unwrap());
        let cents = |typed, currency| price(typed, currency).map(Cents::get);
        assert_eq!(
            (cents("€12,50", euro), cents("¥1200", yen), cents("KWD 1.5", dinar)),
            (Ok(1250), Ok(1200), Ok(1500))
        );
        for (wrong, currency) in [("$12", euro), ("12.50", yen), ("1,234", yen), ("1,234", dinar)] {
            assert!(price(wrong, currency).is_err(), "{wrong} {currency}");
        }
        let hint = |currency| price("", currency).unwrap_err();
        assert_eq!(hint(euro), "Please enter a price such as 12 or 12.50.");
        assert_eq!(
            (hint(yen), hint(dinar)),
            ("Please enter a price such as 12.".into(), "Please enter a price such as 12 or 12.500.".into())
        );
    }
}
