//! Reading long lists a page at a time: queries, their limits, and page tokens.
//!
//! A page says where it ends by an opaque token, which leads to the next page. The token holds the position of the last item
//! and a fingerprint of the query, so nothing is remembered between pages, and items that are added meanwhile do not shift
//! the next page.

mod facets;
mod orders;
mod period;
mod query;
mod suggest;

pub use facets::{FacetCount, Facets};
pub use orders::{FoundOrders, OrderPage, OrderQuery, OrderScan};
pub use period::Period;
pub use query::{CheckedQuery, Facet, Filter, Position, Query, Sort, terms};
pub use suggest::{SuggestQuery, Suggestions, TitleSuggestion};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    book::Book,
    error::{Error, Result},
};

/// The most bytes of a page's JSON, whatever texts are on it: 1 MiB. A page that would be longer ends early, with a token that
/// leads on. It has one item at least; none is longer than 80 KiB.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of [`PAGE_BYTES_MAX`] that are kept for what is around the items: names of fields, numbers, and the page token.
const AROUND_ITEMS: usize = 16 << 10;

/// How many of these items, given the bytes of JSON of each, are on one page: one at least, if there is one.
pub(crate) fn fitting(items: impl Iterator<Item = usize>) -> usize {
    fitting_beside(0, items)
}

/// The same beside something else on the page that has so many bytes.
pub(crate) fn fitting_beside(bytes: usize, items: impl Iterator<Item = usize>) -> usize {
    let mut bytes = AROUND_ITEMS + bytes;
    let fits = |(at, item): &(usize, usize)| {
        bytes = bytes.saturating_add(*item).saturating_add(1);
        *at == 0 || bytes <= PAGE_BYTES_MAX
    };
    items.enumerate().take_while(fits).count()
}

/// A page of books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BookPage {
    /// The books, in the order that the query asks for. A page can have fewer than its size although another one follows: its
    /// JSON is at most [`PAGE_BYTES_MAX`] long.
    pub books: Vec<Book>,
    /// Leads to the next page; `None` on the last page.
    pub next_page_token: Option<String>,
    /// How many books are found on all pages, as of this one.
    pub total: u64,
    /// What the query asked to be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
    /// Another spelling of the words, if few books have them and it would find more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}

fn page_size(asked: Option<u32>) -> Result<usize> {
    let size = asked.unwrap_or(Query::PAGE_DEFAULT);
    if !(1..=Query::PAGE_MAX).contains(&size) {
        return Err(Error::invalid("page_size", format!("must be from 1 to {}", Query::PAGE_MAX)));
    }
    Ok(size as usize)
}

/// Ties a token to its query (FNV-1a, 32 bits). It guards against mistakes, not against forgery.
fn fingerprint(about: &str) -> u32 {
    about.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

pub(crate) fn write_token<T: Serialize>(place: &T, about: &str) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!([fingerprint(about), place]).to_string())
}

pub(crate) fn read_token<T: DeserializeOwned>(token: &str, about: &str) -> Result<T> {
    let bad = || Error::invalid("page_token", "is not one that this list gave for this query");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let (mark, place): (u32, T) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if mark == fingerprint(about) { Ok(place) } else { Err(bad()) }
}
