//! What a seller has compared of a ledger's history.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, RwLock},
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    history::{LedgerIdentity, Relation},
    id::Seq,
};

/// A place in an opening of a ledger up to which its history was compared with a copy's.
///
/// A seller sends it with every batch. A catalog that was opened again since, perhaps with another file, MUST refuse the batch as not
/// executed; so MUST one whose ledger ends before the place, as after a rollback of the machine that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The opening, see [`Entries::incarnation`](crate::Entries::incarnation).
    pub incarnation: Uuid,
    /// An entry that it has.
    pub seq: Seq,
}

impl Pin {
    /// Checks that a catalog with this incarnation and head is the one that was compared.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is not.
    pub fn check(self, incarnation: Uuid, head: Seq) -> Result<()> {
        if self.incarnation != incarnation {
            return Err(Error::unavailable("the catalog was started again; its ledger is compared first"));
        }
        if self.seq > head {
            let seq = self.seq;
            return Err(Error::unavailable(format!("the ledger ends at {head}, before entry {seq}, which was seen")));
        }
        Ok(())
    }
}

/// As a header's value: `INCARNATION SEQ`.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.incarnation, self.seq)
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once(' ').and_then(|(incarnation, seq)| {
            Some(Self { incarnation: incarnation.parse().ok()?, seq: Seq(seq.parse().ok()?) })
        });
        parts.ok_or_else(|| Error::malformed("a pin is INCARNATION SEQ"))
    }
}

/// The newest [`Pin`] of what follows a ledger, and the history of that ledger; clones are the same. The default has followed nothing.
#[derive(Clone, Debug, Default)]
pub struct Pinned(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pin: watch::Sender<Option<Pin>>,
    /// The newest history that was followed.
    history: RwLock<Option<Arc<LedgerIdentity>>>,
    wanted: Notify,
}

impl Default for Shared {
    fn default() -> Self {
        Self { pin: watch::Sender::new(None), history: RwLock::default(), wanted: Notify::new() }
    }
}

impl Pinned {
    /// The pin to send with the next batch.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if nothing was compared yet, or the ledger has another history: nothing may be sold.
    pub fn current(&self) -> Result<Pin> {
        self.0.pin.borrow().ok_or_else(|| Error::unavailable("the ledger was not compared with this server's copy yet"))
    }

    /// Asks for a comparison at once, since a batch was refused.
    pub fn refresh(&self) {
        self.0.wanted.notify_one();
    }

    /// The newest history of the ledger that was followed, to be shown with every call; none if none was.
    #[must_use]
    pub fn history(&self) -> Option<Arc<LedgerIdentity>> {
        self.0.history.read().expect("nobody panics with it").clone()
    }

    /// Checks the history that a caller shows. A server that follows an older one MUST NOT act on the call.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is newer than the one that is followed here. A comparison is asked for then.
    pub fn check(&self, shown: &LedgerIdentity) -> Result<()> {
        let own = self.history();
        if own.is_some_and(|own| matches!(own.relation(shown), Relation::Newer(_))) {
            self.refresh();
            return Err(Error::unavailable(
                "this server follows an older timeline of the ledger than its caller has seen",
            ));
        }
        Ok(())
    }

    /// Remembers the history that is followed.
    pub fn follow(&self, history: &LedgerIdentity) {
        let mut own = self.0.history.write().expect("nobody panics with it");
        if own.as_deref() != Some(history) {
            *own = Some(Arc::new(history.clone()));
        }
    }

    pub(super) fn set(&self, pin: Option<Pin>) {
        self.0.pin.send_if_modified(|current| std::mem::replace(current, pin) != pin);
    }

    /// Returns when a comparison is asked for.
    pub(super) async fn wanted(&self) {
        self.0.wanted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Timeline;

    #[test]
    fn only_the_catalog_that_was_compared_may_sell() {
        let pin = Pin { incarnation: Uuid::from_u128(1), seq: Seq(5) };
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert!("1".parse::<Pin>().is_err());
        assert!(pin.check(pin.incarnation, Seq(5)).is_ok());
        assert!(pin.check(Uuid::from_u128(2), Seq(5)).is_err(), "it was started again");
        assert!(pin.check(pin.incarnation, Seq(4)).is_err(), "it was rolled back");
    }

    #[test]
    fn a_server_that_follows_an_older_timeline_does_not_act() {
        let pinned = Pinned::default();
        let old = LedgerIdentity::new(Uuid::from_u128(1), Uuid::from_u128(2));
        let mut new = old.clone();
        new.timelines.push(Timeline { id: Uuid::from_u128(3), begins_at: Seq(9) });
        assert!(pinned.check(&new).is_ok(), "nothing is followed yet");
        pinned.follow(&old);
        assert!(pinned.check(&old).is_ok() && pinned.check(&new).is_err());
        pinned.follow(&new);
        assert!(pinned.check(&new).is_ok() && pinned.check(&old).is_ok());
    }
}
