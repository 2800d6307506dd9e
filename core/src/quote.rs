//! What a purchase would cost now, and what of it is short, before anything is bought.

use serde::{Deserialize, Serialize};

use crate::{
    book::Book,
    error::{Error, Result},
    id::BookId,
    money::Cents,
    request::{Line, Lines},
    service::CatalogService,
};

/// What lines cost and what of them is short. It binds nobody: the next purchase may change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quote {
    /// The lines, sorted by book, each book once.
    pub lines: Vec<QuotedLine>,
    /// What all copies that are asked for cost together, in cents, whether there are enough or not.
    pub total_cents: Cents,
    /// Whether every line has enough copies.
    pub in_stock: bool,
}

/// One line of a [`Quote`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QuotedLine {
    /// Which book.
    pub book: BookId,
    /// Copies that are asked for.
    pub quantity: u32,
    /// The price of one copy now, in cents.
    pub unit_price_cents: Cents,
    /// Copies that can be bought now.
    pub stock: u32,
    /// Copies that are asked for and not there.
    pub short: u32,
}

impl Quote {
    /// Asks a catalog for the books of `lines`.
    ///
    /// # Errors
    /// - [`Error::BookNotFound`] for the first book that there is not, [`Error::BookWithdrawn`] for the first one that is not on sale.
    /// - [`Error::Invalid`] in `lines` for a total above [`Cents::MAX`].
    pub async fn ask(catalog: &(impl CatalogService + ?Sized), lines: &Lines) -> Result<Self> {
        let books = catalog.books(lines.iter().map(|line| line.book).collect()).await?;
        let quoted = lines.iter().zip(books).map(|(line, book)| {
            let Line { book: id, quantity, .. } = *line;
            let Book { price_cents, stock, on_sale, .. } = book.ok_or(Error::BookNotFound { book: id })?;
            if !on_sale {
                return Err(Error::BookWithdrawn { book: id });
            }
            let short = quantity.saturating_sub(stock);
            Ok(QuotedLine { book: id, quantity, unit_price_cents: price_cents, stock, short })
        });
        let quoted = quoted.collect::<Result<Vec<_>>>()?;
        let total = Cents::total(quoted.iter().map(|line| (line.unit_price_cents, line.quantity)));
        let total_cents = total.ok_or_else(|| Error::invalid("lines", "the total is too large an amount"))?;
        Ok(Self { in_stock: quoted.iter().all(|line| line.short == 0), lines: quoted, total_cents })
    }
}
