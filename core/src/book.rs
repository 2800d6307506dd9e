//! Books: their texts, prices and stock, and how a shop adds and changes them.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};

use crate::{error::Error, id::Seq, json::put_number, money::Cents};

mod book_text;
mod condition;
mod isbn;
mod normal;
mod text;

pub use crate::id::BookId;
pub use book_text::BookText;
pub use condition::Condition;
pub use isbn::Isbn;
pub(crate) use normal::normal;
pub use text::Text;

/// A book as clients see it: its text, its price and stock, and whether it is on sale. The ledger changes all of them.
///
/// In JSON the fields of the text stand beside the others, without a level of their own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Book {
    /// Its number in this catalog.
    pub id: BookId,
    /// Title, author, topic and so on; clones share it.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = BookText))]
    pub text: Text,
    /// The price of one copy, in cents.
    pub price_cents: Cents,
    /// Copies that can be bought now.
    pub stock: u32,
    /// The number of the ledger entry that last changed anything of it: the book's `ETag`, and the `version` of [`Amend::Set`].
    pub version: Seq,
    /// The number of the ledger entry that its text is from: its listing, or the last [`Amend::Revise`]. Sales do not move it.
    pub text_version: Seq,
    /// Whether it can be bought. A book that is not on sale is in no list.
    pub on_sale: bool,
}

impl Book {
    /// Appends its JSON, byte for byte as serde writes it, in less than half of its time: showing a book is what a shop does most.
    pub fn write_json(&self, to: &mut Vec<u8>) {
        let Self { id, text, price_cents, stock, version, text_version, on_sale } = self;
        to.extend_from_slice(br#"{"id":"#);
        put_number(to, id.0);
        text.write_json_fields(to);
        to.extend_from_slice(br#","price_cents":"#);
        put_number(to, price_cents.get());
        to.extend_from_slice(br#","stock":"#);
        put_number(to, *stock);
        to.extend_from_slice(br#","version":"#);
        put_number(to, version.0);
        to.extend_from_slice(br#","text_version":"#);
        put_number(to, text_version.0);
        let rest: &[u8] = if *on_sale { br#","on_sale":true}"# } else { br#","on_sale":false}"# };
        to.extend_from_slice(rest);
    }
}

/// Field by field: `serde(flatten)` takes twice as long.
impl Serialize for Book {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, text, price_cents, stock, version, text_version, on_sale } = self;
        let mut book = serializer.serialize_struct("Book", 20)?;
        book.serialize_field("id", id)?;
        text.serialize_fields(&mut book)?;
        book.serialize_field("price_cents", price_cents)?;
        book.serialize_field("stock", stock)?;
        book.serialize_field("version", version)?;
        book.serialize_field("text_version", text_version)?;
        book.serialize_field("on_sale", on_sale)?;
        book.end()
    }
}

/// A book to be added to the catalog.
///
/// ```
/// use bookstore_core::{BookText, Cents, NewBook};
///
/// # fn main() -> bookstore_core::Result<()> {
/// let text = BookText { title: "Readings  in Databases ".into(), topic: "databases".into(), ..BookText::default() };
/// let book = NewBook { text, price_cents: Cents::new(4900)?, stock: 10 };
/// assert_eq!(book.checked()?.text.title, "Readings in Databases");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewBook {
    /// Title, author, topic and so on.
    #[serde(flatten)]
    pub text: BookText,
    /// The price of one copy, in cents.
    pub price_cents: Cents,
    /// Copies to begin with, at most [`NewBook::STOCK_MAX`].
    pub stock: u32,
}

impl NewBook {
    /// The most copies of one book that a shop can hold.
    pub const STOCK_MAX: u32 = 1_000_000_000;

    /// The book with all texts in their normal form, see [`BookText`].
    ///
    /// Everything that takes in a book MUST call it before the book's [identity](BookText::identity) is asked for.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the first field that is outside its limits.
    pub fn checked(self) -> Result<Self, Error> {
        if self.stock > Self::STOCK_MAX {
            return Err(Error::invalid("stock", format!("must be at most {}", Self::STOCK_MAX)));
        }
        Ok(Self { text: self.text.checked()?, ..self })
    }
}

/// The answer to adding one book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Listed))]
pub struct Added {
    /// The book's number.
    pub id: BookId,
    /// False if the catalog had the same book already: then nothing was changed.
    pub created: bool,
}

/// A topic and how many books it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Topic {
    /// Its name, spelled as in the first book that has it.
    pub topic: String,
    /// Books that have it, sold-out ones included.
    pub books: u64,
}

/// A change to one book, as [`CatalogService::amend`](crate::CatalogService::amend) takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "amend")]
pub enum Amend {
    /// Adds copies, or takes copies away, but never more than there are. It needs no version: it is right whatever was
    /// sold meanwhile.
    StockDelta {
        /// Copies to add; negative to take away.
        delta: i64,
    },
    /// Sets price, stock or both, on condition that the book is still as the caller saw it.
    Set {
        /// The new price, if it is to change.
        price_cents: Option<Cents>,
        /// The new stock, if it is to change.
        stock: Option<u32>,
        /// The [`Book::version`] that the caller saw. `None` accepts any version; it is allowed for a price alone, since a
        /// stock set without it would undo the sales in between.
        version: Option<Seq>,
    },
    /// Replaces the text, on condition that it is still the one that the caller saw. Sales meanwhile do not matter.
    Revise {
        /// The whole new text.
        text: Box<BookText>,
        /// The [`Book::text_version`] that the caller saw. It must be given.
        text_version: Option<Seq>,
    },
    /// Takes the book off sale. If it is already, nothing changes.
    Withdraw,
    /// Puts a withdrawn book on sale again. If it is already, nothing changes.
    Relist,
}

impl Amend {
    /// The change with its texts in their normal form, see [`BookText`].
    ///
    /// Everything that takes in a change MUST call it before it is decided.
    ///
    /// # Errors
    /// - [`Error::Invalid`] naming the first field of a new text that is outside its limits.
    pub fn checked(self) -> Result<Self, Error> {
        Ok(match self {
            Self::Revise { text, text_version } => Self::Revise { text: Box::new(text.checked()?), text_version },
            other => other,
        })
    }
}
