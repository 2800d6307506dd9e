//! Small files that are replaced as a whole, by one process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::config;

/// How long the lock is waited for: another command may just be ending.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A file that is this process's alone as long as this exists. Readers need no lock: they see the file before or after a change.
#[derive(Debug)]
pub(crate) struct LockedFile {
    path: PathBuf,
    /// `PATH.lock`, an empty file beside the file, which itself is another one after every change.
    _lock: File,
}

impl LockedFile {
    /// Takes the file, which need not exist yet.
    ///
    /// # Errors
    /// - [`io::ErrorKind::WouldBlock`]: another process has had it for 2 seconds.
    /// - The lock's file cannot be made.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let lock = private(OpenOptions::new().create(true).append(true)).open(beside(&path, ".lock"))?;
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Its text, or none if there is no such file.
    ///
    /// # Errors
    /// It cannot be read, or has more bytes than this.
    pub(crate) fn read(&self, bytes_max: usize) -> io::Result<Option<String>> {
        match config::read_at_most(&self.path, bytes_max) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Replaces the file: after a crash it has the old text or the new one. Only its owner may read it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn replace(&self, text: &str) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        // One that a crash has left may have any permissions.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        sync_folder(&self.path)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes a new file readable for its owner only.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Makes the new name durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}
