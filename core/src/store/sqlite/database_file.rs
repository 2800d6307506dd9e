//! The database file itself: who may write it, and whether it is still where it was opened.

use rusqlite::Connection;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io, ops,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{StoreError, unusable, wal_owner};

/// How long to wait for a process that is still closing the store.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The right to write a store: an exclusive lock on the database file itself, under whatever name it was opened. A hard link or a
/// bind mount is another name of the same file, so it does not let a second writer in. The operating system gives the lock up when
/// the process ends.
///
/// It MUST be dropped after every connection to the file: POSIX takes all of a process's other locks on a file, SQLite's too, when
/// the process closes any descriptor of it.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    name: FileName,
    _file: File,
}

impl DatabaseFile {
    /// Opens the file at `path`, or makes it, readable for its owner only, and locks it. It may block for [`LOCK_WAIT`].
    ///
    /// Symbolic links are followed once, here: SQLite names its other files after the file that a link leads to.
    ///
    /// # Errors
    /// - [`StoreError::InUse`] if another process has locked it.
    /// - [`StoreError::Unusable`] if it is a link to nothing, or missing beside a WAL.
    /// - [`StoreError::Failed`] if it cannot be opened or made.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        let path = resolve(path)?;
        wal_owner::refuse_orphan(&path)?;
        let failed = |error: io::Error| StoreError::Failed(format!("cannot open {}: {error}", path.display()));
        let file = open_or_create(&path).map_err(failed)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.display().to_string())),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        let name = FileName::of(&file, path.clone()).map_err(failed)?;
        // Between opening and locking, another process may have put another file in its place.
        name.check()?;
        Ok(Self { name, _file: file })
    }

    /// The file's name without symbolic links.
    pub(super) fn path(&self) -> &Path {
        &self.name.path
    }

    pub(super) fn name(&self) -> &FileName {
        &self.name
    }
}

/// The name of an open file, which must go on leading to it.
///
/// The file MUST stay open as long as its name is checked: the id of a file that is gone may be given to another one.
#[derive(Clone, Debug)]
pub(super) struct FileName {
    path: PathBuf,
    id: FileId,
}

impl FileName {
    /// The open `file` under its name `path`.
    pub(super) fn of(file: &File, path: PathBuf) -> io::Result<Self> {
        Ok(Self { path, id: id_of(file)? })
    }

    /// Checks that the path still leads to the file.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the file was removed, moved, or replaced by another one.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let failed =
            |what: &str| Err(StoreError::Failed(format!("{} was {what} while it was in use", self.path.display())));
        match id_at(&self.path) {
            Ok(id) if id == self.id => Ok(()),
            Ok(_) => failed("replaced by another file"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => failed("removed or moved"),
            Err(error) => failed(&format!("made unreadable ({error})")),
        }
    }
}

/// A connection to a locked file. The lock lasts as long as the connection at least.
#[derive(Debug)]
pub(super) struct FileConnection {
    connection: Connection,
    // After the connection, so that it is dropped later.
    _file: Arc<DatabaseFile>,
}

impl FileConnection {
    pub(super) fn new(connection: Connection, file: &Arc<DatabaseFile>) -> Self {
        Self { connection, _file: Arc::clone(file) }
    }
}

impl ops::Deref for FileConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl ops::DerefMut for FileConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// Which file it is, on the whole machine.
#[cfg(unix)]
type FileId = (u64, u64);

/// Not `stat`: a file whose times were asked for gets new ones with the next write, in finer steps, and a flush must then write the
/// file's inode, too. Before each flush, that took a fifth of the rate of a single buyer.
// Why: docs/decisions/0043.
#[cfg(target_os = "linux")]
fn id_at(path: &Path) -> io::Result<FileId> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
    let file = statx(CWD, path, AtFlags::empty(), StatxFlags::INO)?;
    Ok((makedev(file.stx_dev_major, file.stx_dev_minor), file.stx_ino))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn id_at(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|file| id(&file))
}

#[cfg(unix)]
fn id_of(file: &File) -> io::Result<FileId> {
    file.metadata().map(|file| id(&file))
}

#[cfg(unix)]
fn id(file: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (file.dev(), file.ino())
}

/// Where an open file can be neither removed nor replaced, there is nothing to compare.
#[cfg(not(unix))]
type FileId = ();

#[cfg(not(unix))]
fn id_at(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(drop)
}

#[cfg(not(unix))]
fn id_of(_: &File) -> io::Result<FileId> {
    Ok(())
}

/// The path without symbolic links; the file itself need not exist.
fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    match fs::canonicalize(path) {
        Ok(path) => return Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::Failed(format!("cannot open {}: {error}", path.display()))),
    }
    if let Ok(target) = fs::read_link(path) {
        return Err(unusable(path, &format!("it is a symbolic link to {}, which does not exist", target.display())));
    }
    let Some(name) = path.file_name() else { return Err(unusable(path, "it does not name a file")) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder)
        .map_err(|error| StoreError::Failed(format!("cannot open {}: its folder: {error}", path.display())))?;
    Ok(folder.join(name))
}

fn open_or_create(path: &Path) -> io::Result<File> {
    for_owner_only(File::options().create(true).truncate(false)).open(path)
}

/// Makes an empty file, readable for its owner only.
///
/// # Errors
/// It exists already, or cannot be made.
pub(super) fn create(path: &Path) -> io::Result<File> {
    for_owner_only(File::options().create_new(true)).open(path)
}

fn for_owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.read(true).write(true)
}
