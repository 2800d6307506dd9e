//! From bytes to the domain's types. Every value is checked as if it came in JSON.

use bookstore_core::{
    BookId, Cents, Entries, Entry, Error, InlineList, LedgerIdentity, Line, Lines, Order, OrderId, OrderLine, Receipt,
    Result, Seq, Status, Timeline, Timestamp,
    history::Hash,
    ledger::{Change, LedgerId},
};
use serde::Deserialize;
use uuid::Uuid;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned, little_endian::U32};

use super::command::OrderCommand;
use super::records::{
    ANY_PRICE, AnswerRecord, BatchEnd, CallLine, CallRecord, ChangeLine, EntryRecord, KINDS, MEDIA_TYPE, PageRecord,
    SoldLine, TimelineRecord,
};

/// Something that a body in this form can be read into.
pub(crate) trait FromCompact: Sized {
    /// Reads from the beginning of `from` and leaves there what follows.
    ///
    /// An implementation MUST allocate at most in proportion to the length of `from`.
    ///
    /// # Errors
    /// - [`Error::Malformed`] if the bytes are not in this form.
    /// - [`Error::Invalid`] if a value is outside its limits, as in any form.
    fn take(from: &mut &[u8]) -> Result<Self>;
}

/// Reads all of `bytes`.
///
/// # Errors
/// - [`Error::Malformed`] if the bytes are not in this form, or go on after its end.
/// - [`Error::Invalid`] if a value is outside its limits.
pub(crate) fn read<T: FromCompact>(mut bytes: &[u8]) -> Result<T> {
    let value = T::take(&mut bytes)?;
    if bytes.is_empty() { Ok(value) } else { Err(broken("it goes on after its end")) }
}

/// A body that is not in this form.
fn broken(what: &str) -> Error {
    Error::malformed(format!("this is not {MEDIA_TYPE:?}: {what}"))
}

/// Takes a record, in place.
fn take<'a, T: FromBytes + KnownLayout + Immutable + Unaligned>(from: &mut &'a [u8]) -> Result<&'a T> {
    let (record, rest) = T::ref_from_prefix(from).map_err(|_| broken("it is too short"))?;
    *from = rest;
    Ok(record)
}

/// Takes `count` records of one kind.
fn take_slice<'a, T: FromBytes + Immutable + Unaligned>(from: &mut &'a [u8], count: U32) -> Result<&'a [T]> {
    let taken = <[T]>::ref_from_prefix_with_elems(from, count.get() as usize);
    let (slice, rest) = taken.map_err(|_| broken("it is too short"))?;
    *from = rest;
    Ok(slice)
}

/// Takes the `count` lines of a record.
fn take_lines<'a, L: FromBytes + Immutable + Unaligned + 'a, T, Ls: FromIterator<T>>(
    from: &mut &'a [u8],
    count: U32,
    line: impl Fn(&L) -> Result<T>,
) -> Result<Ls> {
    take_slice(from, count)?.iter().map(line).collect()
}

/// Takes a list whose items each begin with a record `R`: by its size the memory is limited, whatever length the list claims.
fn take_list<R, T>(from: &mut &[u8], item: impl Fn(&mut &[u8]) -> Result<T>) -> Result<Vec<T>> {
    let count = take::<U32>(from)?.get() as usize;
    let mut items = Vec::with_capacity(count.min(from.len() / size_of::<R>()));
    for _ in 0..count {
        items.push(item(from)?);
    }
    Ok(items)
}

/// Reads a byte that is 0 or 1.
fn flag(byte: u8) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(broken("a flag is neither 0 nor 1")),
    }
}

/// The calls of a batch.
impl FromCompact for Vec<OrderCommand> {
    fn take(from: &mut &[u8]) -> Result<Self> {
        take_list::<CallRecord, _>(from, take_call)
    }
}

fn take_call(from: &mut &[u8]) -> Result<OrderCommand> {
    let call: &CallRecord = take(from)?;
    let lines: InlineList<Line> = take_lines(from, call.lines, |CallLine { book, quantity, price_cents }| {
        let price_cents = Some(price_cents.get()).filter(|&cents| cents != ANY_PRICE).map(Cents::new).transpose()?;
        Ok(Line { book: BookId(book.get()), quantity: quantity.get(), price_cents })
    })?;
    let order = OrderId(Uuid::from_bytes(call.order));
    match call.what {
        0 => Ok(OrderCommand::Sell(order, Lines::new(lines)?)),
        1 => Ok(OrderCommand::Release(order)),
        _ => Err(broken("a call is neither of the two")),
    }
}

/// The answers to a batch, in the order of its calls.
impl FromCompact for Vec<Result<Receipt>> {
    fn take(from: &mut &[u8]) -> Result<Self> {
        take_list::<AnswerRecord, _>(from, take_answer)
    }
}

/// The answer to one call. The outer error is about the bytes, the inner one is the server's.
pub(super) fn take_answer(from: &mut &[u8]) -> Result<Result<Receipt>> {
    let answer: &AnswerRecord = take(from)?;
    let status = match answer.what {
        0 => Status::Placed,
        1 => Status::Cancelled,
        2 => {
            let executed = flag(answer.replayed)?;
            let error = take_slice(from, answer.len)?;
            return Ok(Err(serde_json::from_slice(error).unwrap_or_else(|_| foreign(error, executed))));
        }
        3 => {
            let order = serde_json::from_slice(take_slice(from, answer.len)?);
            let order = order.map_err(|_| broken("an order cannot be read"))?;
            return Ok(Ok(Receipt { order, replayed: flag(answer.replayed)? }));
        }
        _ => return Err(broken("an answer is none of the four")),
    };
    let lines = take_lines(from, answer.len, |SoldLine { book, quantity, unit_price_cents }| {
        let unit_price_cents = Cents::new(unit_price_cents.get())?;
        Ok(OrderLine { book: BookId(book.get()), quantity: quantity.get(), unit_price_cents })
    })?;
    let order = Order {
        id: OrderId(Uuid::from_bytes(answer.order)),
        status,
        lines,
        total_cents: Cents::new(answer.total_cents.get())?,
        placed_at: Timestamp(answer.placed_at_ms.get()),
        seq: Seq(answer.seq.get()),
        version: Seq(answer.version.get()),
        details: None,
        cancelled_at: flag(answer.has_cancelled_at)?.then(|| Timestamp(answer.cancelled_at_ms.get())),
    };
    Ok(Ok(Receipt { order, replayed: flag(answer.replayed)? }))
}

/// An error that this program does not know, from a newer server. `may_be_executed` is what the server says of the call.
fn foreign(error: &[u8], may_be_executed: bool) -> Error {
    #[derive(Deserialize)]
    struct Coded<'a> {
        code: &'a str,
    }
    let code = serde_json::from_slice::<Coded<'_>>(error).map_or("without a code", |coded| coded.code);
    let why = format!("the server answered with the error {code}, which only a newer version knows: upgrade this one");
    if may_be_executed { Error::unknown(why) } else { Error::unavailable(why) }
}

/// A page of the ledger.
impl FromCompact for Entries {
    fn take(from: &mut &[u8]) -> Result<Self> {
        let page: &PageRecord = take(from)?;
        let before = flag(page.has_before)?.then_some(Hash(page.before));
        let timelines = take_list::<TimelineRecord, _>(from, |from| {
            let TimelineRecord { id, begins_at } = take(from)?;
            Ok(Timeline { id: Uuid::from_bytes(*id), begins_at: Seq(begins_at.get()) })
        })?;
        let currency = str::from_utf8(&page.currency).ok().and_then(|code| code.parse().ok());
        let currency = currency.ok_or_else(|| broken("its currency is none of ISO 4217"))?;
        let identity = LedgerIdentity { ledger: LedgerId::from_bytes(page.ledger), currency, timelines };
        let (incarnation, head) = (Uuid::from_bytes(page.incarnation), Seq(page.head.get()));
        let batch_ends = take_list::<BatchEnd, _>(from, |from| Ok(Seq(take::<BatchEnd>(from)?.get())))?;
        let entries = take_list::<EntryRecord, _>(from, take_entry)?;
        Ok(Self { identity, incarnation, head, before, entries, batch_ends, after: Hash(page.after) })
    }
}

fn take_entry(from: &mut &[u8]) -> Result<Entry> {
    let entry: &EntryRecord = take(from)?;
    let changes = take_lines(from, entry.changes, |ChangeLine { book, delta, price_cents, stock }| {
        let price_cents = Cents::new(price_cents.get())?;
        Ok(Change { book: BookId(book.get()), delta: delta.get(), price_cents, stock: stock.get() })
    })?;
    let text = match take_slice::<u8>(from, entry.text)? {
        [] => None,
        text => Some(serde_json::from_slice(text).map_err(|_| broken("an entry's text cannot be read"))?),
    };
    let details = match take_slice::<u8>(from, entry.details)? {
        [] => None,
        details => Some(serde_json::from_slice(details).map_err(|_| broken("an entry's details cannot be read"))?),
    };
    Ok(Entry {
        seq: Seq(entry.seq.get()),
        at: Timestamp(entry.at_ms.get()),
        kind: KINDS
            .get(usize::from(entry.kind))
            .copied()
            .ok_or_else(|| broken("an entry is of a kind that only a newer version knows: upgrade this one"))?,
        key: flag(entry.has_key)?.then(|| OrderId(Uuid::from_bytes(entry.key))),
        changes,
        text,
        details,
    })
}
