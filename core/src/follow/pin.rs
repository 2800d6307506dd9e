//! What a seller has compared of a ledger's history.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, RwLock},
};
use tokio::sync::{Notify, futures::Notified, watch};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    history::{Hash, LedgerIdentity, Relation},
    id::Seq,
};

/// A place in an opening of a ledger up to which its history was compared with a copy's.
///
/// A seller sends it with every batch. A catalog that was opened again since, perhaps with another file, MUST refuse the batch as not
/// executed; so MUST one whose ledger ends before what was seen, or has another history up to the place, as after a rollback of the
/// machine that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The opening, see [`Entries::incarnation`](crate::Entries::incarnation).
    pub incarnation: Uuid,
    /// The last entry that was compared.
    pub seq: Seq,
    /// The hash of the ledger up to that entry.
    pub hash: Hash,
    /// The last entry that was seen, `seq` or a later one: answers name entries that the copy does not have yet.
    pub seen: Seq,
}

impl Pin {
    /// A place that was compared; nothing later was seen.
    #[must_use]
    pub fn new(incarnation: Uuid, seq: Seq, hash: Hash) -> Self {
        Self { incarnation, seq, hash, seen: seq }
    }

    /// Checks that a catalog with this incarnation, head, and hash up to [`Self::seq`] is the one that was compared. Without a hash,
    /// that entry is too old to be compared with each batch.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is not.
    pub fn check(self, incarnation: Uuid, head: Seq, hash: Option<Hash>) -> Result<()> {
        let Self { seq, seen, .. } = self;
        if self.incarnation != incarnation {
            return Err(Error::unavailable("the catalog was started again; its ledger is compared first"));
        }
        if seen.max(seq) > head {
            return Err(Error::unavailable(format!("the ledger ends at {head}, before entry {seen}, which was seen")));
        }
        if hash.is_some_and(|hash| hash != self.hash) {
            return Err(Error::unavailable(format!("the ledger has another history up to entry {seq} than was seen")));
        }
        Ok(())
    }
}

/// As a header's value: `INCARNATION SEQ HASH SEEN`.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, seq, hash, seen } = self;
        write!(f, "{incarnation} {seq} {hash} {seen}")
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split(' ');
        let mut pin = || {
            let (incarnation, seq) = (words.next()?.parse().ok()?, Seq(words.next()?.parse().ok()?));
            let (hash, seen) = (words.next()?.parse().ok()?, Seq(words.next()?.parse().ok()?));
            words.next().is_none().then_some(Self { incarnation, seq, hash, seen })
        };
        pin().ok_or_else(|| Error::malformed("a pin is INCARNATION SEQ HASH SEEN"))
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
    // Beside the watches, which wake their waiters in any order: a simulation could not be repeated.
    compared: Notify,
    followed: Notify,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            pin: watch::Sender::new(None),
            history: RwLock::default(),
            wanted: Notify::new(),
            compared: Notify::new(),
            followed: Notify::new(),
        }
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

    /// Waits until another opening of the ledger than the one of `sent` is compared. False if nothing may be sold instead.
    pub async fn compared_since(&self, sent: Pin) -> bool {
        loop {
            let compared = self.0.compared.notified();
            match *self.0.pin.borrow() {
                Some(pin) if pin.incarnation == sent.incarnation => {}
                other => return other.is_some(),
            }
            compared.await;
        }
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

    /// Checks the history of a ledger that answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is older than the one that was followed here, or not related to it although it is of the same ledger.
    pub fn check_newest(&self, found: &LedgerIdentity) -> Result<()> {
        let own = self.history().filter(|own| own.ledger == found.ledger);
        match own.map(|own| own.relation(found)) {
            None | Some(Relation::Same | Relation::Newer(_)) => Ok(()),
            Some(Relation::Older) => {
                Err(Error::unavailable("the catalog's ledger is of an older timeline than was seen"))
            }
            Some(Relation::Unrelated) => {
                Err(Error::unavailable("the catalog's ledger is of another timeline than was seen"))
            }
        }
    }

    /// Remembers the history that is followed.
    pub fn follow(&self, history: &LedgerIdentity) {
        let mut own = self.0.history.write().expect("nobody panics with it");
        if own.as_deref() != Some(history) {
            *own = Some(Arc::new(history.clone()));
        }
    }

    /// Remembers that an entry was seen in an answer of the catalog's opening `incarnation`: it must have it from now on.
    pub fn saw(&self, incarnation: Uuid, seq: Seq) {
        let is_newer = |pin: &Pin| pin.incarnation == incarnation && pin.seen < seq;
        if self.0.pin.borrow().as_ref().is_some_and(is_newer) {
            self.0.pin.send_if_modified(|pin| {
                let newer = pin.as_mut().filter(|pin| is_newer(pin));
                newer.map(|pin| pin.seen = seq).is_some()
            });
        }
    }

    /// What was seen of an opening of the ledger stays seen.
    pub(super) fn set(&self, pin: Option<Pin>) {
        self.0.pin.send_if_modified(|current| {
            let seen = current.filter(|current| pin.is_some_and(|pin| pin.incarnation == current.incarnation));
            let pin = pin.map(|pin| Pin { seen: seen.map_or(pin.seen, |seen| seen.seen.max(pin.seen)), ..pin });
            std::mem::replace(current, pin) != pin
        });
        self.0.compared.notify_waiters();
    }

    /// Wakes those who wait for the copy, in order.
    pub(super) fn notify_followed(&self) {
        self.0.followed.notify_waiters();
    }

    /// Completes when the copy has followed further since this was called.
    pub(crate) fn follows_on(&self) -> Notified<'_> {
        self.0.followed.notified()
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
        let pin = Pin { seen: Seq(6), ..Pin::new(Uuid::from_u128(1), Seq(5), Hash([7; 32])) };
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert!("1".parse::<Pin>().is_err() && format!("{pin} 1").parse::<Pin>().is_err());
        for hash in [Some(pin.hash), None] {
            assert!(pin.check(pin.incarnation, Seq(6), hash).is_ok());
            assert!(pin.check(Uuid::from_u128(2), Seq(6), hash).is_err(), "it was started again");
            assert!(pin.check(pin.incarnation, Seq(5), hash).is_err(), "it was rolled back");
        }
        assert!(
            pin.check(pin.incarnation, Seq(9), Some(Hash::EMPTY)).is_err(),
            "it was rolled back and has grown again"
        );
    }

    #[test]
    fn what_was_seen_stays_seen_as_long_as_the_catalog_runs() {
        let (pinned, [one, two]) = (Pinned::default(), [1, 2].map(Uuid::from_u128));
        let at = |incarnation, seq| Some(Pin::new(incarnation, Seq(seq), Hash::EMPTY));
        let seen = || pinned.current().map(|pin| pin.seen);
        pinned.saw(one, Seq(9));
        assert!(seen().is_err(), "nothing was compared yet");
        pinned.set(at(one, 5));
        pinned.saw(one, Seq(9));
        pinned.saw(one, Seq(8));
        pinned.saw(two, Seq(20));
        assert_eq!(seen(), Ok(Seq(9)));
        pinned.set(at(one, 6));
        assert_eq!(seen(), Ok(Seq(9)), "the copy is behind");
        pinned.set(at(two, 6));
        assert_eq!(seen(), Ok(Seq(6)), "another opening is compared anew");
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
        assert!(pinned.check_newest(&new).is_ok() && pinned.check_newest(&old).is_err());
    }
}
