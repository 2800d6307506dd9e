//! Flags that name stores: to open, to read, or of which only a file will do.

use bookstore::{StoreUrl, core::store::postgres::PostgresUrl};
use std::path::{Path, PathBuf};

use super::{Misconfigured, Result, passfile, wrong};

/// Checks a flag's store. `PGPASSFILE` is PostgreSQL's own variable for a password file; a URL may name another one, or a password.
pub(crate) fn store(flag: &str, url: &str) -> Result<StoreUrl> {
    match url.parse() {
        Ok(StoreUrl::Postgres(url)) => Ok(StoreUrl::Postgres(match passfile() {
            Some(file) => url.or_passfile(file),
            None => url,
        })),
        Ok(store) => Ok(store),
        Err(error) => Err(Misconfigured(format!("{flag} {:?}: {error}", without_password(url)))),
    }
}

/// A database's URL as it may be shown, also if it is none: without what stands between the user and the host, and behind the database.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| scheme.starts_with("postgres")) else {
        return url.to_owned();
    };
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    match rest.rsplit_once('@') {
        Some((user, hosts)) => format!("{scheme}://{}@{hosts}", user.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{rest}"),
    }
}

/// A store that a command reads beside its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreToRead {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database.
    Database(PostgresUrl),
}

/// Checks a store that is read.
pub(crate) fn store_to_read(flag: &str, url: &str) -> Result<StoreToRead> {
    match store(flag, url)? {
        StoreUrl::Sqlite(path) => Ok(StoreToRead::File(path)),
        StoreUrl::Postgres(url) => Ok(StoreToRead::Database(url)),
        StoreUrl::Memory => wrong(format!("{flag} memory: is gone when its server stops; there is nothing to read")),
    }
}

/// Checks a store that has to be a file; `instead` says what to do with a database.
pub(crate) fn store_file(flag: &str, url: &str, instead: &str) -> Result<PathBuf> {
    match store_to_read(flag, url)? {
        StoreToRead::File(path) => Ok(path),
        StoreToRead::Database(url) => wrong(format!("{flag} {url}: it has to be sqlite:PATH here; {instead}")),
    }
}

/// Checks the stores of an audit: the ledger, and copies, which are other files.
pub(crate) fn audited(store_url: &str, copies: &[String]) -> Result<(StoreToRead, Vec<PathBuf>)> {
    let ledger = store_to_read("--store", store_url)?;
    let copy = |url: &String| store_file("--copy", url, "the ledger in PostgreSQL is given as --store");
    let copies = copies.iter().map(copy).collect::<Result<Vec<_>>>()?;
    let mut seen = Vec::new();
    if let StoreToRead::File(ledger) = &ledger {
        seen.push(real(ledger));
    }
    for copy in &copies {
        if seen.contains(&real(copy)) {
            return wrong(format!("--copy sqlite:{} was given already, as --store or --copy", copy.display()));
        }
        seen.push(real(copy));
    }
    Ok((ledger, copies))
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_password() {
        for (url, shown) in [
            ("postgres://shop:secret@db1,db2/shop?sslmode=disable", "postgres://shop@db1,db2/shop"),
            ("postgres://shop:p@ss@db1/shop", "postgres://shop@db1/shop"),
            ("postgresql://db1/shop?password=secret", "postgresql://db1/shop"),
            ("sqlite:shop.db", "sqlite:shop.db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
        let wrong = store("--store", "postgres://shop:secret@db1:port/shop").expect_err("no port").to_string();
        assert!(wrong.contains("shop@db1:port") && !wrong.contains("secret"), "{wrong}");
    }
}
