//! Prices as people write them, exactly: no floating point.

use bookstore_core::Currency;

/// An amount, and the sign or code of a currency that was written beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) cents: u64,
    pub(super) sign: Option<String>,
}

/// Reads `19.99`, `$1,234.50`, `29,99 €` or `1.234,56`. A comma or a point before one or two digits stands before the cents. Before
/// three digits it may stand between thousands or not, so such an amount is refused, unless `decimal_comma` or the currency's decimals
/// say what it is.
pub(super) fn amount(text: &str, currency: Currency, decimal_comma: bool) -> Result<Amount, String> {
    let wrong = |why: &str| format!("price must be an amount such as 19.99, not {text:?}{why}");
    let (Some(first), Some(last)) = (text.find(is_digit), text.rfind(is_digit)) else { return Err(wrong("")) };
    let sign = sign(&text[..first], &text[last + 1..]).ok_or_else(|| wrong(""))?;
    let number: String =
        text[first..=last].chars().filter(|c| !(c.is_whitespace() || matches!(c, '\'' | '’'))).collect();
    let (whole, fraction) = split(&number, currency.decimals(), decimal_comma).map_err(wrong)?;
    let decimals = usize::from(currency.decimals());
    let (fraction, beyond) = fraction.split_at(fraction.len().min(decimals));
    if beyond.contains(|c| c != '0') {
        return Err(wrong(&format!(": amounts in {currency} have {}", counted(decimals))));
    }
    let cents = format!("{whole}{fraction:0<decimals$}").parse().map_err(|_| wrong(""))?;
    Ok(Amount { cents, sign })
}

fn counted(decimals: usize) -> String {
    if decimals == 0 { "no decimals".into() } else { format!("at most {decimals} decimals") }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The digits before and behind the separator of the cents.
fn split(number: &str, decimals: u8, decimal_comma: bool) -> Result<(String, &str), &'static str> {
    const DOUBT: &str = ": it can be read in two ways; write 1234 or 1234.00, or say --decimal-comma";
    let separators: Vec<char> = number.chars().filter(|c| !is_digit(*c)).collect();
    if separators.iter().any(|c| !matches!(c, '.' | ',')) {
        return Err("");
    }
    let Some(last) = separators.last() else { return Ok((number.to_owned(), "")) };
    let (whole, fraction) = number.rsplit_once(*last).expect("it has the separator");
    let alone = separators.len() == 1;
    // A currency with three decimals has three digits behind the point, or the comma if that is what stands there.
    let three = decimals == 3 && *last == if decimal_comma { ',' } else { '.' };
    let is_fraction = matches!(fraction.len(), 1 | 2) || (three && fraction.len() == 3);
    let thousands = if alone { !is_fraction } else { separators.iter().all(|c| c == last) };
    if decimal_comma && (*last == ',') == thousands {
        return Err(": with --decimal-comma, a comma stands before the cents");
    }
    if thousands {
        if alone && fraction.len() == 3 && !decimal_comma && decimals > 0 {
            return Err(DOUBT);
        }
        return Ok((grouped(number, *last)?, ""));
    }
    if !is_fraction {
        return Err(": it has too many decimals");
    }
    let other = if *last == '.' { ',' } else { '.' };
    Ok((grouped(whole, other)?, fraction))
}

/// The digits of groups of three.
fn grouped(number: &str, separator: char) -> Result<String, &'static str> {
    let mut groups = number.split(separator);
    let first = groups.next().unwrap_or_default();
    let even = groups.all(|group| group.len() == 3 && group.chars().all(is_digit));
    let plain = first.chars().all(is_digit) && (!number.contains(separator) || (1..=3).contains(&first.len()));
    if even && plain { Ok(number.replace(separator, "")) } else { Err("") }
}

/// The sign or code before or behind an amount; `None` if it is something else.
fn sign(before: &str, behind: &str) -> Option<Option<String>> {
    let sign = match (before.trim(), behind.trim()) {
        ("", "") => return Some(None),
        (sign, "") | ("", sign) => sign,
        _ => return None,
    };
    let letters = sign.chars().filter(|c| c.is_alphabetic()).count();
    let symbols =
        sign.chars().filter(|c| matches!(c, '$' | '£' | '€' | '¥' | '₹' | '₽' | '₩' | '₪' | '₺' | '฿')).count();
    let dots = sign.chars().filter(|c| *c == '.').count();
    let known = letters <= 3 && symbols <= 1 && letters + symbols > 0 && dots <= 1;
    (known && sign.chars().count() == letters + symbols + dots).then(|| Some(sign.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cents(text: &str) -> u64 {
        amount(text, Currency::USD, false).unwrap_or_else(|error| panic!("{error}")).cents
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, expected) in [
            ("19.99", 1999),
            ("0", 0),
            ("12", 1200),
            ("12.5", 1250),
            ("0.29", 29),
            ("$19.99", 1999),
            ("US$ 19.99", 1999),
            ("19.99 USD", 1999),
            ("£7.50", 750),
            ("29,99", 2999),
            ("29,99 €", 2999),
            ("1,234.50", 123_450),
            ("1.234,50", 123_450),
            ("1 234,50", 123_450),
            ("1'234.50", 123_450),
            ("1,234,567", 123_456_700),
            ("Fr. 12.50", 1250),
            ("007.00", 700),
        ] {
            assert_eq!(cents(text), expected, "{text}");
        }
        assert_eq!(amount("$19.99", Currency::USD, false).unwrap().sign.as_deref(), Some("$"));
        assert_eq!(amount("1.234", Currency::USD, true).unwrap().cents, 123_400);
        assert_eq!(amount("1.234,5", Currency::USD, true).unwrap().cents, 123_450);
    }

    #[test]
    fn what_is_in_doubt_is_refused_and_shown() {
        for text in [
            "1,234",
            "1.234",
            "cheap",
            "",
            "-5.00",
            "19.99.1",
            "1,23,456.00",
            "12.345,678",
            "about 20",
            "$5 off",
            "$5 €",
            "5-6",
            "19.9999",
        ] {
            let error = amount(text, Currency::USD, false).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{text}: {error}");
        }
        assert!(amount("1,234", Currency::USD, false).unwrap_err().contains("--decimal-comma"));
        for text in ["19.99", "1,234.50", "1,234"] {
            assert!(amount(text, Currency::USD, true).is_err(), "{text}");
        }
        assert!(amount("99999999999999999999", Currency::USD, false).is_err());
    }
    #[test]
    fn the_currency_decides_the_decimals() {
        let [yen, dinar]: [Currency; 2] = ["JPY", "KWD"].map(|code| code.parse().unwrap());
        let cents = |text, currency, comma| amount(text, currency, comma).map(|amount| amount.cents);
        for (text, expected) in
            [("1999", 1999), ("¥1,999", 1999), ("1.999", 1999), ("1999.00", 1999), ("1,234,567", 1_234_567)]
        {
            assert_eq!(cents(text, yen, false), Ok(expected), "{text}");
        }
        assert_eq!(cents("1.999", yen, true), Ok(1999));
        assert!(cents("19.99", yen, false).unwrap_err().contains("amounts in JPY have no decimals"));
        for (text, expected) in [("1.5", 1500), ("1.999", 1999), ("KD 1,234.500", 1_234_500), ("12", 12_000)] {
            assert_eq!(cents(text, dinar, false), Ok(expected), "{text}");
        }
        assert_eq!((cents("1,999", dinar, true), cents("1.234,5", dinar, true)), (Ok(1999), Ok(1_234_500)));
        assert!(cents("1,999", dinar, false).unwrap_err().contains("two ways"));
        assert!(cents("1.9999", dinar, false).is_err());
    }
}
