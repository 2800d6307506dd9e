//! How the stores that speak SQL write the numbers, the kinds and the changes of entries.

use crate::{
    history,
    id::BookId,
    inline_list::InlineList,
    ledger::{Change, Details, Kind},
    money::Cents,
};

/// SQL's integers are signed. The numbers that are stored are below 2^63.
pub(super) fn to_i64(value: u64) -> i64 {
    i64::try_from(value).expect("below 2^63")
}

/// The other way. A negative number, which only a damaged store has, becomes 0.
pub(super) fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// The kind with this number.
pub(super) fn kind(number: i64) -> Result<Kind, UnknownKind> {
    u8::try_from(number).ok().and_then(history::kind_of).ok_or(UnknownKind(number))
}

/// A newer program wrote the entry.
#[derive(Debug, thiserror::Error)]
#[error("an entry is of kind {0}, which only a newer version of this program knows: upgrade this one")]
pub(super) struct UnknownKind(i64);

/// Appends `[[book,delta,price_cents,stock],…]` to `text`, with the details behind the last change if there are any.
pub(super) fn write_changes(text: &mut String, changes: &[Change], details: Option<&Details>) {
    let mut number = itoa::Buffer::new();
    let mut before = "[";
    for Change { book, delta, price_cents, stock } in changes {
        text.push_str(before);
        text.push('[');
        text.push_str(number.format(book.0));
        text.push(',');
        text.push_str(number.format(*delta));
        text.push(',');
        text.push_str(number.format(price_cents.get()));
        text.push(',');
        text.push_str(number.format(*stock));
        text.push(']');
        before = ",";
    }
    if let Some(details) = details {
        text.push_str(before);
        text.push_str(&serde_json::to_string(details).expect("details are JSON"));
        before = ",";
    }
    text.push_str(if before == "[" { "[]" } else { "]" });
}

/// Reads what [`write_changes`] wrote; `None` if it is damaged.
pub(super) fn read_changes(text: &str) -> Option<(InlineList<Change>, Option<Box<Details>>)> {
    let Some((changes, details)) = text.split_once('{') else { return Some((read_rows(text)?, None)) };
    let details = serde_json::from_str(&format!("{{{}", details.strip_suffix(']')?)).ok()?;
    let changes = read_rows(&format!("{}]", changes.trim_end_matches(',')))?;
    Some((changes, Some(Box::new(details))))
}

fn read_rows(text: &str) -> Option<InlineList<Change>> {
    let rows: InlineList<(u64, i64, u64, u32)> = serde_json::from_str(text).ok()?;
    let change = |(book, delta, price, stock)| {
        Some(Change { book: BookId(book), delta, price_cents: Cents::new(price).ok()?, stock })
    };
    rows.into_iter().map(change).collect()
}
