//! Deciding a change to a book's price or stock.

use crate::{
    book::{Amend, NewBook},
    error::{Error, Result, Shortage},
    id::{BookId, OrderId},
    ledger::{Change, Entry, Kind},
    money::Cents,
};

use super::{Context, Known, Level, State};

impl State {
    /// Decides a change of one book. With a `key` that did the same before, the book's level now is the answer.
    pub(super) fn amend(
        &mut self,
        book: BookId,
        change: Amend,
        key: Option<OrderId>,
        context: Context<'_>,
    ) -> Result<Level> {
        let (details, Context { now, batch, .. }) = (context.details(), context);
        check_change(change)?;
        let level = self.levels.get(book).ok_or(Error::BookNotFound { book })?;
        match key.and_then(|key| Some((key, self.known(key, batch)?))) {
            Some((_, Known::Entry(entry))) if is_done(book, change, &entry) => return Ok(level),
            Some((order, _)) => return Err(Error::OrderIdReused { order }),
            None => {}
        }
        let (kind, stock, price_cents) = target(book, level, change)?;
        if stock > level.stock {
            self.check_room(book, stock)?;
        }
        let delta = i64::from(stock) - i64::from(level.stock);
        let done = Change { book, delta, price_cents, stock };
        let entry = self.append(kind, key, [done].into(), details, now, batch);
        let version = entry.seq;
        if let Some(key) = key {
            let entry = Box::new(entry.clone());
            self.known.insert(key, Known::Entry(entry));
        }
        if kind == Kind::Reprice {
            batch.repriced.insert(book);
        }
        Ok(Level { stock, price_cents, version })
    }

    /// The stock and the copies that are held may both return to the shelf:
    /// together they stay within what a book may have.
    fn check_room(&self, book: BookId, stock: u32) -> Result<()> {
        let most = NewBook::STOCK_MAX;
        let held = self.holds.copies(book);
        if u64::from(stock) + u64::from(held) <= u64::from(most) {
            return Ok(());
        }
        let message = format!("a book has at most {most} copies, of which {held} are held");
        Err(Error::invalid("stock", message))
    }
}

/// A change that changes nothing is a mistake, not an entry.
fn check_change(change: Amend) -> Result<()> {
    match change {
        Amend::StockDelta { delta: 0 } => Err(Error::invalid("stock_delta", "must not be 0")),
        Amend::Set { price_cents: None, stock: None, .. } => {
            Err(Error::invalid("price_cents", "a change sets the price, the stock, or both"))
        }
        Amend::StockDelta { .. } | Amend::Set { .. } => Ok(()),
    }
}

/// The kind of entry, and the stock and the price after it.
fn target(book: BookId, level: Level, change: Amend) -> Result<(Kind, u32, Cents)> {
    let (price_cents, stock, version) = match change {
        Amend::StockDelta { delta } => return Ok((Kind::Restock, stock_plus(level, book, delta)?, level.price_cents)),
        Amend::Set { price_cents, stock, version } => (price_cents, stock, version),
    };
    if version.is_none() && stock.is_some() {
        return Err(Error::VersionRequired);
    }
    if version.is_some_and(|seen| seen != level.version) {
        return Err(Error::VersionMismatch { book, version: level.version });
    }
    let kind = if price_cents.is_some() { Kind::Reprice } else { Kind::Restock };
    let stock = stock.unwrap_or(level.stock);
    if stock > NewBook::STOCK_MAX {
        return Err(Error::invalid("stock", format!("must be at most {}", NewBook::STOCK_MAX)));
    }
    Ok((kind, stock, price_cents.unwrap_or(level.price_cents)))
}

/// Whether an entry did what a change of `book` asks for. The version does not count: it was right when the entry was made.
fn is_done(book: BookId, change: Amend, entry: &Entry) -> bool {
    let (kind, [done]) = (entry.kind, &entry.changes[..]) else { return false };
    let same = match change {
        Amend::StockDelta { delta } => kind == Kind::Restock && delta == done.delta,
        Amend::Set { price_cents, stock, .. } => {
            let sets = if price_cents.is_some() { Kind::Reprice } else { Kind::Restock };
            let stocked = stock.map_or(done.delta == 0, |stock| stock == done.stock);
            kind == sets && stocked && price_cents.is_none_or(|price| price == done.price_cents)
        }
    };
    same && done.book == book
}

/// The stock after `delta` copies more: 0 to [`NewBook::STOCK_MAX`].
fn stock_plus(level: Level, book: BookId, delta: i64) -> Result<u32> {
    let stock = i64::from(level.stock).checked_add(delta);
    match stock.map(u32::try_from) {
        Some(Ok(stock)) if stock <= NewBook::STOCK_MAX => Ok(stock),
        Some(_) if delta < 0 => Err(Error::out_of_stock([Shortage { book, available: level.stock }])),
        _ => Err(Error::invalid("stock_delta", format!("a book has at most {} copies", NewBook::STOCK_MAX))),
    }
}
