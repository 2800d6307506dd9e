//! From the domain's types to bytes. Lists are written into memory that is reserved for one line each, as nearly all have.

use bookstore_core::{
    Cents, Entries, Executed, Lines, Receipt, Result, Status, Timeline,
    ledger::{Change, Kind},
};
use zerocopy::{FromZeros as _, Immutable, IntoBytes, little_endian::U32};

use super::command::OrderCommand;
use super::records::{
    ANY_PRICE, AnswerRecord, BatchEnd, CallLine, CallRecord, ChangeLine, EntryRecord, PageRecord, SoldLine,
    TimelineRecord,
};

/// Appends a record.
fn put(to: &mut Vec<u8>, record: &(impl IntoBytes + Immutable)) {
    to.extend_from_slice(record.as_bytes());
}

/// A length as it is written.
///
/// # Panics
/// Beyond `u32::MAX`: bodies are limited to a few MiB long before.
pub(super) fn count(len: usize) -> U32 {
    U32::new(u32::try_from(len).expect("no body is so long"))
}

/// Begins a list of `len` items, and reserves `each` bytes for each of them.
fn begin_list(to: &mut Vec<u8>, len: usize, each: usize) {
    to.reserve(size_of::<U32>() + len * each);
    put(to, &count(len));
}

/// Writes the calls of a batch, whose lines are borrowed: a call that is retried is not copied.
pub(crate) fn write_calls<'a>(calls: impl ExactSizeIterator<Item = OrderCommand<&'a Lines>>) -> Vec<u8> {
    let mut to = Vec::new();
    begin_list(&mut to, calls.len(), size_of::<CallRecord>() + size_of::<CallLine>());
    for call in calls {
        let (what, order, lines) = match call {
            OrderCommand::Sell(order, lines) => (0, order, lines.iter()),
            OrderCommand::Release(order) => (1, order, [].iter()),
        };
        put(&mut to, &CallRecord { what, order: order.0.into_bytes(), lines: count(lines.len()) });
        for line in lines {
            let price_cents = line.price_cents.map_or(ANY_PRICE, Cents::get).into();
            put(&mut to, &CallLine { book: line.book.0.into(), quantity: line.quantity.into(), price_cents });
        }
    }
    to
}

/// Writes the answers to a batch, in the order of its calls.
pub(crate) fn write_answers(answers: &[Result<Receipt>]) -> Vec<u8> {
    let mut to = Vec::new();
    begin_list(&mut to, answers.len(), size_of::<AnswerRecord>() + size_of::<SoldLine>());
    for answer in answers {
        match answer {
            Ok(receipt) => write_receipt(&mut to, receipt),
            Err(error) => {
                let executed = u8::from(error.executed() != Executed::No);
                let error = serde_json::to_vec(error).expect("an error is JSON");
                let len = count(error.len());
                put(&mut to, &AnswerRecord { what: 2, replayed: executed, len, ..AnswerRecord::new_zeroed() });
                to.extend_from_slice(&error);
            }
        }
    }
    to
}

/// Writes the answer to a call that succeeded.
fn write_receipt(to: &mut Vec<u8>, Receipt { order, replayed }: &Receipt) {
    if order.details.is_some() || !matches!(order.status, Status::Placed | Status::Cancelled) {
        let order = serde_json::to_vec(order).expect("an order is JSON");
        let (replayed, len) = (u8::from(*replayed), count(order.len()));
        put(to, &AnswerRecord { what: 3, replayed, len, ..AnswerRecord::new_zeroed() });
        return to.extend_from_slice(&order);
    }
    let record = AnswerRecord {
        what: u8::from(order.status == Status::Cancelled),
        replayed: u8::from(*replayed),
        has_cancelled_at: u8::from(order.cancelled_at.is_some()),
        order: order.id.0.into_bytes(),
        total_cents: order.total_cents.get().into(),
        placed_at_ms: order.placed_at.0.into(),
        seq: order.seq.0.into(),
        version: order.version.0.into(),
        cancelled_at_ms: order.cancelled_at.map_or(0, |at| at.0).into(),
        len: count(order.lines.len()),
    };
    put(to, &record);
    for line in &order.lines {
        let unit_price_cents = line.unit_price_cents.get().into();
        put(to, &SoldLine { book: line.book.0.into(), quantity: line.quantity.into(), unit_price_cents });
    }
}

/// Writes a page of the ledger.
pub(crate) fn write_page(page: &Entries) -> Vec<u8> {
    let mut to = Vec::new();
    let record = PageRecord {
        ledger: page.identity.ledger.into_bytes(),
        currency: page.identity.currency.code().as_bytes().try_into().expect("a code has three letters"),
        incarnation: page.incarnation.into_bytes(),
        head: page.head.0.into(),
        has_before: u8::from(page.before.is_some()),
        before: page.before.map_or([0; 32], |before| before.0),
        after: page.after.0,
    };
    put(&mut to, &record);
    begin_list(&mut to, page.identity.timelines.len(), size_of::<TimelineRecord>());
    for Timeline { id, begins_at } in &page.identity.timelines {
        put(&mut to, &TimelineRecord { id: id.into_bytes(), begins_at: begins_at.0.into() });
    }
    begin_list(&mut to, page.batch_ends.len(), size_of::<BatchEnd>());
    page.batch_ends.iter().for_each(|end| put(&mut to, &BatchEnd::new(end.0)));
    begin_list(&mut to, page.entries.len(), size_of::<EntryRecord>() + size_of::<ChangeLine>());
    for entry in &page.entries {
        let text =
            entry.text.as_ref().map(|text| serde_json::to_vec(text).expect("strings are JSON")).unwrap_or_default();
        let details = entry.details.as_ref().map(|details| serde_json::to_vec(details).expect("strings are JSON"));
        let details = details.unwrap_or_default();
        let record = EntryRecord {
            seq: entry.seq.0.into(),
            at_ms: entry.at.0.into(),
            kind: kind_byte(entry.kind),
            has_key: u8::from(entry.key.is_some()),
            key: entry.key.map_or([0; 16], |key| key.0.into_bytes()),
            changes: count(entry.changes.len()),
            text: count(text.len()),
            details: count(details.len()),
        };
        put(&mut to, &record);
        for Change { book, delta, price_cents, stock } in entry.changes.iter().copied() {
            let price_cents = price_cents.get().into();
            put(&mut to, &ChangeLine { book: book.0.into(), delta: delta.into(), price_cents, stock: stock.into() });
        }
        to.extend_from_slice(&text);
        to.extend_from_slice(&details);
    }
    to
}

/// The index of a kind in [`KINDS`](super::records::KINDS).
pub(super) fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Sale => 0,
        Kind::Return => 1,
        Kind::Restock => 2,
        Kind::Reprice => 3,
        Kind::Listing => 4,
        Kind::Timeline => 5,
        Kind::Hold => 6,
        Kind::Confirm => 7,
        Kind::Lapse => 8,
        Kind::Extend => 9,
        Kind::Void => 10,
        Kind::Fulfil => 11,
        Kind::Revise => 12,
        Kind::Withdraw => 13,
        Kind::Relist => 14,
        Kind::Erase => 15,
    }
}
