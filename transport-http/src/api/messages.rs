//! The bodies and headers of the public interface that its servers and [`RemoteShop`](super::RemoteShop) share.

use bookstore_core::{Added, Book, BookText, Cents, Error, Isbn, Seq};
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
    /// The new author; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
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
}

/// A field that is there, `null` or not. One that is left out has no value.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl AmendRequest {
    /// Every field of a text.
    pub(super) fn of_text(text: BookText, text_version: Option<Seq>) -> Self {
        let BookText { title, author, topic, isbn, year, subjects } = text;
        Self {
            text_version,
            title: Some(title),
            author: Some(author),
            topic: Some(topic),
            isbn: Some(isbn.map(Isbn::digits)),
            year: Some(year),
            subjects: Some(subjects),
            ..Self::default()
        }
    }

    /// Whether it has a field of a text.
    pub(super) fn has_text(&self) -> bool {
        let Self { text_version, title, author, topic, isbn, year, subjects, .. } = self;
        let strings = [title, author, topic].into_iter().any(Option::is_some);
        strings || text_version.is_some() || isbn.is_some() || year.is_some() || subjects.is_some()
    }

    /// Whether it has a field of a text and all of them, so that the text as it was does not matter.
    pub(super) fn is_whole_text(&self) -> bool {
        let Self { title, author, topic, isbn, year, subjects, .. } = self;
        let strings = [title, author, topic].into_iter().all(Option::is_some);
        strings && isbn.is_some() && year.is_some() && subjects.is_some()
    }

    /// The text with these fields, the others as in `before`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the ISBN is none.
    pub(super) fn text_over(self, before: BookText) -> Result<BookText, Error> {
        let isbn = match self.isbn {
            Some(isbn) => isbn.as_deref().map_or(Ok(None), Isbn::read)?,
            None => before.isbn,
        };
        Ok(BookText {
            title: self.title.unwrap_or(before.title),
            author: self.author.unwrap_or(before.author),
            topic: self.topic.unwrap_or(before.topic),
            isbn,
            year: self.year.unwrap_or(before.year),
            subjects: self.subjects.unwrap_or(before.subjects),
        })
    }
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
