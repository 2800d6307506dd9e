//! International Standard Book Numbers.

mod spelling;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

use crate::error::Error;

/// An ISBN: 13 digits, the last of which is their check digit.
///
/// An ISBN of 10 digits is kept as the one of 13 digits that names the same book. In JSON it is a string of 13 digits. It is shown
/// with hyphens if the crate has the feature `isbn-ranges` and the number is in a range that is in use, otherwise without.
///
/// ```
/// use bookstore_core::Isbn;
///
/// # fn main() -> bookstore_core::Result<()> {
/// let isbn: Isbn = "ISBN 0-306-40615-2 (pbk.)".parse()?;
/// assert_eq!(isbn.digits(), "9780306406157");
/// assert_eq!(isbn, "=\"9780306406157\"".parse()?);
/// assert_eq!(Isbn::read("0000000000")?, None, "a filler");
/// let mistyped = "978-0-306-40615-8".parse::<Isbn>().unwrap_err().to_string();
/// assert!(mistyped.contains("check digit 8") && mistyped.contains("should be 7"), "{mistyped}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isbn(u64);

impl Isbn {
    /// Reads an ISBN however people and programs spell it: 10 or 13 digits, with hyphens of any kind, spaces or quotes between or
    /// around them, `="978…"` as for a spreadsheet, `ISBN` or `ISBN-13:` before it, and a remark such as `(pbk.)` behind it.
    ///
    /// `None` if there is no number, or only a filler: ten or thirteen digits that are all alike, or zeros alone.
    ///
    /// # Errors
    /// - [`Error::Invalid`] in `isbn`: it says what was read, and what the check digit should be if that is what is wrong.
    pub fn read(text: &str) -> Result<Option<Self>, Error> {
        if let Some(isbn) = Self::from_digits(text) {
            return Ok(Some(isbn));
        }
        let wrong = |why: &str| Error::invalid("isbn", format!("{:?} {why}", shortened(text)));
        let digits = spelling::digits(text).map_err(&wrong)?;
        let filler = matches!(digits.len(), 10 | 13) || digits.iter().all(|digit| *digit == 0);
        if filler && digits.iter().all(|digit| *digit == digits[0]) {
            return Ok(None);
        }
        match digits.len() {
            10 => Self::of_ten(&digits),
            13 => Self::of_thirteen(&digits),
            9 => Err(nine_digits(&digits)),
            n => Err(format!("has {n} digits; an ISBN has 10 or 13")),
        }
        .map(Some)
        .map_err(|why| wrong(&why))
    }

    /// The number of 13 digits, without hyphens.
    #[must_use]
    pub fn digits(self) -> String {
        self.0.to_string()
    }

    /// The number that these 13 ASCII digits are, if they are one.
    pub(super) fn from_digits(digits: &str) -> Option<Self> {
        let plain = digits.len() == 13 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let values: [u8; 13] = plain.then_some(digits.as_bytes())?.try_into().ok()?;
        Self::of_thirteen(&values.map(|digit| digit - b'0')).ok()
    }

    fn of_thirteen(digits: &[u8]) -> Result<Self, String> {
        if !matches!(digits, [9, 7, 8 | 9, ..]) {
            return Err("is no ISBN: one of 13 digits begins with 978 or 979".into());
        }
        match (digits.iter().position(|digit| *digit > 9), check_digit_of_thirteen(&digits[..12])) {
            (Some(_), _) => Err("is no ISBN: only one of 10 digits can have an X".into()),
            (None, right) if right == digits[12] => Ok(Self::number(&digits[..12], right)),
            (None, right) => Err(wrong_check_digit(digits[12], right)),
        }
    }

    fn of_ten(digits: &[u8]) -> Result<Self, String> {
        if digits[..9].iter().any(|digit| *digit > 9) {
            return Err("is no ISBN: an X can only be the last of 10 digits".into());
        }
        let right = check_digit_of_ten(&digits[..9]);
        if right != digits[9] {
            return Err(wrong_check_digit(digits[9], right));
        }
        let twelve = [&[9, 7, 8], &digits[..9]].concat();
        Ok(Self::number(&twelve, check_digit_of_thirteen(&twelve)))
    }

    fn number(twelve: &[u8], check_digit: u8) -> Self {
        Self(twelve.iter().chain([&check_digit]).fold(0, |number, digit| number * 10 + u64::from(*digit)))
    }

    /// With hyphens, if the ranges are known and have it.
    #[cfg(feature = "isbn-ranges")]
    fn hyphenated(self) -> Option<impl fmt::Display> {
        let digits: Vec<u8> = self.digits().bytes().map(|digit| digit - b'0').collect();
        isbn::Isbn13::new(digits.try_into().ok()?).ok()?.hyphenate().ok()
    }

    #[cfg(not(feature = "isbn-ranges"))]
    fn hyphenated(self) -> Option<String> {
        None
    }
}

impl fmt::Display for Isbn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hyphenated() {
            Some(hyphenated) => hyphenated.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

/// As [`Isbn::read`], but a filler is refused.
impl FromStr for Isbn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::read(text)?.ok_or_else(|| Error::invalid("isbn", format!("{:?} is no ISBN", shortened(text))))
    }
}

impl Serialize for Isbn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Isbn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Isbn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISBN")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Isbn, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// What is shown of a text that is no ISBN, in characters.
const SHOWN: usize = 60;

fn shortened(text: &str) -> String {
    let text = text.trim();
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}

fn check_digit_of_thirteen(twelve: &[u8]) -> u8 {
    let sum = twelve.iter().zip([1, 3].iter().cycle()).map(|(digit, weight)| u32::from(*digit) * weight).sum::<u32>();
    ((10 - sum % 10) % 10).to_le_bytes()[0]
}

fn check_digit_of_ten(nine: &[u8]) -> u8 {
    let sum = nine.iter().zip((2..=10).rev()).map(|(digit, weight)| u32::from(*digit) * weight).sum::<u32>();
    ((11 - sum % 11) % 11).to_le_bytes()[0]
}

fn wrong_check_digit(seen: u8, right: u8) -> String {
    let name = |digit: u8| if digit == 10 { "X".to_owned() } else { digit.to_string() };
    format!("ends with the check digit {}, which should be {}; is a digit mistyped?", name(seen), name(right))
}

fn nine_digits(digits: &[u8]) -> String {
    let ten = [&[0], digits].concat();
    match Isbn::of_ten(&ten) {
        Ok(isbn) => format!("has 9 digits; if a spreadsheet has dropped a leading zero, it is {isbn}"),
        Err(_) => "has 9 digits; an ISBN has 10 or 13".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_the_same_number() {
        for text in [
            "9780306406157",
            "0306406152",
            "0-306-40615-2",
            " 978-0-306-40615-7 ",
            "978 0 306 40615 7",
            "978\u{2010}0\u{2010}306\u{2010}40615\u{2010}7",
            "978\u{2013}0306406157",
            "978\u{a0}0306406157\u{200e}",
            "978\u{ad}0306406157",
            "=\"9780306406157\"",
            "=\"0306406152\"",
            "[0306406152]",
            "'9780306406157",
            "ISBN 9780306406157",
            "ISBN-13: 978-0-306-40615-7",
            "isbn10 0306406152",
            "ISBN: 0306406152.",
            "urn:isbn:9780306406157",
            "0306406152 (pbk.)",
            "9780306406157 (pbk. : alk. paper) : $19.95",
        ] {
            let isbn: Isbn = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(isbn.digits(), "9780306406157", "{text:?}");
        }
        assert_eq!("080442957x".parse::<Isbn>().unwrap().digits(), "9780804429573");
        assert_eq!("979-10-90636-07-1".parse::<Isbn>().unwrap().digits(), "9791090636071");
    }

    #[test]
    fn fillers_are_none() {
        for text in [
            "",
            " ",
            "-",
            "=\"\"",
            "ISBN",
            "0",
            "0000000000",
            "0000000000000",
            "1111111111",
            "999-9999999999",
            "(pbk.)",
        ] {
            assert_eq!(Isbn::read(text), Ok(None), "{text:?}");
            assert!(text.parse::<Isbn>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("978-0-306-40615-8", "\"978-0-306-40615-8\" ends with the check digit 8, which should be 7"),
            ("0306406153", "check digit 3, which should be 2"),
            ("0804429579", "check digit 9, which should be X"),
            ("12", "\"12\" has 2 digits; an ISBN has 10 or 13"),
            ("306406152", "has 9 digits; if a spreadsheet has dropped a leading zero, it is 978"),
            ("306406153", "has 9 digits; an ISBN has 10 or 13"),
            ("9.78031E+12", "rounded by a spreadsheet"),
            ("4006381333931", "begins with 978 or 979"),
            ("97803064061X7", "only one of 10 digits can have an X"),
            ("03064X6152", "an X can only be the last"),
            ("unknown", "is no ISBN: one has 10 or 13 digits"),
            ("\u{fffd}\u{1f4da}", "is no ISBN"),
        ] {
            let error = Isbn::read(text).expect_err(text).to_string();
            assert!(error.starts_with("isbn: \"") && error.contains(says), "{text:?}: {error}");
        }
        let long = Isbn::read(&"\u{1f4da}".repeat(1000)).unwrap_err().to_string();
        assert!(long.chars().count() < 160, "{long}");
    }

    #[test]
    fn it_travels_as_digits() {
        let isbn: Isbn = "0306406152".parse().unwrap();
        assert_eq!(serde_json::to_string(&isbn).unwrap(), "\"9780306406157\"");
        assert_eq!(serde_json::from_str::<Isbn>("\"0-306-40615-2\"").unwrap(), isbn);
        assert!(serde_json::from_str::<Isbn>("\"0000000000\"").is_err());
    }

    #[cfg(feature = "isbn-ranges")]
    #[test]
    fn it_is_shown_with_hyphens_by_its_range() {
        let shown = |digits: &str| digits.parse::<Isbn>().unwrap().to_string();
        assert_eq!(shown("9780306406157"), "978-0-306-40615-7");
        assert_eq!(shown("9783161484100"), "978-3-16-148410-0");
        assert_eq!(shown("9791090636071"), "979-10-90636-07-1");
        // Music has numbers of its own, which look alike.
        assert_eq!(shown("9790060115615"), "9790060115615");
    }
}
