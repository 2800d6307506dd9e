//! A book's text in one piece of memory: compact to keep, cheap to copy, and quick to write as JSON.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use std::{fmt, sync::Arc};

use super::BookText;

/// A [`BookText`] that does not change, in one allocation that clones share.
///
/// A shop keeps the texts of all its books in memory. As a [`BookText`], which is up to ten strings, a text takes several times the
/// memory of its letters, and is copied and dropped string by string. The price: each accessor passes over the fields before its
/// own.
///
/// In JSON it is the same as a [`BookText`].
///
/// ```
/// use bookstore_core::{BookText, Text};
///
/// let text = Text::from(BookText { title: "SICP".into(), topic: "Lisp".into(), year: Some(1985), ..BookText::default() });
/// assert_eq!((text.title(), text.topic(), text.year(), text.isbn()), ("SICP", "Lisp", Some(1985), None));
/// assert_eq!(BookText::from(&text).title, "SICP");
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "BookText")]
pub struct Text(
    /// [`PLAIN`] or [`ESCAPED`], and then the fields, each behind its length: title, author, topic, the ISBN behind [`ISBN`] or
    /// nothing, the digits of the year or nothing, and then the subjects. There is only one way to write each text, so equal texts
    /// are equal strings.
    Arc<str>,
);

/// Marks a text without letters that JSON escapes.
const PLAIN: &str = "p";
/// Marks a text with letters that JSON escapes.
const ESCAPED: &str = "e";
/// Stands before an ISBN, so that an empty one is not the same as none.
const ISBN: char = '=';

impl Text {
    /// A text of any strings, of any length. [`NewBook::check`](super::NewBook::check) has checked those of a shop's books.
    pub(crate) fn new<'a>(
        (title, author, topic): (&str, &str, &str),
        isbn: Option<&str>,
        year: Option<i32>,
        subjects: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut fields = String::with_capacity(title.len() + author.len() + topic.len() + 128);
        fields.push_str(PLAIN);
        put(&mut fields, title);
        put(&mut fields, author);
        put(&mut fields, topic);
        put(&mut fields, &isbn.map_or_else(String::new, |isbn| format!("{ISBN}{isbn}")));
        put(&mut fields, &year.map_or_else(String::new, |year| year.to_string()));
        subjects.for_each(|subject| put(&mut fields, subject));
        if !Fields(&fields[PLAIN.len()..]).all(is_plain) {
            fields.replace_range(..PLAIN.len(), ESCAPED);
        }
        Self(fields.into())
    }

    /// See [`BookText::title`].
    #[must_use]
    pub fn title(&self) -> &str {
        self.field(0)
    }

    /// See [`BookText::author`].
    #[must_use]
    pub fn author(&self) -> &str {
        self.field(1)
    }

    /// See [`BookText::topic`].
    #[must_use]
    pub fn topic(&self) -> &str {
        self.field(2)
    }

    /// See [`BookText::isbn`].
    #[must_use]
    pub fn isbn(&self) -> Option<&str> {
        self.field(3).strip_prefix(ISBN)
    }

    /// See [`BookText::year`].
    #[must_use]
    pub fn year(&self) -> Option<i32> {
        self.field(4).parse().ok()
    }

    /// See [`BookText::subjects`].
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.fields().skip(5)
    }

    /// The bytes that it takes in memory: those of its letters, one or two for each field, and one for the whole.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    fn field(&self, n: usize) -> &str {
        self.fields().nth(n).expect("a text has these fields")
    }

    fn fields(&self) -> Fields<'_> {
        Fields(&self.0[PLAIN.len()..])
    }

    /// Appends its fields as JSON, without braces: the same bytes that serde writes. Nearly all texts have nothing to escape; these
    /// are copied without a look at their letters.
    pub fn write_json(&self, json: &mut Vec<u8>) {
        let mut fields = self.fields();
        for name in [r#""title":"#, r#","author":"#, r#","topic":"#] {
            self.write_string(json, name, fields.next().unwrap_or_default());
        }
        match fields.next().unwrap_or_default().strip_prefix(ISBN) {
            Some(isbn) => self.write_string(json, r#","isbn":"#, isbn),
            None => json.extend_from_slice(br#","isbn":null"#),
        }
        json.extend_from_slice(br#","year":"#);
        let year = fields.next().filter(|year| !year.is_empty());
        json.extend_from_slice(year.unwrap_or("null").as_bytes());
        let mut before = r#","subjects":["#;
        for subject in fields {
            self.write_string(json, before, subject);
            before = ",";
        }
        if before == "," {
            json.push(b']');
        }
    }

    fn write_string(&self, json: &mut Vec<u8>, before: &str, string: &str) {
        json.extend_from_slice(before.as_bytes());
        if self.0.starts_with(PLAIN) {
            json.push(b'"');
            json.extend_from_slice(string.as_bytes());
            json.push(b'"');
        } else {
            serde_json::to_writer(json, string).expect("a string is JSON, and a Vec takes all");
        }
    }
}

/// Whether JSON writes a string without escapes.
fn is_plain(string: &str) -> bool {
    string.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

/// The bit of a digit that says that another digit follows. A digit has six bits, and the lowest digit comes first.
const MORE: u8 = 1 << 6;

/// Appends the length of a field in bytes, each digit as one ASCII character, and then the field.
fn put(fields: &mut String, field: &str) {
    let mut length = field.len();
    let digit = |length: usize| length.to_le_bytes()[0] % MORE;
    while length >= usize::from(MORE) {
        fields.push(char::from(digit(length) | MORE));
        length >>= 6;
    }
    fields.push(char::from(digit(length)));
    fields.push_str(field);
}

/// Reads the fields that [`put`] has appended.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let last = self.0.bytes().position(|digit| digit < MORE)?;
        let (length, rest) = self.0.split_at(last + 1);
        let length = length.bytes().rfold(0, |length, digit| (length << 6) | usize::from(digit % MORE));
        let (field, rest) = rest.split_at(length);
        self.0 = rest;
        Some(field)
    }
}

impl From<&BookText> for Text {
    fn from(BookText { title, author, topic, isbn, year, subjects }: &BookText) -> Self {
        Self::new((title, author, topic), isbn.as_deref(), *year, subjects.iter().map(String::as_str))
    }
}

impl From<BookText> for Text {
    fn from(text: BookText) -> Self {
        Self::from(&text)
    }
}

impl From<&Text> for BookText {
    fn from(text: &Text) -> Self {
        Self {
            title: text.title().into(),
            author: text.author().into(),
            topic: text.topic().into(),
            isbn: text.isbn().map(Into::into),
            year: text.year(),
            subjects: text.subjects().map(Into::into).collect(),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BookText::from(self).fmt(f)
    }
}

/// The JSON of a [`BookText`].
impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let subjects: Vec<&str> = self.subjects().collect();
        let mut text = serializer.serialize_struct("BookText", 5 + usize::from(!subjects.is_empty()))?;
        text.serialize_field("title", self.title())?;
        text.serialize_field("author", self.author())?;
        text.serialize_field("topic", self.topic())?;
        text.serialize_field("isbn", &self.isbn())?;
        text.serialize_field("year", &self.year())?;
        if subjects.is_empty() {
            text.skip_field("subjects")?;
        } else {
            text.serialize_field("subjects", &subjects)?;
        }
        text.end()
    }
}
