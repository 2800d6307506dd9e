//! A book's text in one piece of memory: compact to keep, and cheap to copy.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::{fmt, sync::Arc};

use super::{BookText, Condition, Isbn, book_text::names};
use crate::json::{put_number, put_string, put_strings, string_bytes};

/// A [`BookText`] that does not change, in one allocation that clones share.
///
/// A shop keeps the texts of all its books in memory. As a [`BookText`], which is a dozen strings, a text takes several times the
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
    /// The fields in the order of [`Field`], each behind its length, and then the subjects. Of an ISBN there are the digits; what a book
    /// does not have is empty. There is only one way to write each text, so equal texts are equal strings.
    Arc<str>,
);

/// The fields of a text before its subjects.
#[derive(Clone, Copy)]
enum Field {
    Title,
    Author,
    Topic,
    Isbn,
    Year,
    Subtitle,
    Sku,
    Condition,
    Publisher,
    Language,
    Format,
    Description,
}

/// How many fields there are before the subjects.
const FIELDS: usize = Field::Description as usize + 1;

impl Text {
    /// See [`BookText::title`].
    #[must_use]
    pub fn title(&self) -> &str {
        self.field(Field::Title)
    }

    /// The names of the authors with semicolons between them, see [`BookText::author`].
    #[must_use]
    pub fn author(&self) -> &str {
        self.field(Field::Author)
    }

    /// See [`BookText::authors`].
    pub fn authors(&self) -> impl Iterator<Item = &str> {
        names(self.author())
    }

    /// See [`BookText::topic`].
    #[must_use]
    pub fn topic(&self) -> &str {
        self.field(Field::Topic)
    }

    /// See [`BookText::isbn`].
    #[must_use]
    pub fn isbn(&self) -> Option<Isbn> {
        Isbn::from_digits(self.field(Field::Isbn))
    }

    /// See [`BookText::year`].
    #[must_use]
    pub fn year(&self) -> Option<i32> {
        self.field(Field::Year).parse().ok()
    }

    /// See [`BookText::subjects`].
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.fields().skip(FIELDS)
    }

    /// See [`BookText::subtitle`].
    #[must_use]
    pub fn subtitle(&self) -> &str {
        self.field(Field::Subtitle)
    }

    /// See [`BookText::sku`].
    #[must_use]
    pub fn sku(&self) -> &str {
        self.field(Field::Sku)
    }

    /// See [`BookText::condition`].
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.field(Field::Condition).parse().unwrap_or_default()
    }

    /// See [`BookText::publisher`].
    #[must_use]
    pub fn publisher(&self) -> &str {
        self.field(Field::Publisher)
    }

    /// See [`BookText::language`].
    #[must_use]
    pub fn language(&self) -> &str {
        self.field(Field::Language)
    }

    /// See [`BookText::format`].
    #[must_use]
    pub fn format(&self) -> &str {
        self.field(Field::Format)
    }

    /// See [`BookText::description`].
    #[must_use]
    pub fn description(&self) -> &str {
        self.field(Field::Description)
    }

    /// The bytes that it takes in memory: those of its letters, and one or two for each field.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// The most bytes of the JSON of a book with this text.
    pub(crate) fn json_bytes(&self) -> usize {
        /// Names of the fields that are always there, punctuation, the longest numbers.
        const AROUND: usize = 256;
        /// The longest name of another field, with its punctuation.
        const NAME: usize = r#""description":"#.len();
        // The authors are there twice.
        let strings = self.fields().filter(|text| !text.is_empty()).chain(self.authors());
        strings.map(|text| string_bytes(text) + 1 + NAME).sum::<usize>() + AROUND
    }

    fn field(&self, field: Field) -> &str {
        self.fields().nth(field as usize).expect("a text has these fields")
    }

    fn fields(&self) -> Fields<'_> {
        Fields(&self.0)
    }

    /// Serialises its fields into a struct, in one pass over them.
    pub(super) fn serialize_fields<S: SerializeStruct>(&self, to: &mut S) -> Result<(), S::Error> {
        let mut fields = self.fields();
        to.serialize_field("title", fields.next().unwrap_or_default())?;
        let author = fields.next().unwrap_or_default();
        to.serialize_field("author", author)?;
        match author {
            "" => to.skip_field("authors")?,
            author => to.serialize_field("authors", &List(|| names(author)))?,
        }
        to.serialize_field("topic", fields.next().unwrap_or_default())?;
        to.serialize_field("isbn", &fields.next().filter(|isbn| !isbn.is_empty()))?;
        to.serialize_field("year", &fields.next().and_then(|year| year.parse::<i32>().ok()))?;
        for name in OPTIONAL {
            match fields.next().filter(|text| !text.is_empty()) {
                Some(text) => to.serialize_field(name, text)?,
                None => to.skip_field(name)?,
            }
        }
        let subjects = || Fields(fields.0);
        if fields.0.is_empty() { to.skip_field("subjects") } else { to.serialize_field("subjects", &List(subjects)) }
    }

    /// Appends the fields of its JSON, each with a comma before it: what [`Self::serialize_fields`] makes serde write.
    pub(super) fn write_json_fields(&self, to: &mut Vec<u8>) {
        let mut fields = self.fields();
        let mut next = || fields.next().unwrap_or_default();
        to.extend_from_slice(br#","title":"#);
        put_string(to, next());
        to.extend_from_slice(br#","author":"#);
        let author = next();
        put_string(to, author);
        if !author.is_empty() {
            to.extend_from_slice(br#","authors":"#);
            put_strings(to, names(author));
        }
        to.extend_from_slice(br#","topic":"#);
        put_string(to, next());
        to.extend_from_slice(br#","isbn":"#);
        match next() {
            "" => to.extend_from_slice(b"null"),
            isbn => put_string(to, isbn),
        }
        to.extend_from_slice(br#","year":"#);
        match next().parse::<i32>() {
            Ok(year) => put_number(to, year),
            Err(_) => to.extend_from_slice(b"null"),
        }
        for name in OPTIONAL {
            let text = next();
            if !text.is_empty() {
                to.extend_from_slice(br#",""#);
                to.extend_from_slice(name.as_bytes());
                to.extend_from_slice(br#"":"#);
                put_string(to, text);
            }
        }
        if !fields.0.is_empty() {
            to.extend_from_slice(br#","subjects":"#);
            put_strings(to, fields);
        }
    }
}

/// The fields that JSON leaves out where they are empty, in their order behind the year.
const OPTIONAL: [&str; 7] = ["subtitle", "sku", "condition", "publisher", "language", "format", "description"];

/// A list of strings as JSON.
struct List<F>(F);

impl<'a, I: Iterator<Item = &'a str>, F: Fn() -> I> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
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
        // Most fields are short.
        if let Some(&length) = self.0.as_bytes().first().filter(|length| **length < MORE) {
            let (field, rest) = self.0[1..].split_at(usize::from(length));
            self.0 = rest;
            return Some(field);
        }
        let last = self.0.bytes().position(|digit| digit < MORE)?;
        let (length, rest) = self.0.split_at(last + 1);
        let length = length.bytes().rfold(0, |length, digit| (length << 6) | usize::from(digit % MORE));
        let (field, rest) = rest.split_at(length);
        self.0 = rest;
        Some(field)
    }
}

/// The strings may be of any length: [`NewBook::checked`](super::NewBook::checked) has checked those of a shop's books.
impl From<&BookText> for Text {
    fn from(text: &BookText) -> Self {
        let BookText { title, authors: _, topic, isbn, year, subjects, subtitle, sku, condition, .. } = text;
        let BookText { publisher, language, format, description, .. } = text;
        let (author, isbn) = (text.author(), isbn.map(Isbn::digits).unwrap_or_default());
        let year = year.as_ref().map(ToString::to_string).unwrap_or_default();
        let condition = if *condition == Condition::New { "" } else { condition.name() };
        let fields: [&str; FIELDS] =
            [title, &author, topic, &isbn, &year, subtitle, sku, condition, publisher, language, format, description];
        let mut written = String::with_capacity(128 + fields.iter().map(|field| field.len() + 1).sum::<usize>());
        fields.into_iter().chain(subjects.iter().map(String::as_str)).for_each(|field| put(&mut written, field));
        Self(written.into())
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
            authors: text.authors().map(Into::into).collect(),
            topic: text.topic().into(),
            isbn: text.isbn(),
            year: text.year(),
            subjects: text.subjects().map(Into::into).collect(),
            subtitle: text.subtitle().into(),
            sku: text.sku().into(),
            condition: text.condition(),
            publisher: text.publisher().into(),
            language: text.language().into(),
            format: text.format().into(),
            description: text.description().into(),
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
        let mut text = serializer.serialize_struct("BookText", 14)?;
        self.serialize_fields(&mut text)?;
        text.end()
    }
}
