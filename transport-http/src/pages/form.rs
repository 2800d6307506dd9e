//! What people type into forms: read leniently, checked strictly.

use axum::http::Uri;
use bookstore_core::{Cents, Lines, OrderId};

use super::text;

/// The most characters of a number that is worth reading.
const NUMBER_MAX: usize = 20;

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

/// A price in units and cents: `12`, `12.5`, `12.50`, with a comma if that is what a decimal point looks like.
pub(crate) fn price(typed: &str) -> Result<Cents, String> {
    let wrong = || "Please enter a price such as 12 or 12.50.".to_owned();
    let typed = typed.trim().trim_start_matches('$').trim_start();
    let (units, cents) = typed.split_once(['.', ',']).unwrap_or((typed, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if units.is_empty() || units.len() > NUMBER_MAX || cents.len() > 2 || !digits(units) || !digits(cents) {
        return Err(wrong());
    }
    let too_large = || format!("Please enter at most {}.", text::price(&Cents::MAX));
    let units = units.parse::<u64>().ok().and_then(|units| units.checked_mul(100)).ok_or_else(too_large)?;
    let cents: u64 = format!("{cents:0<2}").parse().map_err(|_| wrong())?;
    Cents::new(units.saturating_add(cents)).map_err(|_| too_large())
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
        let cents = |typed| price(typed).map(Cents::get);
        assert_eq!(cents("12"), Ok(1200));
        assert_eq!(cents("12.5"), Ok(1250));
        assert_eq!(cents(" $12.05 "), Ok(1205));
        assert_eq!(cents("12,50"), Ok(1250));
        assert_eq!(cents("0"), Ok(0));
        assert_eq!(cents("12."), Ok(1200));
        assert_eq!(cents("90071992547409.91"), Ok(Cents::MAX.get()));
        for wrong in ["", ".5", "1,234", "1.234", "-1", "abc", "1.2.3", "90071992547409.92", "99999999999999999999"] {
            assert!(price(wrong).is_err(), "{wrong}");
        }
    }
}
