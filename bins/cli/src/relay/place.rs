//! A relay's place in the ledger, in a file of its own.

use bookstore_core::{
    Entry, Error, OrderId, Seq, Timestamp,
    history::{Entries, Hash, LedgerIdentity, Relation},
    store::Followed,
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::locked_file::LockedFile;

/// The most bytes of the file; each timeline takes about 80.
const FILE_BYTES_MAX: usize = 1 << 20;
/// The form of the file.
const VERSION: u32 = 1;

/// How far events were delivered.
///
/// A hash of the ledger is known only where a page of entries begins. So a place is where the page at hand begins, which the ledger is
/// compared at, and the last entry that was delivered, in that page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// None before the first page.
    pub(crate) identity: Option<LedgerIdentity>,
    /// Where the page at hand begins, after this entry.
    pub(crate) seq: Seq,
    /// The hash of the ledger up to there.
    pub(crate) hash: Hash,
    /// The last entry that was delivered or left out; not before `seq`.
    pub(crate) delivered: Seq,
    /// That entry, if it is after `seq`, where the hash says nothing of it.
    last: Option<Delivered>,
}

/// What tells an entry from another one with its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Delivered {
    at: Timestamp,
    key: Option<OrderId>,
}

impl From<&Entry> for Delivered {
    fn from(entry: &Entry) -> Self {
        Self { at: entry.at, key: entry.key }
    }
}

impl Place {
    /// A place where a page begins, all before which was delivered.
    pub(crate) fn at(identity: LedgerIdentity, seq: Seq, hash: Hash) -> Self {
        Self { identity: Some(identity), seq, hash, delivered: seq, last: None }
    }

    /// Where the ledger is compared.
    pub(super) fn followed(&self) -> Followed {
        Followed { identity: self.identity.clone(), seq: self.seq, hash: self.hash }
    }

    /// The first entry that was delivered and is not in the ledger any more, which has this history now.
    pub(super) fn fork(&self, now: &LedgerIdentity) -> Option<Seq> {
        match self.identity.as_ref()?.relation(now) {
            Relation::Newer(fork) if fork <= self.delivered => Some(fork),
            _ => None,
        }
    }

    /// Checks that what was delivered of a page that begins here is still in the ledger.
    ///
    /// # Errors
    /// Why it is not: the ledger's file was replaced.
    pub(super) fn check(&self, page: &Entries) -> Result<(), Error> {
        let delivered = self.delivered;
        if page.head < delivered {
            let why = format!("the ledger ends before entry {delivered}, which was delivered: its file was replaced");
            return Err(Error::unavailable(why));
        }
        let now = page.entries.iter().find(|entry| entry.seq == delivered).map(Delivered::from);
        if self.last.is_some() && now.is_some() && now != self.last {
            let why = format!("entry {delivered} is not the one that was delivered: the ledger's file was replaced");
            return Err(Error::unavailable(why));
        }
        Ok(())
    }

    /// Goes on to an entry that was delivered or left out.
    pub(super) fn deliver(&mut self, entry: &Entry) {
        (self.delivered, self.last) = (entry.seq, Some(entry.into()));
    }

    /// Goes back to before an entry that is not in the ledger any more.
    pub(super) fn rewind(&mut self, fork: Seq) {
        (self.delivered, self.last) = (Seq(fork.0.saturating_sub(1)), None);
    }

    /// The place at the end of a page.
    pub(super) fn after(&self, page: &Entries) -> Self {
        let Followed { seq, hash, .. } = self.followed().after(page);
        let at_end = Self::at(page.identity.clone(), seq, hash);
        if self.delivered > seq {
            Self { delivered: self.delivered, last: self.last.clone(), ..at_end }
        } else {
            at_end
        }
    }
}

/// The file with the place. Of a save whose caller was aborted the rest goes on, so there may be two at once.
#[derive(Clone, Debug)]
pub(crate) struct PlaceFile(Arc<Mutex<LockedFile>>);

impl PlaceFile {
    /// Takes the file for this process alone; the place in it, if there is one.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Option<Place>)> {
        let file = LockedFile::open(path)?;
        let place = file.read(FILE_BYTES_MAX)?.map(|text| read(&text)).transpose()?;
        Ok((Self(Arc::new(Mutex::new(file))), place))
    }

    /// Keeps this place durably.
    pub(super) async fn save(&self, place: &Place) -> io::Result<()> {
        let text = serde_json::to_string(&Kept { version: VERSION, place })? + "\n";
        let file = Arc::clone(&self.0);
        let replace = move || file.lock().unwrap_or_else(PoisonError::into_inner).replace(&text);
        tokio::task::spawn_blocking(replace).await.map_err(io::Error::other)?
    }
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Kept<P> {
    version: u32,
    place: P,
}

fn read(text: &str) -> io::Result<Place> {
    let Kept { version, place } = serde_json::from_str::<Kept<serde_json::Value>>(text)?;
    if version != VERSION {
        return Err(io::Error::other(format!("it is of version {version}, this program knows {VERSION}")));
    }
    Ok(serde_json::from_value(place)?)
}
