//! Prices as people write them, exactly: no floating point.

/// An amount, and what it is in if that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) cents: u64,
    pub(super) currency: Option<String>,
}

/// Reads `19.99`, `$1,234.50`, `29,99 €` or `1.234,56`. A comma or a point before one or two digits stands before the cents. Before
/// three digits it may stand between thousands or not, so such an amount is refused, unless `decimal_comma` says what it is.
pub(super) fn amount(text: &str, decimal_comma: bool) -> Result<Amount, String> {
    let wrong = |why: &str| format!("price must be an amount such as 19.99, not {text:?}{why}");
    let (Some(first), Some(last)) = (text.find(is_digit), text.rfind(is_digit)) else { return Err(wrong("")) };
    let currency = currency(&text[..first], &text[last + 1..]).ok_or_else(|| wrong(""))?;
    let number: String =
        text[first..=last].chars().filter(|c| !(c.is_whitespace() || matches!(c, '\'' | '’'))).collect();
    let (whole, fraction) = split(&number, decimal_comma).map_err(wrong)?;
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    let tens = if fraction.len() == 1 { 10 } else { 1 };
    let cents = number(&whole).and_then(|whole| whole.checked_mul(100)?.checked_add(number(fraction)? * tens));
    Ok(Amount { cents: cents.ok_or_else(|| wrong(""))?, currency })
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The digits before and behind the separator of the cents.
fn split(number: &str, decimal_comma: bool) -> Result<(String, &str), &'static str> {
    const DOUBT: &str = ": it can be read in two ways; write 1234 or 1234.00, or say --decimal-comma";
    let separators: Vec<char> = number.chars().filter(|c| !is_digit(*c)).collect();
    if separators.iter().any(|c| !matches!(c, '.' | ',')) {
        return Err("");
    }
    let Some(last) = separators.last() else { return Ok((number.to_owned(), "")) };
    let (whole, fraction) = number.rsplit_once(*last).expect("it has the separator");
    let alone = separators.len() == 1;
    let thousands = if alone { !matches!(fraction.len(), 1 | 2) } else { separators.iter().all(|c| c == last) };
    if decimal_comma && (*last == ',') == thousands {
        return Err(": with --decimal-comma, a comma stands before the cents");
    }
    if thousands {
        if alone && fraction.len() == 3 && !decimal_comma {
            return Err(DOUBT);
        }
        return Ok((grouped(number, *last)?, ""));
    }
    if !matches!(fraction.len(), 1 | 2) {
        return Err(": it has more than two decimals");
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
fn currency(before: &str, behind: &str) -> Option<Option<String>> {
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
        amount(text, false).unwrap_or_else(|error| panic!("{error}")).cents
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
        assert_eq!(amount("$19.99", false).unwrap().currency.as_deref(), Some("$"));
        assert_eq!(amount("1.234", true).unwrap().cents, 123_400);
        assert_eq!(amount("1.234,5", true).unwrap().cents, 123_450);
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
            let error = amount(text, false).unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{text}: {error}");
        }
        assert!(amount("1,234", false).unwrap_err().contains("--decimal-comma"));
        for text in ["19.99", "1,234.50", "1,234"] {
            assert!(amount(text, true).is_err(), "{text}");
        }
        assert!(amount("99999999999999999999", false).is_err());
    }
}
