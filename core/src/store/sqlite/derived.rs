//! Files beside a ledger's for what follows from it. Nobody misses them: they are as good as their contents say, and made again otherwise.

use rusqlite::Connection;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{StoreError, beside};

/// Writes the file of this name anew, whole or not at all.
pub(super) fn keep(connection: &Connection, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let Some(file) = file(connection, name) else { return Ok(()) };
    let next = beside(&file, ".new");
    fs::write(&next, bytes).and_then(|()| fs::rename(&next, &file)).map_err(|error| failed(&file, &error))
}

/// The file's contents, if there is one.
pub(super) fn kept(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(file) = file(connection, name) else { return Ok(None) };
    match fs::read(&file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&file, &error)),
    }
}

fn file(connection: &Connection, name: &str) -> Option<PathBuf> {
    connection.path().map(|path| beside(Path::new(path), &format!(".{name}")))
}

fn failed(file: &Path, error: &io::Error) -> StoreError {
    StoreError::Failed(format!("{}: {error}", file.display()))
}
