//! Going back to a backup.
//!
//! A file that is simply moved into place has the same ledger id as the one before it, and fewer entries: servers that followed the
//! one before refuse it. [`restore_replacing`] begins a timeline, so that they follow; [`restore_copy`] makes another ledger, for
//! tests and drills beside the real one.

use rusqlite::Connection;
use serde_json::json;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    StoreError, beside, contacts,
    database_file::DatabaseFile,
    maintenance, rows,
    schema::{self, NewIds, Role},
    unusable,
};
use crate::{
    clock::Clock,
    history::{LedgerIdentity, Timeline},
    id::{OrderId, Seq},
    ledger::{Details, Entry, Kind},
};

/// What a restore has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The ledger and its timelines as they are now.
    pub identity: LedgerIdentity,
    /// Its last entry.
    pub head: Seq,
    /// Where the store is that it replaced.
    pub replaced: Option<PathBuf>,
}

/// Restores a backup as a ledger of its own in the new file `to`: with a new id, so that no server takes it for the ledger that the
/// backup is of. Where it came from is noted in the file.
///
/// # Errors
/// - [`StoreError::Failed`] if `to` exists already, or a file fails.
/// - [`StoreError::Unusable`] if the backup is not one of a ledger.
/// - [`StoreError::TooNew`] if a newer program wrote it.
pub fn restore_copy(backup: &Path, to: &Path, clock: &dyn Clock) -> Result<Restored, StoreError> {
    if to.exists() {
        let why = "exists already; give a new file, or --replace to go back to the backup";
        return Err(StoreError::Failed(format!("{} {why}", to.display())));
    }
    let restoring = Restoring::write(backup, to)?;
    let mut connection = restoring.open(clock)?;
    let transaction = connection.transaction()?;
    let (origin, head) = (identity(&transaction, backup)?, rows::head(&transaction)?);
    let copy = LedgerIdentity::new(clock.new_id(), clock.new_id()).in_currency(origin.currency);
    schema::set_identity(&transaction, &copy)?;
    transaction.execute("UPDATE meta SET superseded = NULL", [])?;
    let note = json!({ "ledger": origin.ledger, "timelines": origin.timelines, "seq": head }).to_string();
    transaction.execute("UPDATE meta SET origin = ?1", [note])?;
    transaction.commit()?;
    restoring.finish(connection, to)?;
    Ok(Restored { identity: copy, head, replaced: None })
}

/// Restores a backup as the ledger in the file `to`, under a new timeline. What was there is kept beside it, as `PATH.replaced-N`.
///
/// Servers that followed the ledger before follow it on, and set aside what it does not have any more. Orders that were
/// acknowledged after the backup was made are not in it: they are in the replaced file, and in the copies. Contacts that were erased since are
/// erased again, as far as the ledger before can be read.
///
/// # Errors
/// - [`StoreError::InUse`] if a process has the store open.
/// - [`StoreError::Unusable`] if the backup is not one of a ledger, or is one of another ledger than the one at `to`.
/// - [`StoreError::TooNew`] if a newer program wrote it.
/// - [`StoreError::Failed`] if a file fails.
pub fn restore_replacing(backup: &Path, to: &Path, clock: &dyn Clock) -> Result<Restored, StoreError> {
    let old = if to.exists() { Some(DatabaseFile::lock(to)?) } else { None };
    let to = old.as_ref().map_or(to, DatabaseFile::path);
    let restoring = Restoring::write(backup, to)?;
    let mut connection = restoring.open(clock)?;
    let identity = identity(&connection, backup)?;
    if old.is_some() {
        refuse_another(to, &identity)?;
    }
    let (identity, mut head) = begin_timeline(&mut connection, identity, clock)?;
    if old.is_some() {
        head = erase_again(&mut connection, to, clock)?;
    }
    let replaced = match old {
        Some(_) => Some(keep(to).map_err(|error| failed(to, &error))?),
        None => None,
    };
    restoring.finish(connection, to)?;
    Ok(Restored { identity, head, replaced })
}

/// Refuses a database that is missing beside a restore that was cut off: what should be there is on its way.
///
/// # Errors
/// [`StoreError::Unusable`], which says what to do.
pub(super) fn refuse_if_restoring(path: &Path) -> Result<(), StoreError> {
    let restoring = beside(path, SUFFIX);
    if path.exists() || !restoring.exists() {
        return Ok(());
    }
    let why = format!(
        "a restore was cut off, or a promotion, {} is what is left of it; run bookstore restore again, or bookstore promote",
        restoring.display()
    );
    Err(unusable(path, &why))
}

const SUFFIX: &str = ".restoring";

/// A ledger that is being prepared beside its place.
pub(super) struct Restoring {
    pub(super) path: PathBuf,
}

impl Restoring {
    /// Writes a copy of a backup.
    fn write(backup: &Path, to: &Path) -> Result<Self, StoreError> {
        let restoring = Self::begin(to)?;
        maintenance::copy(backup, &restoring.path)?;
        Ok(restoring)
    }

    /// Makes room for it. What is left of one that was cut off is removed.
    pub(super) fn begin(to: &Path) -> Result<Self, StoreError> {
        let path = beside(to, SUFFIX);
        for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&file, &error)),
                _ => {}
            }
        }
        Ok(Self { path })
    }

    /// Opens it, and brings it up to date.
    fn open(&self, clock: &dyn Clock) -> Result<Connection, StoreError> {
        schema::open(&self.path, Role::Ledger, NewIds::drawn(clock))
    }

    /// Makes it durable and gives it its name.
    pub(super) fn finish(self, connection: Connection, to: &Path) -> Result<(), StoreError> {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| StoreError::from(error))?;
        let named = || {
            File::open(&self.path)?.sync_all()?;
            fs::rename(&self.path, to)?;
            let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        named().map_err(|error| failed(to, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Failed(format!("{}: {error}", path.display()))
}

fn identity(connection: &Connection, path: &Path) -> Result<LedgerIdentity, StoreError> {
    schema::identity(connection)?.ok_or_else(|| unusable(path, "it has no ledger id"))
}

/// Refuses to replace another ledger. One that cannot be read any more may be replaced.
fn refuse_another(path: &Path, restored: &LedgerIdentity) -> Result<(), StoreError> {
    let found = maintenance::Snapshot::open(path).and_then(|mut store| store.identity());
    match found {
        Ok(Some(found)) if found.ledger != restored.ledger => {
            Err(unusable(path, "it holds another ledger than the backup; move it away first if that is meant"))
        }
        _ => Ok(()),
    }
}

/// Appends the entry that begins a timeline.
pub(super) fn begin_timeline(
    connection: &mut Connection,
    mut identity: LedgerIdentity,
    clock: &dyn Clock,
) -> Result<(LedgerIdentity, Seq), StoreError> {
    let transaction = connection.transaction()?;
    let last = rows::head(&transaction)?;
    let (id, seq) = (clock.new_id(), last.next());
    let changes = std::iter::empty().collect();
    let entry = Entry {
        seq,
        at: clock.now(),
        kind: Kind::Timeline,
        key: Some(OrderId(id)),
        changes,
        text: None,
        details: None,
    };
    let hash = rows::hash(&transaction, last)?.after([&entry]);
    rows::append_entries(&transaction, &[entry])?;
    rows::end_batch(&transaction, hash)?;
    identity.timelines.push(Timeline { id, begins_at: seq });
    schema::set_identity(&transaction, &identity)?;
    transaction.execute("UPDATE meta SET superseded = NULL", [])?;
    transaction.commit()?;
    Ok((identity, seq))
}

/// Erases the contacts again that the ledger in the file `old` knows to be erased. Returns the last entry.
fn erase_again(connection: &mut Connection, old: &Path, clock: &dyn Clock) -> Result<Seq, StoreError> {
    let transaction = connection.transaction()?;
    let mut head = rows::head(&transaction)?;
    let erased = match schema::open_read_only(old).and_then(|old| contacts::erased(&old)) {
        Ok(erased) => erased,
        Err(error) => {
            tracing::warn!(%error, "which contacts the replaced ledger has erased cannot be read: the backup's are back");
            return Ok(head);
        }
    };
    let (before, mut entries) = (rows::hash(&transaction, head)?, Vec::new());
    for (order, actor) in erased {
        if !matches!(contacts::find(&transaction, order)?, Some(Some(_))) {
            continue;
        }
        head = head.next();
        let details = Some(Box::new(Details { order: Some(order), actor, ..Details::default() }));
        let changes = std::iter::empty().collect();
        entries.push(Entry { seq: head, at: clock.now(), kind: Kind::Erase, key: None, changes, text: None, details });
    }
    if !entries.is_empty() {
        rows::append_entries(&transaction, &entries)?;
        rows::end_batch(&transaction, before.after(&entries))?;
        contacts::take(&transaction, &entries)?;
    }
    transaction.commit()?;
    Ok(head)
}

/// Moves a database and the files that belong to it to the first free `PATH.replaced-N`. Returns that name.
fn keep(path: &Path) -> io::Result<PathBuf> {
    let mut names = (1..).map(|n| beside(path, &format!(".replaced-{n}")));
    let kept = names.find(|name| !name.exists()).expect("one is free");
    fs::rename(path, &kept)?;
    for suffix in ["-wal", "-shm", ".rescued"] {
        match fs::rename(beside(path, suffix), beside(&kept, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(kept)
}
