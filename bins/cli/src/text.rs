//! Numbers as people read them.

/// A number with its thousands apart: `60,638`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate, to three digits or to the unit: `0.25`, `12.3`, `60,638`.
pub(crate) fn shown_rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 99.95 => grouped(rounded(rate)),
        rate if rate >= 9.995 => format!("{rate:.1}"),
        rate => format!("{rate:.2}"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn rounded(number: f64) -> u64 {
    number.round() as u64
}

/// A duration given in microseconds, to three digits: `85 µs`, `1.23 ms`, `2.00 s`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn shown_us(us: u64) -> String {
    let (value, unit) = match us {
        0..1_000 => return format!("{us} µs"),
        1_000..1_000_000 => (us as f64 / 1e3, "ms"),
        _ => (us as f64 / 1e6, "s"),
    };
    let digits = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

/// The form of a noun that goes with a number.
pub(crate) fn plural<'a>(number: u64, one: &'a str, more: &'a str) -> &'a str {
    if number == 1 { one } else { more }
}

/// A number and its noun: `1 book`, `2,000 books`.
#[must_use]
pub fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", grouped(number), plural(number, one, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_enough_to_read() {
        assert_eq!([0, 999, 1000, 60638, 1_234_567].map(grouped).join(" "), "0 999 1,000 60,638 1,234,567");
        let durations = [0, 85, 999, 1000, 1234, 12_345, 123_456, 999_949, 1_000_000, 61_500_000].map(shown_us);
        assert_eq!(durations.join("|"), "0 µs|85 µs|999 µs|1.00 ms|1.23 ms|12.3 ms|123 ms|1000 ms|1.00 s|61.5 s");
        assert_eq!([0.0, 0.256, 12.34, 99.96, 60_638.4].map(shown_rate).join("|"), "0.00|0.26|12.3|100|60,638");
        assert_eq!(counted(1, "book", "books") + &counted(2000, "book", "books"), "1 book2,000 books");
    }
}
