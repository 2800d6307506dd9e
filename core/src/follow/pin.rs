//! What a seller has compared of a ledger's history.

use std::{fmt, str::FromStr, sync::Arc};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
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

/// The newest [`Pin`] of a [`Follower`](super::Follower); clones are the same.
#[derive(Clone, Debug)]
pub struct Pinned(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pin: watch::Sender<Option<Pin>>,
    wanted: Notify,
}

impl Pinned {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { pin: watch::Sender::new(None), wanted: Notify::new() }))
    }

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

    #[test]
    fn only_the_catalog_that_was_compared_may_sell() {
        let pin = Pin { incarnation: Uuid::from_u128(1), seq: Seq(5) };
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert!("1".parse::<Pin>().is_err());
        assert!(pin.check(pin.incarnation, Seq(5)).is_ok());
        assert!(pin.check(Uuid::from_u128(2), Seq(5)).is_err(), "it was started again");
        assert!(pin.check(pin.incarnation, Seq(4)).is_err(), "it was rolled back");
    }
}
