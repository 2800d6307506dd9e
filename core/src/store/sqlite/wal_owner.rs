//! Whether a WAL belongs to the database beside it.
//!
//! SQLite takes any valid `PATH-wal` for the newest changes of `PATH`. If somebody moves a backup into the place of a database that
//! crashed, its WAL is still there, and SQLite would write its pages over the backup.
//!
//! So the database has an id in `meta.wal`, which changes with each WAL: the first commits of a WAL write the new id and, in
//! `meta.wal_before`, the one before. A database that has either of them is the WAL's own, whether the page of `meta` has been moved
//! into it already or not. A backup gets an id of its own.

use memchr::memmem;
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::Path,
};
use uuid::Uuid;

use super::{StoreError, beside, unusable};

/// What every id begins with, so that a WAL without any can be told from one with others.
const MARK: &[u8; 8] = b"bkst.wal";

/// The id of a WAL.
type WalId = [u8; 24];

/// Gives a database a new id, of which no WAL knows.
pub(super) fn set_new(connection: &Connection, random: Uuid) -> Result<(), StoreError> {
    let id = id_from(random.as_bytes());
    connection.execute("UPDATE meta SET wal = ?1, wal_before = NULL", [id])?;
    Ok(())
}

/// Marks the WAL that the current transaction begins, or has begun, as this database's.
pub(super) fn mark(connection: &Connection) -> Result<(), StoreError> {
    let before: Option<WalId> = connection.query_row("SELECT wal FROM meta", [], |row| row.get(0))?;
    let next = id_from(&blake3::hash(&before.unwrap_or_default()).as_bytes()[..16].try_into().expect("16 bytes"));
    connection.prepare_cached("UPDATE meta SET wal_before = wal, wal = ?1")?.execute([next])?;
    Ok(())
}

fn id_from(bytes: &[u8; 16]) -> WalId {
    let mut id = [0; 24];
    id[..8].copy_from_slice(MARK);
    id[8..].copy_from_slice(bytes);
    id
}

/// Refuses a WAL whose database is missing or empty: SQLite would delete it.
///
/// # Errors
/// [`StoreError::Unusable`], which says what to do.
pub(super) fn refuse_orphan(path: &Path) -> Result<(), StoreError> {
    let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let wal = beside(path, "-wal");
    if length(path) > 0 || length(&wal) == 0 {
        return Ok(());
    }
    let wal = wal.display();
    let why =
        format!("{wal} is there without its database, and may hold orders; put the database back, or move {wal} away");
    Err(unusable(path, &why))
}

/// Refuses a WAL that belongs to another database. Nothing is written. Where nothing can be told, nothing is refused: the WAL of an
/// earlier format has no id, nor has one that another program began.
///
/// # Errors
/// [`StoreError::Unusable`], which names the WAL and says what to do.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let wal = beside(path, "-wal");
    let Some(id) = id_of(path) else { return Ok(()) };
    match marks(&wal, &id) {
        Ok(Marks::Others) => {}
        Ok(Marks::None | Marks::This) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::Failed(format!("{}: {error}", wal.display()))),
    }
    let wal = wal.display();
    let why = format!(
        "{wal} belongs to another database; nothing was written. If this is a backup that was moved into place, move {wal} away, \
         together with the database that it belongs to, and keep both: they hold the newest orders. The way back to a backup is \
         bookstore restore --replace"
    );
    Err(unusable(path, &why))
}

/// The id in the database itself, without its WAL; `None` if it has none.
fn id_of(path: &Path) -> Option<WalId> {
    let connection = open_immutable(path).ok()?;
    connection.query_row("SELECT wal FROM meta", [], |row| row.get(0)).ok()?
}

/// Opens a database read-only, without its WAL and without any other file beside it.
pub(super) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let name = path.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let escaped = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}

/// Whether there is a WAL with anything in it beside a database.
pub(super) fn has_wal(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// Which ids a WAL has.
#[derive(Debug, PartialEq, Eq)]
enum Marks {
    None,
    This,
    Others,
}

/// The header of a WAL, and of each frame, as <https://sqlite.org/fileformat.html#the_write_ahead_log> has them.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Looks for ids in the frames of a WAL.
fn marks(wal: &Path, id: &WalId) -> io::Result<Marks> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(wal)?);
    let mut header = [0; HEADER];
    if !is_filled(&mut file, &mut header)? {
        return Ok(Marks::None);
    }
    let page_size = u32::from_be_bytes(header[8..12].try_into().expect("four bytes")) as usize;
    if !(512..=65_536).contains(&page_size) {
        return Ok(Marks::None);
    }
    let (mut frame, mut found) = (vec![0; FRAME_HEADER + page_size], Marks::None);
    // Frames with other salts are left of the WAL before this one.
    while is_filled(&mut file, &mut frame)? && frame[8..16] == header[16..24] {
        let page = &frame[FRAME_HEADER..];
        for at in memmem::find_iter(page, MARK) {
            if page[at..].starts_with(id) {
                return Ok(Marks::This);
            }
            found = Marks::Others;
        }
    }
    Ok(found)
}

/// Fills a buffer; false if the file ends before.
fn is_filled(file: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
