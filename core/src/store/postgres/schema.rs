//! The tables, in a schema of their own, and how they come about.
//!
//! | table | what it holds |
//! |---|---|
//! | `ledger` | one row: the format, which ledger it is, who writes (`epoch`, `leader`), the last entry, how far the stock snapshot is true |
//! | `entry` | the entries, with texts; the last one of each batch has the hash up to it |
//! | `identity` | what books are and were called, hashed: which two books are the same |
//! | `hold` | the orders that are held |
//! | `contact` | the contacts of orders; one that was erased has no text |
//! | `level` | the stock snapshot |
//! | `member` | the processes that write or wrote, each with a beat that it writes to confirm that it still may |
//! | `kept` | what follows from the ledger and takes long to make again |

use tokio_postgres::Error;
use uuid::Uuid;

use super::{StoreError, session::Session};
use crate::{
    clock::Clock,
    history::LedgerIdentity,
    id::{LedgerId, Seq},
    money::Currency,
    store::encoding::to_u64,
};

/// The format that this program writes. The last step brings a schema there.
pub(super) const VERSION: i32 = 1;

/// Each brings the schema from one format to the next; the first one makes it. A step that is in use never changes.
// `key` and `kind`: a key has one entry of each kind. `order_id`: the order of an entry that has another key. An index row has at most
// 2,704 bytes, and an identity may be longer, so it is hashed.
const STEPS: [&str; VERSION as usize] = ["
    CREATE TABLE bookstore.ledger (
        one smallint PRIMARY KEY CHECK (one = 1),
        software text NOT NULL CHECK (software = 'bookstore'),
        version integer NOT NULL,
        id uuid NOT NULL,
        currency text NOT NULL,
        timelines text NOT NULL,
        superseded text,
        epoch bigint NOT NULL,
        leader uuid,
        incarnation uuid,
        seq bigint NOT NULL,
        applied bigint NOT NULL
    );
    CREATE TABLE bookstore.entry (
        seq bigint PRIMARY KEY,
        at_ms bigint NOT NULL,
        kind smallint NOT NULL,
        key uuid,
        changes text NOT NULL,
        text text,
        order_id uuid,
        reference text,
        hash bytea
    );
    CREATE UNIQUE INDEX entry_key ON bookstore.entry (key, kind) WHERE key IS NOT NULL;
    CREATE INDEX entry_order ON bookstore.entry (order_id, seq) WHERE order_id IS NOT NULL;
    CREATE INDEX entry_reference ON bookstore.entry (reference, seq) WHERE reference IS NOT NULL;
    CREATE INDEX entry_lists ON bookstore.entry (seq) WHERE kind IN (5, 12, 13, 14);
    CREATE TABLE bookstore.identity (hash bytea PRIMARY KEY, book bigint NOT NULL);
    CREATE TABLE bookstore.hold (key uuid PRIMARY KEY);
    CREATE TABLE bookstore.contact (
        order_id uuid PRIMARY KEY,
        version bigint NOT NULL,
        placed_ms bigint NOT NULL,
        text text
    );
    CREATE INDEX contact_version ON bookstore.contact (version);
    CREATE INDEX contact_kept ON bookstore.contact (placed_ms) WHERE text IS NOT NULL;
    CREATE TABLE bookstore.level (row bigint PRIMARY KEY, levels bytea NOT NULL);
    CREATE TABLE bookstore.member (name uuid PRIMARY KEY, beat bigint NOT NULL, seen timestamptz NOT NULL);
    CREATE TABLE bookstore.kept (name text PRIMARY KEY, bytes bytea NOT NULL);
"];

/// Any number that others are unlikely to use: `BOOK` in ASCII.
const ADVISORY_LOCK: i64 = 0x424F_4F4B;

/// What a ledger that is made is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewIds {
    ledger: LedgerId,
    timeline: Uuid,
    currency: Currency,
}

impl NewIds {
    pub(super) fn drawn(clock: &dyn Clock, currency: Currency) -> Self {
        Self { ledger: clock.new_id(), timeline: clock.new_id(), currency }
    }
}

/// Which format a database has: 0 if it has no ledger.
///
/// # Errors
/// - [`StoreError::Unusable`] if the schema is somebody else's.
/// - [`StoreError::TooNew`] if a newer program made it.
pub(super) async fn version(session: &mut Session, name: &str) -> Result<i32, StoreError> {
    let tables = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'bookstore' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
    let tables = session.query(tables, &[]).await?;
    if tables.is_empty() {
        return Ok(0);
    }
    let foreign = || {
        StoreError::Unusable(format!(
            "{name}: its schema \"bookstore\" has tables of another program; give a database of its own (createdb)"
        ))
    };
    let ours = session.query("SELECT version FROM bookstore.ledger WHERE software = 'bookstore'", &[]).await;
    let found: i32 = match ours {
        Ok(rows) => rows.first().and_then(|row| row.try_get(0).ok()).ok_or_else(foreign)?,
        Err(error) if super::session::is_missing(&error) => return Err(foreign()),
        Err(error) => return Err(error.into()),
    };
    if found > VERSION {
        return Err(StoreError::TooNew { path: name.into(), found: found.into(), known: VERSION.into() });
    }
    Ok(found)
}

/// Makes the ledger if there is none, and brings it up to date. Returns the format that it had.
///
/// Nobody else does so meanwhile, and nobody appends: it is one transaction that locks the ledger's row.
///
/// # Errors
/// As [`version`].
pub(super) async fn migrate(session: &mut Session, name: &str, ids: NewIds) -> Result<i32, StoreError> {
    let found = version(session, name).await?;
    if found == VERSION {
        return Ok(found);
    }
    session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")).await?;
    let migrated = migrate_locked(session, name, ids).await;
    let end = if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = session.batch(end).await;
    let found = migrated?;
    ended?;
    Ok(found)
}

async fn migrate_locked(session: &mut Session, name: &str, ids: NewIds) -> Result<i32, StoreError> {
    let found = version(session, name).await?;
    if found == 0 {
        let schema = session.query("SELECT 1 FROM pg_namespace WHERE nspname = 'bookstore'", &[]).await?;
        if schema.is_empty() {
            session.batch("CREATE SCHEMA bookstore").await?;
        }
    } else {
        session.batch("SELECT 1 FROM bookstore.ledger FOR UPDATE").await?;
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        session.batch(step).await?;
    }
    match found {
        0 => insert(session, ids).await?,
        _ => set_version(session).await?,
    }
    Ok(found)
}

async fn insert(session: &mut Session, ids: NewIds) -> Result<(), Error> {
    let identity = LedgerIdentity::new(ids.ledger, ids.timeline).in_currency(ids.currency);
    let timelines = serde_json::to_string(&identity.timelines).expect("timelines are JSON");
    let sql = "INSERT INTO bookstore.ledger (one, software, version, id, currency, timelines, epoch, seq, applied)
        VALUES (1, 'bookstore', $1, $2, $3, $4, 0, 0, 0)";
    session.query(sql, &[&VERSION, &identity.ledger, &identity.currency.code(), &timelines]).await?;
    Ok(())
}

async fn set_version(session: &mut Session) -> Result<(), Error> {
    session.query("UPDATE bookstore.ledger SET version = $1", &[&VERSION]).await?;
    Ok(())
}

/// Which ledger it is, the last entry, and as of which entry the stock snapshot is true.
pub(super) async fn identity(session: &mut Session, name: &str) -> Result<(LedgerIdentity, Seq, Seq), StoreError> {
    let row = session.query_one("SELECT id, currency, timelines, seq, applied FROM bookstore.ledger", &[]).await?;
    let currency: &str = row.get(1);
    let currency = currency.parse().map_err(|_| {
        StoreError::Unusable(format!("{name}: it is in {currency:?}, a currency that this program does not know"))
    })?;
    let timelines = serde_json::from_str(row.get(2))
        .map_err(|error| StoreError::Unusable(format!("{name} is damaged: its timelines cannot be read ({error})")))?;
    let identity = LedgerIdentity { ledger: row.get(0), currency, timelines };
    Ok((identity, Seq(to_u64(row.get(3))), Seq(to_u64(row.get(4)))))
}
