//! Following the ledger: how a projection, such as an order server's copy, is kept up to date, and how it is rebuilt.
//!
//! A projection holds nothing that the ledger does not: an empty one, or one that a power cut has shortened, takes the missing
//! entries from the catalog again, at up to [`ENTRIES_MAX`] a call.

mod pin;

pub use pin::{Pin, Pinned};

use async_trait::async_trait;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    history::{Entries, Hash, LedgerIdentity, Relation},
    id::{OrderId, Seq},
    order::Order,
    page::{FoundOrders, OrderScan},
    service::{CatalogService, ENTRIES_MAX, OrderReader},
    store::{Followed, Projection},
};

/// Keeps a projection up to date with a catalog's ledger, on a task of its own, until it is dropped.
///
/// It long-polls the catalog, appends what it gets, and tries again after a failure. With each page it compares the ledger's history
/// with the projection's, see [`Entries`]. It follows a ledger that went on under a newer timeline, from where that began; any other
/// difference it [refuses](Follower::refused).
pub struct Follower<P: ?Sized> {
    projection: Arc<P>,
    followed: watch::Receiver<Seq>,
    caught_up: watch::Receiver<bool>,
    refused: watch::Receiver<Option<String>>,
    pinned: Pinned,
    task: tokio::task::JoinHandle<()>,
}

impl<P: ?Sized> fmt::Debug for Follower<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("followed", &*self.followed.borrow()).finish_non_exhaustive()
    }
}

/// How long one long poll waits for the next entry.
const POLL: Duration = Duration::from_secs(20);
/// The first and the longest pause after a failure; it doubles with each failure in a row.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The pause after a call that reached the ledger's head. The entries of a busy shop gather meanwhile, so that following it costs the
/// catalog at most a hundred calls a second instead of one for every batch.
const GATHER: Duration = Duration::from_millis(10);

impl<P: Projection + ?Sized + 'static> Follower<P> {
    /// Starts to follow after the last entry that the projection has. It must be called in a runtime, which drives the task.
    ///
    /// # Errors
    /// - [`Error::Unavailable`] if the projection cannot be read.
    pub async fn start(catalog: Arc<dyn CatalogService>, projection: Arc<P>) -> Result<Self> {
        let own = projection.followed().await?;
        let (send_followed, followed) = watch::channel(own.seq);
        let (send_caught_up, caught_up) = watch::channel(false);
        let (send_refused, refused) = watch::channel(None);
        let pinned = Pinned::default();
        if let Some(history) = &own.identity {
            pinned.follow(history);
        }
        let shown =
            Shown { followed: send_followed, caught_up: send_caught_up, refused: send_refused, pinned: pinned.clone() };
        let task = tokio::spawn(follow(catalog, Arc::clone(&projection), shown));
        Ok(Self { projection, followed, caught_up, refused, pinned, task })
    }

    /// The last entry that it has followed, and every change of it.
    #[must_use]
    pub fn followed(&self) -> watch::Receiver<Seq> {
        self.followed.clone()
    }

    /// Whether the last call reached the ledger's head. It is false at the start, and after any failure.
    #[must_use]
    pub fn caught_up(&self) -> watch::Receiver<bool> {
        self.caught_up.clone()
    }

    /// Why the ledger cannot be followed: its history is not the copy's. `None` as long as both are the same. Tell the operator: only
    /// they can mend that.
    ///
    /// An order service MUST NOT sell meanwhile, see [`Orders::refuse_while`](crate::Orders::refuse_while).
    #[must_use]
    pub fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.clone()
    }

    /// What was compared last, for the client that sells.
    #[must_use]
    pub fn pinned(&self) -> Pinned {
        self.pinned.clone()
    }
}

impl<P: ?Sized> Drop for Follower<P> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the follower tells of itself.
struct Shown {
    followed: watch::Sender<Seq>,
    caught_up: watch::Sender<bool>,
    refused: watch::Sender<Option<String>>,
    pinned: Pinned,
}

/// Follows for ever.
async fn follow<P: Projection + ?Sized>(catalog: Arc<dyn CatalogService>, projection: Arc<P>, shown: Shown) {
    let (mut pause, mut rolled_back) = (PAUSE.0, None);
    loop {
        let (after, wait) = (*shown.followed.borrow(), *shown.caught_up.borrow());
        // What is seen while the poll is on its way may be newer than its page.
        let seen = shown.pinned.current().ok();
        let step = tokio::select! {
            biased;
            step = step(catalog.as_ref(), projection.as_ref(), wait, |page| went_back(page, seen, rolled_back)) => step,
            // A batch was refused while this poll waits for an entry: another one is answered at once.
            () = shown.pinned.wanted(), if wait => {
                shown.caught_up.send_replace(false);
                continue;
            }
        };
        match step {
            Ok(Step::Followed { seq, hash, head, incarnation, identity }) => {
                pause = PAUSE.0;
                shown.pinned.follow(&identity);
                shown.pinned.set(Some(Pin::new(incarnation, seq, hash)));
                shown.refused.send_if_modified(|refused| refused.take().is_some());
                metrics::gauge!("bookstore_copy_differs").set(0.0);
                shown.followed.send_replace(seq);
                shown.pinned.notify_followed();
                shown.caught_up.send_replace(seq >= head);
                metrics::gauge!("bookstore_copy_lag_entries").set(head.0.saturating_sub(seq.0) as f64);
                if seq > after && seq >= head {
                    shown.sleep(GATHER).await;
                }
            }
            Ok(Step::Rewound(seq)) => {
                shown.pinned.set(None);
                shown.caught_up.send_replace(false);
                shown.followed.send_replace(seq);
            }
            Err(failure) => {
                let caught_up = shown.caught_up.send_replace(false);
                if let Failure::WentBack(incarnation, _) = &failure {
                    rolled_back = Some(*incarnation);
                }
                shown.failed(failure, caught_up || pause == PAUSE.1);
                shown.sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
                // A failed append may have happened all the same, so the copy itself says where it is.
                if let Ok(own) = projection.followed().await {
                    shown.followed.send_replace(own.seq);
                    shown.pinned.notify_followed();
                    if let Ok(pin) = shown.pinned.current()
                        && pin.seq < own.seq
                    {
                        shown.pinned.set(Some(Pin::new(pin.incarnation, own.seq, own.hash)));
                    }
                }
            }
        }
    }
}

impl Shown {
    /// Sleeps, unless a comparison is asked for.
    async fn sleep(&self, pause: Duration) {
        // Out of time, which is what it is for.
        let _ = tokio::time::timeout(pause, self.pinned.wanted()).await;
    }

    /// Tells the operator why a call failed, and whoever started the follower whether it is refused.
    fn failed(&self, failure: Failure, log: bool) {
        match failure {
            Failure::Call(error) if log => tracing::warn!(%error, "cannot follow the ledger, trying again"),
            Failure::Call(_) => {}
            Failure::OtherHistory(why) => {
                self.pinned.set(None);
                self.refuse(why);
            }
            // What was seen of this opening is remembered.
            Failure::WentBack(_, why) => self.refuse(why),
        }
    }

    fn refuse(&self, why: String) {
        metrics::gauge!("bookstore_copy_differs").set(1.0);
        self.refused.send_if_modified(|refused| refused.replace(why.clone()).as_ref() != Some(&why));
    }
}

/// Checks that an opening of the ledger has not lost what was `seen` of it before the page was asked for. One that has is not believed any
/// more, however far it grows.
fn went_back(page: &Entries, seen: Option<Pin>, rolled_back: Option<Uuid>) -> Result<(), Failure> {
    let (incarnation, head) = (page.incarnation, page.head);
    let seen = seen.filter(|pin| pin.incarnation == incarnation && pin.seen > head);
    if seen.is_none() && rolled_back != Some(incarnation) {
        return Ok(());
    }
    let why = format!(
        "the catalog's ledger, which ends at entry {head}, has lost entries that this server has seen, without a restart: the \
         machine that it runs on was rolled back. Put its files back as they were, or use bookstore restore --replace"
    );
    Err(Failure::WentBack(incarnation, why))
}

/// Where the copy stands after a poll.
enum Step {
    /// The copy is at `seq`, where the ledger has this hash, in the opening `incarnation` of a ledger that ends at `head`.
    Followed { seq: Seq, hash: Hash, head: Seq, incarnation: Uuid, identity: LedgerIdentity },
    /// The ledger goes on under a newer timeline than the copy's, which is back at `seq` now.
    Rewound(Seq),
}

/// Takes the next entries over.
async fn step(
    catalog: &dyn CatalogService,
    projection: &(impl Projection + ?Sized),
    wait: bool,
    check: impl FnOnce(&Entries) -> Result<(), Failure>,
) -> Result<Step, Failure> {
    let own = projection.followed().await?;
    let wait = if wait { POLL } else { Duration::ZERO };
    let page = catalog.entries(own.seq, ENTRIES_MAX, wait).await?;
    check(&page)?;
    if let Some(fork) = fork(&own, &page)? {
        let lost = projection.rewind(fork).await?;
        metrics::counter!("bookstore_copy_set_aside_entries_total").increment(lost);
        if lost > 0 {
            tracing::warn!(%fork, lost, "the ledger goes on under a newer timeline; what it does not have any more is set \
                aside: see bookstore audit --copy");
        }
        return Ok(Step::Rewound(projection.followed().await?.seq));
    }
    let seq = page.entries.last().map_or(own.seq, |last| last.seq);
    let (hash, head, incarnation, identity) = (page.after, page.head, page.incarnation, page.identity.clone());
    if !page.entries.is_empty() || own.identity.as_ref() != Some(&page.identity) {
        projection.append(page).await?;
    }
    Ok(Step::Followed { seq, hash, head, incarnation, identity })
}

/// Why a poll was in vain.
enum Failure {
    /// A call failed; the next one may succeed.
    Call(Error),
    /// The ledger has another history than the copy. Only an operator can mend that.
    OtherHistory(String),
    /// This opening of the ledger has lost entries.
    WentBack(Uuid, String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

/// Compares the histories. Returns from which entry on the copy has others than the ledger, if that is because the ledger goes on under
/// a newer timeline.
///
/// # Errors
/// [`Failure::OtherHistory`]: the ledger is another one, or an older one than the copy's.
fn fork(own: &Followed, page: &Entries) -> Result<Option<Seq>, Failure> {
    let refused = |why: String| Err(Failure::OtherHistory(why));
    let relation = own.identity.as_ref().map_or(Relation::Same, |own| own.relation(&page.identity));
    match relation {
        Relation::Newer(fork) if fork <= own.seq => Ok(Some(fork)),
        Relation::Same | Relation::Newer(_) if page.before == Some(own.hash) => Ok(None),
        Relation::Same | Relation::Newer(_) => refused(format!(
            "the catalog's ledger, which ends at entry {}, is not the one that this server followed up to entry {}: it was restored \
             from a backup or replaced. To go back to a backup, use bookstore restore --replace",
            page.head, own.seq
        )),
        Relation::Older => refused(format!(
            "the catalog's ledger is of an older timeline than the one that this server followed up to entry {}: its file was \
             replaced by an old one, or an old catalog came back",
            own.seq
        )),
        Relation::Unrelated => refused(
            "the catalog's ledger is not the one that this server followed; give an order server a new --store, a relay a new \
             --state, or the right --catalog"
                .into(),
        ),
    }
}

#[async_trait]
impl<P: OrderReader + ?Sized> OrderReader for Follower<P> {
    async fn order(&self, id: OrderId) -> Result<Option<Order>> {
        self.projection.order(id).await
    }

    async fn find_orders(&self, scan: OrderScan) -> Result<FoundOrders> {
        self.projection.find_orders(scan).await
    }
}
