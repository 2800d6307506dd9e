//! The database file itself: who may write it, and whether it is still where it was opened.

use rusqlite::Connection;
use std::{
    fs::{self, File, Metadata, TryLockError},
    io, ops,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{StoreError, unusable};

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
    file: File,
    path: PathBuf,
}

impl DatabaseFile {
    /// Opens the file at `path`, or makes it, readable for its owner only, and locks it. It may block for [`LOCK_WAIT`].
    ///
    /// Symbolic links are followed once, here: SQLite names its other files after the file that a link leads to.
    ///
    /// # Errors
    /// - [`StoreError::InUse`] if another process has locked it.
    /// - [`StoreError::Unusable`] if it is a link to nothing.
    /// - [`StoreError::Failed`] if it cannot be opened or made.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        let path = resolve(path)?;
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
        let opened = Self { file, path };
        // Between opening and locking, another process may have put another file in its place.
        opened.check()?;
        Ok(opened)
    }

    /// The file's name without symbolic links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the path still leads to the locked file.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if it was removed, moved, or replaced by another file.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        check_name(&self.file, &self.path)
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

/// Checks that `path` leads to the open `file`.
///
/// # Errors
/// [`StoreError::Failed`] if the file was removed, moved, or replaced by another one.
pub(super) fn check_name(file: &File, path: &Path) -> Result<(), StoreError> {
    let failed = |what: &str| StoreError::Failed(format!("{} was {what} while it was in use", path.display()));
    let open = file.metadata().map_err(|error| failed(&format!("made unreadable ({error})")))?;
    match fs::metadata(path) {
        Ok(named) if is_same_file(&open, &named) => Ok(()),
        Ok(_) => Err(failed("replaced by another file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(failed("removed or moved")),
        Err(error) => Err(failed(&format!("made unreadable ({error})"))),
    }
}

#[cfg(unix)]
fn is_same_file(open: &Metadata, named: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Where an open file can be neither removed nor replaced, there is nothing to compare.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
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
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
