//! What a shop writes about a book, field by field.

use serde::{Deserialize, Serialize, Serializer};

use super::{Condition, Isbn, Text, normal};
use crate::error::Error;

/// The part of a book that describes it, field by field. [`Text`] is the same in one piece of memory. In most fields an empty string
/// is none.
///
/// [`NewBook::checked`](super::NewBook::checked) and [`Amend::checked`](super::Amend::checked) check the limits and bring every field
/// into its normal form: composed characters (NFC), none that are not seen, one space where there is white space.
///
/// In JSON `authors` is a list, and `author` has the same names with semicolons between them; either is read, and `authors` counts if
/// both are there. `authors`, `subjects` and the fields after them are left out if they are empty, or `new`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Fields")]
pub struct BookText {
    /// 1 to [`BookText::TITLE_MAX`] characters.
    pub title: String,
    /// At most [`BookText::AUTHORS_MAX`] names of 1 to [`BookText::FIELD_MAX`] characters, in the order of the title page. A name has no
    /// semicolon.
    pub authors: Vec<String>,
    /// 1 to [`BookText::FIELD_MAX`] characters.
    pub topic: String,
    /// The ISBN, if it has one; in JSON 13 digits without hyphens.
    pub isbn: Option<Isbn>,
    /// Year of publication, −3000 to 9999.
    pub year: Option<i32>,
    /// At most [`BookText::SUBJECTS_MAX`] keywords of 1 to [`BookText::FIELD_MAX`] characters, searched with title and authors.
    pub subjects: Vec<String>,
    /// At most [`BookText::TITLE_MAX`] characters.
    pub subtitle: String,
    /// The shop's own article number: at most [`BookText::SKU_MAX`] characters.
    pub sku: String,
    /// New, or used with a grade.
    pub condition: Condition,
    /// At most [`BookText::FIELD_MAX`] characters.
    pub publisher: String,
    /// The language that it is in, as the shop writes it: at most [`BookText::SKU_MAX`] characters.
    pub language: String,
    /// Paperback, for instance: at most [`BookText::SKU_MAX`] characters.
    pub format: String,
    /// At most [`BookText::DESCRIPTION_MAX`] characters. Line breaks stay; empty lines at its ends and all but one between go.
    pub description: String,
}

impl BookText {
    /// The longest title or subtitle, in characters.
    pub const TITLE_MAX: usize = 1000;
    /// The longest name of an author, topic, subject or publisher, in characters.
    pub const FIELD_MAX: usize = 500;
    /// The longest article number, language or format, in characters.
    pub const SKU_MAX: usize = 100;
    /// The longest description, in characters.
    pub const DESCRIPTION_MAX: usize = 5000;
    /// The most authors.
    pub const AUTHORS_MAX: usize = 32;
    /// The most subjects.
    pub const SUBJECTS_MAX: usize = 32;

    /// The names of the authors with semicolons between them.
    #[must_use]
    pub fn author(&self) -> String {
        self.authors.join("; ")
    }

    /// What makes two books the same book: the article number; without one, the ISBN; without that, title, authors and year. A used
    /// book without an article number also has its condition in it.
    ///
    /// Adding a book whose identity is known leaves the catalog as it is, so an import can be repeated. Two editions without
    /// ISBN, of one title and year, are one book; so are two used copies of one ISBN and one grade, unless each has an article
    /// number. A book keeps every identity that it ever had, so what it was called before a revision still leads to it.
    #[must_use]
    pub fn identity(&self) -> String {
        if !self.sku.is_empty() {
            return format!("\u{1f}{}", self.sku);
        }
        let mut identity = match self.isbn {
            Some(isbn) => isbn.digits(),
            None => format!("{}\u{1f}{}\u{1f}{}", self.title, self.author(), self.year.unwrap_or_default()),
        };
        if self.condition != Condition::New {
            identity.push('\u{1f}');
            identity.push_str(self.condition.name());
        }
        identity
    }

    pub(super) fn checked(self) -> Result<Self, Error> {
        let authors = self.authors.iter().flat_map(|author| author.split(';')).map(normal);
        let authors: Vec<String> = authors.filter(|author| !author.is_empty()).collect();
        let text = Self {
            title: line("title", &self.title, 1, Self::TITLE_MAX)?,
            authors: list("authors", &authors, Self::AUTHORS_MAX)?,
            topic: line("topic", &self.topic, 1, Self::FIELD_MAX)?,
            isbn: self.isbn,
            year: self.year,
            subjects: list("subjects", &self.subjects, Self::SUBJECTS_MAX)?,
            subtitle: line("subtitle", &self.subtitle, 0, Self::TITLE_MAX)?,
            sku: line("sku", &self.sku, 0, Self::SKU_MAX)?,
            condition: self.condition,
            publisher: line("publisher", &self.publisher, 0, Self::FIELD_MAX)?,
            language: line("language", &self.language, 0, Self::SKU_MAX)?,
            format: line("format", &self.format, 0, Self::SKU_MAX)?,
            description: within("description", lines(&self.description), 0, Self::DESCRIPTION_MAX)?,
        };
        match text.year {
            Some(year) if !(-3000..=9999).contains(&year) => Err(Error::invalid("year", "must be from -3000 to 9999")),
            _ => Ok(text),
        }
    }
}

/// The names in a text that has semicolons between them.
pub(super) fn names(author: &str) -> impl Iterator<Item = &str> {
    author.split(';').map(str::trim).filter(|name| !name.is_empty())
}

/// A field of one line in its normal form, if that has `min` to `max` characters.
fn line(field: &'static str, text: &str, min: usize, max: usize) -> Result<String, Error> {
    within(field, normal(text), min, max)
}

fn list(field: &'static str, texts: &[String], max: usize) -> Result<Vec<String>, Error> {
    if texts.len() > max {
        return Err(Error::invalid(field, format!("must be at most {max}, not {}", texts.len())));
    }
    texts.iter().map(|text| line(field, text, 1, BookText::FIELD_MAX)).collect()
}

/// The lines of a text in their normal form.
fn lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines().map(normal) {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !lines.is_empty() {
            lines.push_str(if empty > 0 { "\n\n" } else { "\n" });
        }
        lines.push_str(&line);
        empty = 0;
    }
    lines
}

fn within(field: &'static str, text: String, min: usize, max: usize) -> Result<String, Error> {
    let n = text.chars().count();
    if n < min || n > max {
        return Err(Error::invalid(field, format!("must have {min} to {max} characters, not {n}")));
    }
    if text.contains(|c: char| c.is_control() && c != '\n') {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(text)
}

/// The JSON of a [`Text`].
impl Serialize for BookText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text::from(self).serialize(serializer)
    }
}

/// A text as JSON has it.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = BookText))]
struct Fields {
    /// 1 to 1,000 characters.
    title: String,
    /// The names of the authors, with semicolons between them; empty if there are none.
    #[serde(default)]
    author: String,
    /// The names of the authors.
    #[serde(default)]
    authors: Vec<String>,
    topic: String,
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    isbn: Option<Isbn>,
    /// Year of publication, −3000 to 9999.
    #[serde(default)]
    year: Option<i32>,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    subtitle: String,
    /// The shop's own article number.
    #[serde(default)]
    sku: String,
    #[serde(default)]
    condition: Condition,
    #[serde(default)]
    publisher: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    format: String,
    #[serde(default)]
    description: String,
}

impl From<Fields> for BookText {
    fn from(fields: Fields) -> Self {
        let Fields { title, author, authors, topic, isbn, year, subjects, .. } = fields;
        let Fields { subtitle, sku, condition, publisher, language, format, description, .. } = fields;
        let authors = if authors.is_empty() { names(&author).map(Into::into).collect() } else { authors };
        Self {
            title,
            authors,
            topic,
            isbn,
            year,
            subjects,
            subtitle,
            sku,
            condition,
            publisher,
            language,
            format,
            description,
        }
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use super::{BookText, Fields};
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{RefOr, Schema},
    };

    impl PartialSchema for BookText {
        fn schema() -> RefOr<Schema> {
            Fields::schema()
        }
    }

    impl ToSchema for BookText {
        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            Fields::schemas(schemas);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> BookText {
        BookText { title: "T".into(), topic: "t".into(), ..BookText::default() }
    }

    #[test]
    fn fields_have_a_normal_form() {
        let given = BookText {
            authors: vec![" Roe,  Ada ".into(), "Doe; Lee ;".into(), " ".into()],
            subtitle: " or,\tthe  whale".into(),
            sku: " A-1 ".into(),
            description: "\n One \r\n two\n\n\n\u{200b}\n Garci\u{301}a\n".into(),
            ..text()
        };
        let checked = given.checked().unwrap();
        assert_eq!(checked.authors, ["Roe, Ada", "Doe", "Lee"]);
        assert_eq!((checked.subtitle.as_str(), checked.sku.as_str()), ("or, the whale", "A-1"));
        assert_eq!(checked.description, "One\ntwo\n\nGarcía");
        assert_eq!(checked.clone().checked(), Ok(checked));
    }

    #[test]
    fn each_field_has_a_limit() {
        let long = |n: usize| "x".repeat(n + 1);
        let many = |n: usize| vec!["x".to_owned(); n + 1];
        let (field, short) = (long(BookText::FIELD_MAX), long(BookText::SKU_MAX));
        for (name, text) in [
            ("title", BookText { title: long(BookText::TITLE_MAX), ..text() }),
            ("title", BookText { title: " ".into(), ..text() }),
            ("title", BookText { title: "a\u{7}b".into(), ..text() }),
            ("authors", BookText { authors: vec![field.clone()], ..text() }),
            ("authors", BookText { authors: many(BookText::AUTHORS_MAX), ..text() }),
            ("topic", BookText { topic: String::new(), ..text() }),
            ("subjects", BookText { subjects: many(BookText::SUBJECTS_MAX), ..text() }),
            ("subjects", BookText { subjects: vec![String::new()], ..text() }),
            ("subtitle", BookText { subtitle: long(BookText::TITLE_MAX), ..text() }),
            ("sku", BookText { sku: short.clone(), ..text() }),
            ("publisher", BookText { publisher: field, ..text() }),
            ("language", BookText { language: short.clone(), ..text() }),
            ("format", BookText { format: short, ..text() }),
            ("description", BookText { description: long(BookText::DESCRIPTION_MAX), ..text() }),
            ("description", BookText { description: "a\u{0}".into(), ..text() }),
            ("year", BookText { year: Some(10_000), ..text() }),
        ] {
            let refused = text.checked().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{name}: ")), "{name}: {refused}");
        }
    }

    /// Books that a shop sells apart have identities of their own.
    #[test]
    fn an_article_number_or_an_isbn_or_a_title_makes_a_book() {
        let isbn: Option<Isbn> = "9780306406157".parse().ok();
        let plain = BookText { authors: vec!["A".into(), "B".into()], year: Some(2000), ..text() };
        let used = |sku: &str| BookText { isbn, sku: sku.into(), condition: Condition::Good, ..text() };
        let all = [
            plain.clone(),
            BookText { condition: Condition::Good, ..plain },
            BookText { isbn, ..text() },
            used(""),
            BookText { condition: Condition::Fine, ..used("") },
            used("1"),
            used("2"),
        ];
        let identities: std::collections::BTreeSet<String> = all.iter().map(BookText::identity).collect();
        assert_eq!(identities.len(), all.len());
        assert_eq!(all[0].identity(), "T\u{1f}A; B\u{1f}2000");
        assert_eq!(all[2].identity(), "9780306406157");
        assert_eq!(used("1").identity(), BookText { sku: "1".into(), ..text() }.identity());
    }

    #[test]
    fn authors_are_read_as_one_text_or_as_a_list() {
        let read = |json: &str| serde_json::from_str::<BookText>(json).unwrap().authors;
        assert_eq!(read(r#"{"title":"T","topic":"t","author":"Roe, Ada; Doe"}"#), ["Roe, Ada", "Doe"]);
        assert_eq!(read(r#"{"title":"T","topic":"t","author":"Roe; Doe","authors":["Roe","Doe"]}"#), ["Roe", "Doe"]);
        let text = BookText { authors: vec!["Roe".into(), "Doe".into()], ..text() };
        let json = serde_json::to_value(&text).unwrap();
        assert_eq!((&json["author"], &json["authors"]), (&"Roe; Doe".into(), &vec!["Roe", "Doe"].into()));
        assert_eq!(serde_json::from_value::<BookText>(json).unwrap(), text);
    }
}
