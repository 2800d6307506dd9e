//! Keeps a second process from writing the same store.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use super::{StoreError, beside};

/// How long to wait for a process that is still closing the store.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The right to write a store: an exclusive lock on a file beside it. The operating system gives it up when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the store in the file `path`. It may block for [`LOCK_WAIT`].
    ///
    /// # Errors
    /// - [`StoreError::InUse`] if another process has it.
    /// - [`StoreError::Failed`] if the lock file cannot be made.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let lock_path = beside(path, ".lock");
        let failed =
            |error: std::io::Error| StoreError::Failed(format!("cannot open {}: {error}", lock_path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.display().to_string())),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}
