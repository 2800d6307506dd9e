//! A book's text in one piece of memory: compact to keep, and cheap to copy.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::{fmt, sync::Arc};

use super::{BookText, Isbn};
use crate::json::string_bytes;

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
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "BookText")]
pub struct Text(
    /// The fields, each behind its length: title, author, topic, the digits of the ISBN or
    /// nothing, the digits of the year or nothing, and then the subjects. There is only one way to write each text, so equal texts
    /// are equal strings.
    Arc<str>,
);

impl Text {
    /// A text of any strings, of any length; without an ISBN, if that cannot be read. [`NewBook::checked`](super::NewBook::checked) has
    /// checked those of a shop's books.
    pub(crate) fn new<'a>(
        (title, author, topic): (&str, &str, &str),
        isbn: Option<&str>,
        year: Option<i32>,
        subjects: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut fields = String::with_capacity(title.len() + author.len() + topic.len() + 128);
        put(&mut fields, title);
        put(&mut fields, author);
        put(&mut fields, topic);
        let isbn = isbn.and_then(|isbn| Isbn::read(isbn).ok().flatten());
        put(&mut fields, &isbn.map_or_else(String::new, Isbn::digits));
        put(&mut fields, &year.map_or_else(String::new, |year| year.to_string()));
        subjects.for_each(|subject| put(&mut fields, subject));
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
    pub fn isbn(&self) -> Option<Isbn> {
        Isbn::from_digits(self.field(3))
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

    /// The bytes that it takes in memory: those of its letters, and one or two for each field.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The most bytes of the JSON of a book with this text.
    pub(crate) fn json_bytes(&self) -> usize {
        /// Names of the fields, punctuation, the longest numbers.
        const AROUND: usize = 256;
        let strings = [self.title(), self.author(), self.topic()].into_iter().chain(self.subjects());
        strings.map(|text| string_bytes(text) + 1).sum::<usize>() + AROUND
    }

    fn field(&self, n: usize) -> &str {
        self.fields().nth(n).expect("a text has these fields")
    }

    fn fields(&self) -> Fields<'_> {
        Fields(&self.0)
    }

    /// Serialises its fields into a struct, in one pass over them.
    pub(super) fn serialize_fields<S: SerializeStruct>(&self, to: &mut S) -> Result<(), S::Error> {
        let mut fields = self.fields();
        for name in ["title", "author", "topic"] {
            to.serialize_field(name, fields.next().unwrap_or_default())?;
        }
        to.serialize_field("isbn", &fields.next().filter(|isbn| !isbn.is_empty()))?;
        to.serialize_field("year", &fields.next().and_then(|year| year.parse::<i32>().ok()))?;
        if fields.0.is_empty() { to.skip_field("subjects") } else { to.serialize_field("subjects", &fields) }
    }
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
        Self::new((title, author, topic), isbn.map(Isbn::digits).as_deref(), *year, subjects.iter().map(String::as_str))
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
            isbn: text.isbn(),
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
        let mut text = serializer.serialize_struct("BookText", 6)?;
        self.serialize_fields(&mut text)?;
        text.end()
    }
}

/// A list of strings.
impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(Fields(self.0))
    }
}
