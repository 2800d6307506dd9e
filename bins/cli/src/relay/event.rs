//! The events of a ledger: one for each entry, and one when the ledger went back.

use bookstore_core::{
    Clock as _, Entry, Kind, Order, OrderId, Seq, SystemClock, Timestamp,
    history::{LedgerIdentity, Timeline},
};
use bytes::Bytes;
use serde::Serialize;
use uuid::Uuid;

/// Sent when the ledger went on under a newer timeline from before the last event: what was sent from there on is not in it any more.
pub(super) const REWOUND: &str = "ledger.rewound";

/// The type of an entry's event.
fn type_of(entry: &Entry) -> &'static str {
    if entry.is_partial_return() { RETURNED } else { type_of_kind(entry.kind) }
}

/// Some copies of an order came back.
const RETURNED: &str = "order.returned";

/// The type of nearly every event of a kind. A new kind needs a name here, so none is left out unseen.
fn type_of_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Sale => "order.placed",
        Kind::Return => "order.cancelled",
        Kind::Restock => "stock.changed",
        Kind::Reprice => "price.changed",
        Kind::Listing => "book.added",
        Kind::Revise => "book.revised",
        Kind::Withdraw => "book.withdrawn",
        Kind::Relist => "book.relisted",
        Kind::Hold => "order.held",
        Kind::Confirm => "order.confirmed",
        Kind::Lapse => "order.lapsed",
        Kind::Extend => "order.extended",
        Kind::Void => "order.voided",
        Kind::Fulfil => "order.fulfilled",
        Kind::Erase => "order.contact_erased",
        Kind::Timeline => "ledger.timeline",
    }
}

/// Every type of event.
fn types() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(type_of_kind).chain([RETURNED, REWOUND])
}

/// Which events are sent. [`REWOUND`] is sent always: without it a receiver would go on with what is not true any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Types(Vec<&'static str>);

impl Types {
    /// These types; all of them if none is named.
    pub(crate) fn new(names: &[String]) -> Result<Self, String> {
        if names.is_empty() {
            return Ok(Self(types().collect()));
        }
        let known = |name: &String| types().find(|known| known == name);
        let all = || types().collect::<Vec<_>>().join(", ");
        let found = names.iter().map(|name| known(name).ok_or_else(|| format!("{name}: the types are {}", all())));
        found.collect::<Result<_, _>>().map(Self)
    }

    /// Whether an entry is sent.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        self.0.contains(&type_of(entry))
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The `webhook-id`: the same however often it is sent.
    pub(super) id: String,
    pub(super) kind: &'static str,
    /// The whole JSON.
    pub(super) body: Bytes,
}

/// The JSON of an event, as Standard Webhooks recommends it.
#[derive(Serialize)]
struct Body<'a, D> {
    r#type: &'a str,
    timestamp: Timestamp,
    data: D,
}

#[derive(Serialize)]
struct EntryData<'a> {
    ledger: Uuid,
    timeline: Uuid,
    seq: Seq,
    /// The order that the entry begins or changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    /// The order itself, as it is begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    /// As `GET /entries` has it.
    entry: &'a Entry,
}

#[derive(Serialize)]
struct RewoundData {
    ledger: Uuid,
    timeline: Uuid,
    /// The first entry of the new timeline: events from this `seq` on, under earlier timelines, are not in the ledger any more.
    fork: Seq,
    /// The last entry of the earlier timelines that was sent or left out.
    followed: Seq,
}

impl Event {
    /// The event of an entry in a ledger with this history.
    pub(super) fn of_entry(identity: &LedgerIdentity, entry: &Entry) -> Self {
        let (ledger, timeline, seq) = (identity.ledger, timeline_at(identity, entry.seq), entry.seq);
        let data = EntryData { ledger, timeline, seq, order_id: entry.order_id(), order: entry.order(), entry };
        let id = format!("{}_{}_{seq}", ledger.simple(), timeline.simple());
        Self::new(id, type_of(entry), entry.at, data)
    }

    /// The event that says that the ledger went back to before `fork`, when `followed` had been reached.
    pub(super) fn rewound(identity: &LedgerIdentity, fork: Seq, followed: Seq) -> Self {
        let (ledger, timeline) = (identity.ledger, timeline_at(identity, fork));
        let id = format!("{}_{}_{fork}_rewound", ledger.simple(), timeline.simple());
        Self::new(id, REWOUND, SystemClock.now(), RewoundData { ledger, timeline, fork, followed })
    }

    fn new(id: String, kind: &'static str, timestamp: Timestamp, data: impl Serialize) -> Self {
        let body = serde_json::to_vec(&Body { r#type: kind, timestamp, data });
        Self { id, kind, body: body.expect("the domain's types have string keys only").into() }
    }
}

/// The timeline that an entry belongs to.
fn timeline_at(identity: &LedgerIdentity, seq: Seq) -> Uuid {
    let begun = identity.timelines.iter().rev().find(|Timeline { begins_at, .. }| *begins_at <= seq);
    begun.or(identity.timelines.first()).map_or(Uuid::nil(), |timeline| timeline.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookId, Cents, ledger::Change};
    use serde_json::{Value, json};

    fn identity() -> LedgerIdentity {
        let timeline = |id, begins_at| Timeline { id: Uuid::from_u128(id), begins_at: Seq(begins_at) };
        let ledger = LedgerIdentity::new(Uuid::from_u128(1), Uuid::from_u128(2));
        LedgerIdentity { timelines: vec![timeline(2, 1), timeline(3, 5)], ..ledger }
    }

    fn sale(seq: u64) -> Entry {
        let change = Change { book: BookId(3), delta: -2, price_cents: Cents::new(1999).unwrap(), stock: 7 };
        let (seq, at, key) = (Seq(seq), Timestamp(1_700_000_000_000), Some(OrderId(Uuid::from_u128(9))));
        Entry { seq, at, kind: Kind::Sale, key, changes: [change].into(), text: None, details: None }
    }

    #[test]
    fn an_event_has_all_that_the_entry_has() {
        let event = Event::of_entry(&identity(), &sale(4));
        let (one, two, nine) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(9));
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        let data = &body["data"];
        assert_eq!(
            body,
            json!({"type": "order.placed", "timestamp": "2023-11-14T22:13:20.000Z", "data": {
                "ledger": one, "timeline": two, "seq": 4, "order_id": nine, "order": data["order"],
                "entry": {"seq": 4, "at": "2023-11-14T22:13:20.000Z", "kind": "sale", "key": nine,
                    "changes": [{"book": 3, "delta": -2, "price_cents": 1999, "stock": 7}]},
            }})
        );
        assert_eq!((&data["order"]["id"], &data["order"]["total_cents"]), (&json!(nine), &json!(3998)));
    }

    #[test]
    fn an_id_is_the_place_of_the_entry() {
        let id = |seq| Event::of_entry(&identity(), &sale(seq)).id;
        let (one, two, three) = (format!("{:032x}", 1), format!("{:032x}", 2), format!("{:032x}", 3));
        assert_eq!((id(4), id(5)), (format!("{one}_{two}_4"), format!("{one}_{three}_5")));
        // Before the fork an entry keeps its timeline.
        let before = LedgerIdentity { timelines: identity().timelines[..1].to_vec(), ..identity() };
        assert_eq!(Event::of_entry(&before, &sale(4)).id, id(4));
        let rewound = Event::rewound(&identity(), Seq(5), Seq(9));
        assert_eq!(rewound.id, format!("{one}_{three}_5_rewound"));
        let body: Value = serde_json::from_slice(&rewound.body).unwrap();
        assert_eq!((&body["data"]["fork"], &body["data"]["followed"]), (&json!(5), &json!(9)));
    }

    #[test]
    fn types_are_known_ones() {
        let types = |names: &[&str]| Types::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(types(&[]).unwrap().has(&sale(1)) && types(&["order.placed"]).unwrap().has(&sale(1)));
        assert!(!types(&["stock.changed", "ledger.rewound"]).unwrap().has(&sale(1)));
        assert!(types(&["order.placd"]).unwrap_err().contains("order.placed, order.cancelled, stock.changed"));
    }
}
