//! The bodies and headers of the public interface that its servers and [`RemoteShop`](super::RemoteShop) share.

use bookstore_core::{Added, Book, Cents};
use http::HeaderName;
use serde::{Deserialize, Serialize};

/// The header, with the value `true`, of an answer to a request that an earlier one had done already.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A change to one book: copies added, or absolute values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
