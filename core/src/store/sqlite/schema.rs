//! The tables, the checks that a file is one of ours, and the upgrade of an earlier format.
//!
//! | table | in | what it holds |
//! |---|---|---|
//! | `meta` | both | one row: role, ledger id, `applied` |
//! | `ledger` | both | the entries; a copy has sales and returns only |
//! | `book` | ledger | the texts, and the price to sort by |
//! | `book_fts` | ledger | the full-text index of the texts |
//! | `stock` | ledger | the stock snapshot |

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use std::path::Path;
use uuid::Uuid;

use super::{StoreError, configure, unusable};
use crate::id::LedgerId;

/// The format that this program writes. A file of a higher one is refused, a file of a lower one brought up to date.
pub(super) const VERSION: i64 = 2;
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
    fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Copy => "copy",
        }
    }
}

// `changes` is a JSON array of [book, delta, price_cents, stock]: one for nearly every entry.
// `stock` is the stock snapshot, true as of entry `meta.applied`; the entries after it are replayed. See `stock_snapshot.rs`.
// `book.price_cents` is always current, because searches sort by it; the books' texts never change.
const TABLES: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        role TEXT NOT NULL CHECK (role IN ('ledger', 'copy')),
        ledger BLOB,
        applied INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE ledger (
        seq INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 5),
        key BLOB,
        changes TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX ledger_key ON ledger (key, kind) WHERE key IS NOT NULL;
";

const CATALOGUE_TABLES: &str = "
    CREATE TABLE book (
        id INTEGER PRIMARY KEY,
        identity TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL COLLATE NOCASE,
        author TEXT NOT NULL,
        topic TEXT NOT NULL COLLATE NOCASE,
        isbn TEXT,
        year INTEGER,
        subjects TEXT NOT NULL,
        price_cents INTEGER NOT NULL CHECK (price_cents >= 0)
    ) STRICT;
    CREATE INDEX book_topic ON book (topic, id);
    CREATE INDEX book_title ON book (title, id);
    CREATE INDEX book_price ON book (price_cents, id);
    CREATE INDEX book_newest ON book (ifnull(-year, 10000), id);
    CREATE VIRTUAL TABLE book_fts USING fts5 (
        title, author, subjects,
        content = '', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    );
";

const STOCK_TABLE: &str = "
    CREATE TABLE stock (
        row INTEGER PRIMARY KEY,
        levels BLOB NOT NULL
    ) STRICT;
";

/// Opens a file for writing, makes the tables if it is new, brings an earlier format up to date, and checks that the file is what
/// `role` says. `new_id` is the id of a ledger that is made here.
pub(super) fn open(path: &Path, role: Role, new_id: LedgerId) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)
        .map_err(|error| StoreError::Failed(format!("cannot open {}: {error}", path.display())))?;
    configure(&connection).map_err(|error| named(path, error))?;
    if is_empty(&connection).map_err(|error| named(path, error))? {
        connection.pragma_update(None, "journal_mode", "wal")?;
        create(&mut connection, role, new_id)?;
    }
    if check(&connection, path, role)? < VERSION {
        upgrade(&mut connection, role).map_err(|error| named(path, error))?;
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(unusable(path, "its file system does not support SQLite's WAL mode"));
    }
    Ok(connection)
}

/// Opens a file of ours read-only, beside the process that writes it.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::Failed(format!("cannot open {}: {error}", path.display())))?;
    configure(&connection).map_err(|error| named(path, error))?;
    if check_header(&connection, path)? < VERSION {
        return Err(unusable(
            path,
            "an earlier version of this program wrote it; a server that opens it brings it up to date",
        ));
    }
    Ok(connection)
}

fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?)
}

fn create(connection: &mut Connection, role: Role, new_id: LedgerId) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute_batch(TABLES)?;
    // A copy learns its ledger's id from the first entries it takes in.
    let ledger = match role {
        Role::Ledger => {
            transaction.execute_batch(CATALOGUE_TABLES)?;
            transaction.execute_batch(STOCK_TABLE)?;
            Some(*new_id.as_bytes())
        }
        Role::Copy => None,
    };
    transaction.execute("INSERT INTO meta VALUES (1, ?1, ?2, 0)", (role.name(), ledger))?;
    transaction.commit()?;
    Ok(())
}

/// Format 1 had a row for each book in `stock`. The table is made anew and filled from the ledger, by the next recovery.
fn upgrade(connection: &mut Connection, role: Role) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    if role == Role::Ledger {
        transaction.execute_batch("DROP TABLE stock; UPDATE meta SET applied = 0;")?;
        transaction.execute_batch(STOCK_TABLE)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// The format of a file that is one of ours.
fn check_header(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(|error| named(path, error.into()))? != APPLICATION_ID {
        return Err(unusable(path, "it is a SQLite file, but not a bookstore's; give another path"));
    }
    let found = pragma("user_version")?;
    if found > VERSION {
        return Err(StoreError::TooNew { path: path.display().to_string(), found, known: VERSION });
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

/// The id of the ledger that is in the file, or of the one that it copies: `None` before a copy's first entry.
pub(super) fn ledger_id(connection: &Connection) -> Result<Option<LedgerId>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT ledger FROM meta")?;
    let id: Option<[u8; 16]> = statement.query_row([], |row| row.get(0))?;
    Ok(id.map(Uuid::from_bytes))
}

/// The same error, with the name of the file.
fn named(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Unusable(why) => unusable(path, &why),
        StoreError::Failed(why) => StoreError::Failed(format!("{}: {why}", path.display())),
        other => other,
    }
}
