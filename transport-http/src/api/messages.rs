//! The bodies and headers of the public interface that its servers and [`RemoteShop`](super::RemoteShop) share.

use bookstore_core::{Added, Book, BookText, Cents, Condition, Currency, Error, Isbn, Seq};
use http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize};

/// The header, with the value `true`, of an answer to a request that an earlier one had done already.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A change to one book: copies added, absolute values, fields of its text, or whether it is on sale.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AmendRequest {
    /// Copies to add; negative to take away. Goes alone, needs no `If-Match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stock_delta: Option<i64>,
    /// The new stock; needs `If-Match` with the version that the caller saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stock: Option<u32>,
    /// The new price; needs `If-Match`, `*` will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) price_cents: Option<Cents>,
    /// Whether it can be bought. Goes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) on_sale: Option<bool>,
    /// The version of the text that the caller saw. Goes with the fields below, of which those that are left out stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text_version: Option<Seq>,
    /// The new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    /// The names of the new authors with semicolons between them; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    /// The new authors, all of them; in the place of `author`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) authors: Option<Vec<String>>,
    /// The new topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) topic: Option<String>,
    /// The new ISBN, in any spelling; `null` for none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(super) isbn: Option<Option<String>>,
    /// The new year; `null` for none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub(super) year: Option<Option<i32>>,
    /// The new subjects, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subjects: Option<Vec<String>>,
    /// The new subtitle; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subtitle: Option<String>,
    /// The new article number of the shop; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sku: Option<String>,
    /// New, or used with a grade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) condition: Option<Condition>,
    /// The new publisher; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) publisher: Option<String>,
    /// The new language; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<String>,
    /// The new format, such as `Paperback`; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<String>,
    /// The new description; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
}

/// A field that is there, `null` or not. One that is left out has no value.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl AmendRequest {
    /// Every field of a text.
    pub(super) fn of_text(text: BookText, text_version: Option<Seq>) -> Self {
        let BookText { title, authors, topic, isbn, year, subjects, subtitle, sku, condition, .. } = text;
        let BookText { publisher, language, format, description, .. } = text;
        Self {
            text_version,
            title: Some(title),
            authors: Some(authors),
            topic: Some(topic),
            isbn: Some(isbn.map(Isbn::digits)),
            year: Some(year),
            subjects: Some(subjects),
            subtitle: Some(subtitle),
            sku: Some(sku),
            condition: Some(condition),
            publisher: Some(publisher),
            language: Some(language),
            format: Some(format),
            description: Some(description),
            ..Self::default()
        }
    }

    /// Which fields of a text it has; the authors are one.
    fn text_fields(&self) -> [bool; 13] {
        let Self { title, author, authors, topic, isbn, year, subjects, subtitle, sku, condition, .. } = self;
        let Self { publisher, language, format, description, .. } = self;
        let strings = [title, topic, subtitle, sku, publisher, language, format, description];
        let [title, topic, subtitle, sku, publisher, language, format, description] = strings.map(Option::is_some);
        let authors = author.is_some() || authors.is_some();
        let (isbn, year, subjects) = (isbn.is_some(), year.is_some(), subjects.is_some());
        let condition = condition.is_some();
        [
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
        ]
    }

    /// Whether it has a field of a text.
    pub(super) fn has_text(&self) -> bool {
        self.text_version.is_some() || self.text_fields().contains(&true)
    }

    /// Whether it has all fields of a text, so that the text as it was does not matter.
    pub(super) fn is_whole_text(&self) -> bool {
        !self.text_fields().contains(&false)
    }

    /// The text with these fields, the others as in `before`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the ISBN is none, or if there are authors in two ways.
    pub(super) fn text_over(self, before: BookText) -> Result<BookText, Error> {
        let isbn = match self.isbn {
            Some(isbn) => isbn.as_deref().map_or(Ok(None), Isbn::read)?,
            None => before.isbn,
        };
        Ok(BookText {
            title: self.title.unwrap_or(before.title),
            authors: authors(self.author, self.authors)?.unwrap_or(before.authors),
            topic: self.topic.unwrap_or(before.topic),
            isbn,
            year: self.year.unwrap_or(before.year),
            subjects: self.subjects.unwrap_or(before.subjects),
            subtitle: self.subtitle.unwrap_or(before.subtitle),
            sku: self.sku.unwrap_or(before.sku),
            condition: self.condition.unwrap_or(before.condition),
            publisher: self.publisher.unwrap_or(before.publisher),
            language: self.language.unwrap_or(before.language),
            format: self.format.unwrap_or(before.format),
            description: self.description.unwrap_or(before.description),
        })
    }
}

/// The authors, given as one text or as a list.
///
/// # Errors
/// [`Error::Invalid`] if they are given in both ways, and differ.
pub(super) fn authors(author: Option<String>, authors: Option<Vec<String>>) -> Result<Option<Vec<String>>, Error> {
    match (author, authors) {
        (Some(author), Some(authors)) if author != authors.join("; ") => {
            Err(Error::invalid("authors", "must be the same names as in author, or one of the two be left out"))
        }
        (Some(author), None) => Ok(Some(Some(author).filter(|author| !author.is_empty()).into_iter().collect())),
        (_, authors) => Ok(authors),
    }
}

/// What holds for the whole shop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct ShopInfo {
    /// What all amounts are in: a code of ISO 4217. It never changes.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "USD"))]
    pub(super) currency: Currency,
    /// How many digits of an amount in `…_cents` are behind the decimal point: 1999 is 19.99 with 2, 1999 with 0.
    #[cfg_attr(feature = "openapi", schema(maximum = 3))]
    pub(super) decimals: u8,
}

/// The numbers of the added books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ListedBooks))]
pub(super) struct AddedBooks {
    /// In the order in which the books were given.
    pub(super) listed: Vec<Added>,
}

/// Several books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(super) struct FoundBooks {
    /// In the order in which they were asked for, without those that there are not.
    pub(super) books: Vec<Book>,
}

impl From<AddedBooks> for Vec<Added> {
    fn from(books: AddedBooks) -> Self {
        books.listed
    }
}
