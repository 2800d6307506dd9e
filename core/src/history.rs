//! What a ledger knows of its own history: its timelines, and a hash over all of its entries.
//!
//! Two servers that have the same hash at the same entry have the same entries up to there. A ledger that was restored from a backup
//! goes on under a new [`Timeline`], so that what follows it can tell a newer history from another one. The word, and the idea, are
//! PostgreSQL's.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Borrow, fmt, str::FromStr};
use uuid::Uuid;

use crate::{
    book::{Condition, Text},
    error::{Error, Result},
    id::{LedgerId, Seq},
    ledger::{Change, Details, Entry, Kind},
    money::Currency,
};

/// The hash of a ledger up to an entry: 32 bytes, in text 64 hexadecimal digits.
///
/// It runs over batches: the hash after a batch is BLAKE3 over the hash before it and the batch's entries. Within a batch it is the
/// same over the batch's first entries, so every entry has one. An empty ledger has [`Hash::EMPTY`].
///
/// ```
/// use bookstore_core::history::Hash;
///
/// assert_eq!(Hash::EMPTY.after::<bookstore_core::Entry>([]), Hash::EMPTY);
/// assert_eq!(Hash::EMPTY.to_string().parse(), Ok(Hash::EMPTY));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Default for Hash {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Hash {
    /// The hash of a ledger without entries.
    pub const EMPTY: Self = Self([0; 32]);

    /// The hash after these entries of one batch, if this is the hash before them.
    #[must_use]
    pub fn after<E: Borrow<Entry>>(self, entries: impl IntoIterator<Item = E>) -> Self {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return self;
        }
        // In one piece: many blocks are hashed side by side.
        let mut bytes = Vec::with_capacity(32 + 80 * entries.size_hint().0);
        bytes.extend(self.0);
        for entry in entries {
            write_entry(&mut bytes, entry.borrow());
        }
        Self(*blake3::hash(&bytes).as_bytes())
    }
}

/// An entry as it is hashed: fixed lengths, so that no two entries have the same bytes. It never changes, whatever the file or the
/// wire look like.
fn write_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    let Entry { seq, at, kind, key, changes, text, details } = entry;
    bytes.extend_from_slice(&seq.0.to_le_bytes());
    bytes.extend_from_slice(&at.0.to_le_bytes());
    let flags = (HAS_TEXT * u8::from(text.is_some())) | (HAS_DETAILS * u8::from(details.is_some()));
    bytes.push(kind_number(*kind) | flags);
    bytes.push(u8::from(key.is_some()));
    bytes.extend_from_slice(&key.map_or([0; 16], |key| key.0.into_bytes()));
    bytes.extend_from_slice(&(changes.len() as u64).to_le_bytes());
    for Change { book, delta, price_cents, stock } in changes.iter().copied() {
        bytes.extend_from_slice(&book.0.to_le_bytes());
        bytes.extend_from_slice(&delta.to_le_bytes());
        bytes.extend_from_slice(&price_cents.get().to_le_bytes());
        bytes.extend_from_slice(&stock.to_le_bytes());
    }
    if let Some(text) = text {
        write_text(bytes, text);
    }
    if let Some(details) = details {
        write_details(bytes, details);
    }
}

/// Set in an entry's kind if a text follows.
const HAS_TEXT: u8 = 1 << 7;
/// Set in an entry's kind if details follow.
const HAS_DETAILS: u8 = 1 << 6;

/// Details as they are hashed, in the same way as a text.
fn write_details(bytes: &mut Vec<u8>, details: &Details) {
    let Details { order, expires_at, reference, actor, text_version, withdrawn } = details;
    if let Some(order) = order {
        write_field(bytes, 1, &order.0.into_bytes());
    }
    if let Some(expires_at) = expires_at {
        write_field(bytes, 2, &expires_at.0.to_le_bytes());
    }
    if let Some(reference) = reference {
        write_field(bytes, 3, reference.as_str().as_bytes());
    }
    if let Some(actor) = actor {
        write_field(bytes, 4, actor.as_str().as_bytes());
    }
    if let Some(text_version) = text_version {
        write_field(bytes, 5, &text_version.0.to_le_bytes());
    }
    if *withdrawn {
        write_field(bytes, 6, &[]);
    }
    bytes.push(0);
}

fn write_field(bytes: &mut Vec<u8>, number: u8, field: &[u8]) {
    bytes.push(number);
    bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
    bytes.extend_from_slice(field);
}

/// A text as it is hashed: each field that is there, with its number and its length, and then a zero. So a text of today keeps its
/// hash when texts get more fields.
fn write_text(bytes: &mut Vec<u8>, text: &Text) {
    let mut field = |number: u8, field: &str| write_field(bytes, number, field.as_bytes());
    field(1, text.title());
    field(2, text.author());
    field(3, text.topic());
    if let Some(isbn) = text.isbn() {
        field(4, &isbn.digits());
    }
    if let Some(year) = text.year() {
        field(5, &year.to_string());
    }
    text.subjects().for_each(|subject| field(6, subject));
    let condition = text.condition();
    let condition = if condition == Condition::New { "" } else { condition.name() };
    let later = [text.subtitle(), text.sku(), condition, text.publisher(), text.language(), text.format()];
    for (number, later) in (7..).zip(later.into_iter().chain([text.description()])).filter(|(_, text)| !text.is_empty())
    {
        field(number, later);
    }
    bytes.push(0);
}

/// The hash of a ledger that is followed entry by entry, in pages that end anywhere.
#[derive(Clone, Debug)]
pub(crate) struct RunningHash {
    /// The hash up to the last batch that has ended.
    before: Hash,
    /// The entries since, behind that hash; none if there are none.
    batch: Option<blake3::Hasher>,
}

impl RunningHash {
    /// Begins where a batch has ended.
    pub(crate) fn new(before: Hash) -> Self {
        Self { before, batch: None }
    }

    /// Takes in the next entries of the batch.
    pub(crate) fn take(&mut self, entries: &[Entry]) {
        if entries.is_empty() {
            return;
        }
        let mut bytes = Vec::with_capacity(80 * entries.len());
        entries.iter().for_each(|entry| write_entry(&mut bytes, entry));
        let before = &self.before.0;
        let batch = self.batch.get_or_insert_with(|| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(before);
            hasher
        });
        batch.update(&bytes);
    }

    /// The hash up to the last entry.
    pub(crate) fn hash(&self) -> Hash {
        self.batch.as_ref().map_or(self.before, |batch| Hash(*batch.finalize().as_bytes()))
    }

    /// Ends the batch with the last entry.
    pub(crate) fn end_batch(&mut self) -> Hash {
        *self = Self::new(self.hash());
        self.before
    }

    /// Takes in a page, and checks that its entries are those that its hash is of. Returns the hash after each batch that ends in it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: they are not.
    pub(crate) fn take_page(&mut self, page: &Entries) -> Result<Vec<(Seq, Hash)>> {
        let (mut rest, mut ends) = (page.entries.as_slice(), Vec::with_capacity(page.batch_ends.len()));
        for end in &page.batch_ends {
            let (batch, later) = rest.split_at(rest.partition_point(|entry| entry.seq <= *end));
            self.take(batch);
            ends.push((*end, self.end_batch()));
            rest = later;
        }
        self.take(rest);
        if !page.entries.is_empty() && self.hash() != page.after {
            return Err(Error::unavailable("these entries are not those that the page's hash is of"));
        }
        Ok(ends)
    }
}

/// The number of a kind in hashes and in files. Numbers never change.
pub(crate) fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Sale => 1,
        Kind::Return => 2,
        Kind::Restock => 3,
        Kind::Reprice => 4,
        Kind::Listing => 5,
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
        Kind::Timeline => 16,
    }
}

/// The kind with this number, if this program knows it.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn kind_of(number: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind_number(*kind) == number)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| "64 hexadecimal digits are needed")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A stretch of a ledger's history: from its first entry to its end, or to where the next timeline began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timeline {
    /// Drawn at random when it began.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub id: Uuid,
    /// Its first entry: 1 for the timeline that a ledger is made with, otherwise the number of a [`Kind::Timeline`] entry.
    pub begins_at: Seq,
}

/// Which ledger it is, in which currency, and under which timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerIdentity {
    /// The ledger.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub ledger: LedgerId,
    /// What its amounts are in: a code of ISO 4217. It never changes.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "USD"))]
    pub currency: Currency,
    /// Its timelines, oldest first. The last one is the present one.
    pub timelines: Vec<Timeline>,
}

/// How a history stands to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both are under the same timeline.
    Same,
    /// The other one went on from this one under a newer timeline, which begins at this entry.
    Newer(Seq),
    /// This one went on from the other one.
    Older,
    /// They are two ledgers, or two timelines that both went on from a third.
    Unrelated,
}

impl LedgerIdentity {
    /// A new ledger in US dollars with one timeline.
    #[must_use]
    pub fn new(ledger: LedgerId, timeline: Uuid) -> Self {
        Self { ledger, currency: Currency::USD, timelines: vec![Timeline { id: timeline, begins_at: Seq(1) }] }
    }

    /// The same in this currency.
    #[must_use]
    pub fn in_currency(self, currency: Currency) -> Self {
        Self { currency, ..self }
    }

    /// How `other` stands to this history.
    ///
    /// ```
    /// use bookstore_core::{Seq, history::{LedgerIdentity, Relation, Timeline}};
    /// use uuid::Uuid;
    ///
    /// let before = LedgerIdentity::new(Uuid::from_u128(1), Uuid::from_u128(10));
    /// let mut restored = before.clone();
    /// restored.timelines.push(Timeline { id: Uuid::from_u128(11), begins_at: Seq(7) });
    /// assert_eq!(before.relation(&restored), Relation::Newer(Seq(7)));
    /// assert_eq!(restored.relation(&before), Relation::Older);
    /// ```
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        let (mine, theirs) = (&self.timelines, &other.timelines);
        if self.ledger != other.ledger {
            Relation::Unrelated
        } else if mine == theirs {
            Relation::Same
        } else if let Some([next, ..]) = theirs.strip_prefix(mine.as_slice()) {
            Relation::Newer(next.begins_at)
        } else if mine.starts_with(theirs) {
            Relation::Older
        } else {
            Relation::Unrelated
        }
    }
}

/// As servers show it to each other: `LEDGER CURRENCY`, and then `TIMELINE@BEGIN` for each timeline, all with spaces between them.
impl fmt::Display for LedgerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ledger, self.currency)?;
        self.timelines.iter().try_for_each(|Timeline { id, begins_at }| write!(f, " {id}@{begins_at}"))
    }
}

impl FromStr for LedgerIdentity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::malformed("a ledger's history is LEDGER CURRENCY TIMELINE@BEGIN …");
        let mut words = text.split(' ');
        let ledger = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
        let currency = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
        let timeline = |word: &str| {
            let (id, begins_at) = word.split_once('@')?;
            Some(Timeline { id: id.parse().ok()?, begins_at: Seq(begins_at.parse().ok()?) })
        };
        let timelines = words.map(|word| timeline(word).ok_or_else(bad)).collect::<Result<_>>()?;
        Ok(Self { ledger, currency, timelines })
    }
}

/// Consecutive entries of a ledger, as [`CatalogService::entries`](crate::CatalogService::entries) gives them to followers.
///
/// A follower MUST take them in only if `before` is the hash that it has at the entry that it asked after: otherwise it has followed
/// another history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entries {
    /// Which ledger they are from, under which timeline. A follower MUST NOT mix entries of two ledgers.
    #[serde(flatten)]
    pub identity: LedgerIdentity,
    /// Drawn each time the ledger is opened for writing.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub incarnation: Uuid,
    /// Its last durable entry when this was read.
    pub head: Seq,
    /// The hash up to the entry that was asked after; none if that is beyond the head.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub before: Option<Hash>,
    /// The entries after the `seq` that was asked for, oldest first, without gaps.
    pub entries: Vec<Entry>,
    /// Which of them end a batch. With these a follower can compute the hash by itself.
    pub batch_ends: Vec<Seq>,
    /// The hash up to the last of the entries or, if there are none, up to the head.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub after: Hash,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        id::{BookId, OrderId},
        money::Cents,
    };

    fn entry(seq: u64, delta: i64) -> Entry {
        let change = Change { book: BookId(3), delta, price_cents: Cents::new(1999).unwrap(), stock: 7 };
        Entry {
            seq: Seq(seq),
            at: Timestamp(5),
            kind: Kind::Sale,
            key: Some(OrderId(Uuid::from_u128(9))),
            changes: [change].into(),
            text: None,
            details: None,
        }
    }

    /// Files and other servers hold hashes, so they never change.
    #[test]
    fn the_hash_of_an_entry_never_changes() {
        let hash = Hash::EMPTY.after([&entry(1, -1)]);
        assert_eq!(hash.to_string(), "9443898e8612b2f8953b057af62b96abdf6099e6bb4c3f8f9d52dd9c60248bb6");
    }

    #[test]
    fn another_history_has_another_hash() {
        let [one, two, other] = [entry(1, -1), entry(2, -1), entry(2, -2)];
        let both = Hash::EMPTY.after([&one, &two]);
        assert_ne!(both, Hash::EMPTY.after([&one, &other]));
        assert_ne!(both, Hash::EMPTY.after([&one]).after([&two]), "the batches are part of it");
    }

    #[test]
    fn a_page_may_end_within_a_batch() {
        let entries: Vec<Entry> = (1..=7).map(|seq| entry(seq, -1)).collect();
        let ends = [Hash::EMPTY.after(&entries[..3]), Hash::EMPTY.after(&entries[..3]).after(&entries[3..5])];
        let whole = ends[1].after(&entries[5..]);
        for cut in 0..=7 {
            let mut hash = RunningHash::new(Hash::EMPTY);
            let mut found = Vec::new();
            for part in [&entries[..cut], &entries[cut..]] {
                let batch_ends = part.iter().map(|e| e.seq).filter(|seq| matches!(seq.0, 3 | 5)).collect();
                let last = part.last().map_or(0, |last| usize::try_from(last.seq.0).unwrap());
                let after = match last {
                    0..=3 => Hash::EMPTY.after(&entries[..last]),
                    4..=5 => ends[0].after(&entries[3..last]),
                    _ => ends[1].after(&entries[5..last]),
                };
                let identity = LedgerIdentity::new(Uuid::nil(), Uuid::nil());
                let (incarnation, head, before) = (Uuid::nil(), Seq(7), None);
                let page = Entries { identity, incarnation, head, before, entries: part.to_vec(), batch_ends, after };
                found.extend(hash.take_page(&page).expect("it is the same ledger"));
                let other = Entries { after: Hash([1; 32]), ..page };
                assert!(part.is_empty() || hash.clone().take_page(&other).is_err());
            }
            assert_eq!(found, [(Seq(3), ends[0]), (Seq(5), ends[1])], "cut after {cut}");
            assert_eq!(hash.hash(), whole);
        }
    }

    #[test]
    fn a_text_is_part_of_the_hash() {
        let text = |title: &str, author: &str| {
            Text::from(crate::book::BookText {
                title: title.into(),
                authors: vec![author.into()],
                ..Default::default()
            })
        };
        let with = |text| Hash::EMPTY.after([&Entry { kind: Kind::Listing, text, ..entry(1, 1) }]);
        let hashes = [with(None), with(Some(text("ab", "c"))), with(Some(text("a", "bc")))];
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn kinds_keep_their_numbers() {
        for (number, kind) in [
            (1, Kind::Sale),
            (2, Kind::Return),
            (3, Kind::Restock),
            (4, Kind::Reprice),
            (5, Kind::Listing),
            (6, Kind::Hold),
            (7, Kind::Confirm),
            (8, Kind::Lapse),
            (9, Kind::Extend),
            (10, Kind::Void),
            (11, Kind::Fulfil),
            (12, Kind::Revise),
            (13, Kind::Withdraw),
            (14, Kind::Relist),
            (15, Kind::Erase),
            (16, Kind::Timeline),
        ] {
            assert_eq!((kind_number(kind), kind_of(number)), (number, Some(kind)));
        }
        assert_eq!(kind_of(17), None);
    }

    #[test]
    fn siblings_and_strangers_are_unrelated() {
        let base = LedgerIdentity::new(Uuid::from_u128(1), Uuid::from_u128(10));
        let under = |timeline, seq| {
            let mut identity = base.clone();
            identity.timelines.push(Timeline { id: Uuid::from_u128(timeline), begins_at: Seq(seq) });
            identity
        };
        assert_eq!(under(11, 5).relation(&under(11, 5)), Relation::Same);
        assert_eq!(under(11, 5).relation(&under(12, 5)), Relation::Unrelated);
        let restored = under(11, 5).in_currency("JPY".parse().unwrap());
        assert_eq!(restored.to_string().parse(), Ok(restored));
        assert!(
            "".parse::<LedgerIdentity>().is_err()
                && format!("{} USD 1", base.ledger).parse::<LedgerIdentity>().is_err()
        );
        assert!(base.ledger.to_string().parse::<LedgerIdentity>().is_err(), "it says its currency");
        let stranger = LedgerIdentity::new(Uuid::from_u128(2), Uuid::from_u128(10));
        assert_eq!(base.relation(&stranger), Relation::Unrelated);
    }
}
