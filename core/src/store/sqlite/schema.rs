//! The tables, and the checks that a file is one of ours.
//!
//! | table | in | what it holds |
//! |---|---|---|
//! | `meta` | both | one row: role, ledger id, currency, timelines, `applied`, a copy's hash, the id of the WAL |
//! | `ledger` | both | the entries, the last one of each batch with the hash up to it |
//! | `order_entry` | both | entries that concern an order under another key than its id |
//! | `contact`, `contact_text` | both | the contacts of orders; one that was erased has no text |
//! | `order_reference` | both | the sales and holds that carry a reference |
//! | `entry_text` | both | the entries that list, revise, withdraw or relist books, with the texts of those that have one, as JSON |
//! | `set_aside` | copy | entries that the ledger does not have any more |
//! | `book` | ledger | what makes two books the same, and the entries that their texts are from |
//! | `alias` | ledger | what books were called before they were revised |
//! | `stock` | ledger | the stock snapshot |
//! | `hold` | ledger | the orders that are held |

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};
use std::path::Path;
use uuid::Uuid;

use super::{StoreError, configure, contacts, unusable, upgrade::upgrade, wal_owner};
use crate::{clock::Clock, history::LedgerIdentity, id::LedgerId, money::Currency};

/// The format that this program writes. A file of a higher one is refused, a file of a lower one brought up to date.
pub(super) const VERSION: i64 = 3;
/// The earliest format that is brought up to date.
const OLDEST: i64 = 2;
/// `BOOK` in ASCII, in the header of every file of ours.
const APPLICATION_ID: i64 = 0x424F_4F4B;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A ledger.
    Ledger,
    /// An order server's copy of one.
    Copy,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Copy => "copy",
        }
    }
}

// `changes` is a JSON array of [book, delta, price_cents, stock]: one for nearly every entry. Behind these an entry with details has an
// object with them.
// `stock` is the stock snapshot, true as of entry `meta.applied`; the entries after it are replayed. See `stock_snapshot.rs`.
// `meta.timelines` is a JSON array as in `LedgerIdentity`; `meta.origin` says from which ledger this one was restored as a copy,
// `meta.superseded` under which newer history the ledger goes on elsewhere. For `meta.wal` see `wal_owner.rs`.
// `meta.contacts` is how far a copy has followed the ledger's contacts, under the timeline `meta.contacts_timeline` in the opening
// `meta.contacts_opening`.
// Numbers of kinds: see `history.rs`. A kind that this program does not know is refused when it is read.
pub(super) const META_TABLE: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        role TEXT NOT NULL CHECK (role IN ('ledger', 'copy')),
        ledger BLOB,
        currency TEXT,
        timelines TEXT NOT NULL,
        applied INTEGER NOT NULL,
        hash BLOB,
        wal BLOB,
        wal_before BLOB,
        origin TEXT,
        superseded TEXT,
        contacts_timeline BLOB,
        contacts_opening BLOB,
        contacts INTEGER NOT NULL DEFAULT 0
    ) STRICT;
";

pub(super) const LEDGER_TABLE: &str = "
    CREATE TABLE ledger (
        seq INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        key BLOB,
        changes TEXT NOT NULL,
        hash BLOB
    ) STRICT;
";

pub(super) const TEXT_TABLE: &str = "
    CREATE TABLE entry_text (
        seq INTEGER PRIMARY KEY,
        text TEXT
    ) STRICT;
";

pub(super) const LEDGER_INDEX: &str = "CREATE UNIQUE INDEX ledger_key ON ledger (key, kind) WHERE key IS NOT NULL;";

pub(super) const ORDER_TABLE: &str = "
    CREATE TABLE order_entry (
        order_id BLOB NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (order_id, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE order_reference (
        reference TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (reference, seq)
    ) STRICT, WITHOUT ROWID;
";

pub(super) const COPY_TABLE: &str = "
    CREATE TABLE set_aside (
        fork INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        key BLOB,
        changes TEXT NOT NULL
    ) STRICT;
";

pub(super) const BOOK_TABLE: &str = "
    CREATE TABLE book (
        id INTEGER PRIMARY KEY,
        identity TEXT NOT NULL UNIQUE,
        text_version INTEGER NOT NULL
    ) STRICT;
";

pub(super) const ALIAS_TABLE: &str = "
    CREATE TABLE alias (
        identity TEXT PRIMARY KEY,
        book INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

const STOCK_TABLE: &str = "
    CREATE TABLE stock (
        row INTEGER PRIMARY KEY,
        levels BLOB NOT NULL
    ) STRICT;
";

pub(super) const HOLD_TABLE: &str = "CREATE TABLE hold (key BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;";

/// Opens a file for writing, makes the tables if it is new, brings an earlier format up to date, and checks that the file is what
/// `role` says. `ids` are those of a ledger, and of its timeline, that are made here.
pub(super) fn open(path: &Path, role: Role, ids: NewIds) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)
        .map_err(|error| StoreError::Failed(format!("cannot open {}: {error}", path.display())))?;
    configure(&connection).map_err(|error| named(path, error))?;
    // What is erased is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    if is_empty(&connection).map_err(|error| named(path, error))? {
        let wal = connection.pragma_update(None, "journal_mode", "wal").map_err(StoreError::from);
        wal.and_then(|()| create(&mut connection, role, ids)).map_err(|error| named(path, error))?;
    }
    if check(&connection, path, role)? < VERSION {
        upgrade(&mut connection, role, ids).map_err(|error| named(path, error))?;
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(unusable(path, "its file system does not support SQLite's WAL mode"));
    }
    Ok(connection)
}

/// Opens a file of ours read-only, beside the process that writes it.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let connection = open_any_read_only(path)?;
    if check_header(&connection, path)? < VERSION {
        return Err(unusable(
            path,
            "an earlier version of this program wrote it; a server that opens it brings it up to date",
        ));
    }
    Ok(connection)
}

/// Opens a file of ours read-only, also one of an earlier format.
pub(super) fn open_any_read_only(path: &Path) -> Result<Connection, StoreError> {
    wal_owner::check(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match readable(Connection::open_with_flags(path, flags)) {
        // On read-only media SQLite cannot make the files that it shares with a writer. Without a WAL there is nothing to share.
        Err(rusqlite::Error::SqliteFailure(error, _))
            if error.code == ErrorCode::CannotOpen && !wal_owner::has_wal(path) =>
        {
            readable(wal_owner::open_immutable(path))
        }
        connection => connection,
    };
    let connection = connection.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => StoreError::Failed(format!("cannot open {}: {error}", path.display())),
        _ => named(path, error.into()),
    })?;
    configure(&connection).map_err(|error| named(path, error))?;
    check_header(&connection, path)?;
    Ok(connection)
}

/// A connection through which the file can be read.
fn readable(connection: rusqlite::Result<Connection>) -> rusqlite::Result<Connection> {
    let connection = connection?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?)
}

/// What a ledger that is made, or brought up to date, is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewIds {
    ledger: LedgerId,
    pub(super) timeline: Uuid,
    pub(super) wal: Uuid,
    /// A file of an earlier format has none; its amounts are in US dollars.
    currency: Currency,
}

impl NewIds {
    pub(super) fn drawn(clock: &dyn Clock) -> Self {
        Self { ledger: clock.new_id(), timeline: clock.new_id(), wal: clock.new_id(), currency: Currency::USD }
    }

    /// A ledger that is made is in this currency.
    pub(super) fn in_currency(self, currency: Currency) -> Self {
        Self { currency, ..self }
    }

    /// For a file that is neither new nor of an earlier format.
    pub(super) const UNUSED: Self =
        Self { ledger: Uuid::nil(), timeline: Uuid::nil(), wal: Uuid::nil(), currency: Currency::USD };
}

fn create(connection: &mut Connection, role: Role, ids: NewIds) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute_batch(META_TABLE)?;
    transaction.execute_batch(LEDGER_TABLE)?;
    transaction.execute_batch(LEDGER_INDEX)?;
    transaction.execute_batch(TEXT_TABLE)?;
    transaction.execute_batch(ORDER_TABLE)?;
    transaction.execute_batch(contacts::TABLE)?;
    // A copy learns its ledger's id from the first entries it takes in.
    let identity = match role {
        Role::Ledger => {
            create_derived_tables(&transaction)?;
            Some(LedgerIdentity::new(ids.ledger, ids.timeline).in_currency(ids.currency))
        }
        Role::Copy => {
            transaction.execute_batch(COPY_TABLE)?;
            None
        }
    };
    transaction.execute("INSERT INTO meta (one, role, timelines, applied) VALUES (1, ?1, '[]', 0)", [role.name()])?;
    if let Some(identity) = identity {
        set_identity(&transaction, &identity)?;
    }
    wal_owner::set_new(&transaction, ids.wal)?;
    transaction.commit()?;
    Ok(())
}

/// Makes the tables of a ledger that a copy does not have: they follow from its entries.
pub(super) fn create_derived_tables(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(BOOK_TABLE)?;
    connection.execute_batch(ALIAS_TABLE)?;
    connection.execute_batch(STOCK_TABLE)?;
    connection.execute_batch(HOLD_TABLE)?;
    Ok(())
}

/// The format of a file.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The format of a file that is one of ours.
fn check_header(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(|error| named(path, error.into()))? != APPLICATION_ID {
        return Err(unusable(path, "it is a SQLite file, but not a bookstore's; give another path"));
    }
    let found = version(connection)?;
    if found > VERSION {
        return Err(StoreError::TooNew { path: path.display().to_string(), found, known: VERSION });
    }
    if found < OLDEST {
        return Err(unusable(path, &format!("it has format {found}, which this program does not bring up to date")));
    }
    Ok(found)
}

/// The format of a file that is one of ours and has this role.
fn check(connection: &Connection, path: &Path, role: Role) -> Result<i64, StoreError> {
    let version = check_header(connection, path)?;
    let found = connection.query_row("SELECT role FROM meta", [], |row| row.get::<_, String>(0)).optional();
    let found = found.map_err(|error| named(path, error.into()))?;
    match found {
        Some(found) if found == role.name() => Ok(version),
        Some(found) => Err(unusable(path, &format!("it holds a {found}, not a {}", role.name()))),
        None => Err(unusable(path, "it is damaged: it does not say what it holds")),
    }
}

/// The ledger that is in the file, or the one that it copies: `None` before a copy's first entry.
pub(super) fn identity(connection: &Connection) -> Result<Option<LedgerIdentity>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT ledger, currency, timelines FROM meta")?;
    let (ledger, currency, timelines): (Option<[u8; 16]>, Option<String>, String) =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let Some(ledger) = ledger else { return Ok(None) };
    let currency = currency.unwrap_or_default();
    let currency = currency.parse().map_err(|_| {
        StoreError::Unusable(format!("it is in {currency:?}, a currency that this program does not know"))
    })?;
    let timelines = serde_json::from_str(&timelines)
        .map_err(|error| StoreError::Unusable(format!("it is damaged: its timelines cannot be read ({error})")))?;
    Ok(Some(LedgerIdentity { ledger: Uuid::from_bytes(ledger), currency, timelines }))
}

/// The newer history under which the ledger goes on elsewhere, if this one was shown any.
pub(super) fn superseded(connection: &Connection) -> Result<Option<LedgerIdentity>, StoreError> {
    let by: Option<String> = connection.query_row("SELECT superseded FROM meta", [], |row| row.get(0))?;
    let by = by.map(|by| by.parse()).transpose();
    by.map_err(|error| StoreError::Unusable(format!("it is damaged: what supersedes it cannot be read ({error})")))
}

/// Writes down which ledger it is, or which it copies.
pub(super) fn set_identity(connection: &Connection, identity: &LedgerIdentity) -> Result<(), StoreError> {
    let timelines = serde_json::to_string(&identity.timelines).expect("timelines are JSON");
    let mut statement = connection.prepare_cached("UPDATE meta SET ledger = ?1, currency = ?2, timelines = ?3")?;
    statement.execute((identity.ledger.as_bytes(), identity.currency.code(), timelines))?;
    Ok(())
}

/// The same error, with the name of the file.
fn named(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Unusable(why) => unusable(path, &why),
        StoreError::Failed(why) => StoreError::Failed(format!("{}: {why}", path.display())),
        other => other,
    }
}
