//! Whether a copy is new or used, and how well it is kept.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::error::Error;

/// Whether the copies of a book are new or used. The grades of used ones are those of antiquarian booksellers.
///
/// ```
/// use bookstore_core::Condition;
///
/// # fn main() -> bookstore_core::Result<()> {
/// assert_eq!("Used - Very Good".parse::<Condition>()?, Condition::VeryGood);
/// assert_eq!(Condition::VeryGood.to_string(), "used-very-good");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Condition {
    /// Never used.
    #[default]
    #[cfg_attr(feature = "openapi", schema(rename = "new"))]
    New,
    /// Used, and looks new.
    #[cfg_attr(feature = "openapi", schema(rename = "used-like-new"))]
    LikeNew,
    /// Used, without defects.
    #[cfg_attr(feature = "openapi", schema(rename = "used-fine"))]
    Fine,
    /// Used, with small signs of wear.
    #[cfg_attr(feature = "openapi", schema(rename = "used-very-good"))]
    VeryGood,
    /// Used and worn, all pages there.
    #[cfg_attr(feature = "openapi", schema(rename = "used-good"))]
    Good,
    /// Used and much worn; all of the text is there.
    #[cfg_attr(feature = "openapi", schema(rename = "used-fair"))]
    Fair,
    /// Used, and good for reading only.
    #[cfg_attr(feature = "openapi", schema(rename = "used-poor"))]
    Poor,
}

impl Condition {
    /// All conditions, the best first.
    pub const ALL: [Self; 7] =
        [Self::New, Self::LikeNew, Self::Fine, Self::VeryGood, Self::Good, Self::Fair, Self::Poor];

    /// Its name: `new`, or `used-` and the grade.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::LikeNew => "used-like-new",
            Self::Fine => "used-fine",
            Self::VeryGood => "used-very-good",
            Self::Good => "used-good",
            Self::Fair => "used-fair",
            Self::Poor => "used-poor",
        }
    }

    /// For people: `New`, `Used, very good`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::LikeNew => "Used, like new",
            Self::Fine => "Used, fine",
            Self::VeryGood => "Used, very good",
            Self::Good => "Used, good",
            Self::Fair => "Used, fair",
            Self::Poor => "Used, poor",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// In any case, with any punctuation, with or without `used` before the grade; also `As New` and `Acceptable`, as other shops say.
impl FromStr for Condition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let letters: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        Ok(match letters.strip_prefix("used").filter(|grade| !grade.is_empty()).unwrap_or(&letters) {
            "new" | "brandnew" if !letters.starts_with("used") => Self::New,
            "likenew" | "asnew" => Self::LikeNew,
            "fine" => Self::Fine,
            "verygood" => Self::VeryGood,
            "good" => Self::Good,
            "fair" | "acceptable" => Self::Fair,
            "poor" => Self::Poor,
            _ => {
                let names = Self::ALL.map(Self::name).join(", ");
                return Err(Error::invalid("condition", format!("{text:?} is none of {names}")));
            }
        })
    }
}

impl TryFrom<String> for Condition {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Condition> for &'static str {
    fn from(condition: Condition) -> Self {
        condition.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_shops_spell_them() {
        for condition in Condition::ALL {
            assert_eq!(condition.name().parse(), Ok(condition));
            assert_eq!(condition.label().parse(), Ok(condition));
        }
        for (text, condition) in [
            ("NEW", Condition::New),
            ("Brand New", Condition::New),
            ("As New", Condition::LikeNew),
            ("used: Like New", Condition::LikeNew),
            ("Very Good", Condition::VeryGood),
            ("Used - Acceptable", Condition::Fair),
        ] {
            assert_eq!(text.parse(), Ok(condition), "{text}");
        }
        for text in ["", "used", "used-new", "mint", "👍"] {
            let refused = text.parse::<Condition>().unwrap_err().to_string();
            assert!(refused.contains(&format!("{text:?}")) && refused.contains("used-very-good"), "{refused}");
        }
    }

    #[test]
    fn it_travels_by_its_name() {
        assert_eq!(serde_json::to_string(&Condition::Good).unwrap(), "\"used-good\"");
        assert_eq!(serde_json::from_str::<Condition>("\"Fine\"").unwrap(), Condition::Fine);
    }
}
