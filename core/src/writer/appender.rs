//! The first half of the writer's work: gathers commands, decides them, and appends what they do.

use futures_util::future::select;
use std::{fmt, pin::pin, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::watch, time::Instant};

use super::{
    WriterLimits,
    committer::{Appended, Committer, Decided, InFlight, answer_not_executed, answer_unknown},
    flush_plan::{Begin, FlushBy, FlushPlan, Load},
    show_failed, show_writable,
};
use crate::{
    batch::{Call, Waiting},
    clock::Clock,
    contact::ContactRule,
    decide::{Batch, Command, Holds, Outcome, State},
    error::Error,
    execution::Execution,
    history::LedgerIdentity,
    id::OrderId,
    recent_keys::RecentKeys,
    store::{AppendError, LedgerStore, Recovered, StoreError},
};

/// How long the appender spins, after it has answered a few callers itself, for these to come back: longer than a caller in the
/// same process takes from an answer to its next call, and sooner than a sleeping thread is woken. Together with the calls that wait
/// already they make one batch. `Duration::ZERO` turns it off.
// Why: docs/decisions/0009.
const SPIN_WAIT: Duration = Duration::from_micros(40);
/// How long the writer waits for calls while orders are held, before it looks whether one of them is due: until the next one is, within
/// these limits.
const LAPSE_WAIT_MIN: Duration = Duration::from_millis(10);
const LAPSE_WAIT_MAX: Duration = Duration::from_millis(500);
/// The most callers that it spins for.
const SPIN_CALLERS_MAX: usize = 4;

type CommandCall = Call<Command, Outcome>;

/// Decides and appends.
pub(super) struct Appender<S> {
    store: S,
    /// `None` after a failure, until the store has been recovered.
    state: Option<State>,
    /// The filter that knows which keys are certainly new.
    recent_keys: RecentKeys,
    clock: Arc<dyn Clock>,
    limits: WriterLimits,
    contact_rule: ContactRule,
    committer: Arc<Committer>,
    /// The time to spin at most.
    spin_wait: Duration,
    /// When the store failed, or was last tried again in vain.
    failed_at: Option<Instant>,
    /// The ledger goes on elsewhere, and the store knows it.
    stopped: bool,
    /// Why another writer writes now; then the store is not opened again.
    taken_over: Option<String>,
    // After the store: it is dropped when the store has been, see `Closed`.
    _open: watch::Sender<()>,
}

impl<S: LedgerStore> Appender<S> {
    /// Recovers the store.
    ///
    /// # Errors
    /// The store cannot be used.
    pub(super) async fn open(
        mut store: S,
        clock: Arc<dyn Clock>,
        (limits, contact_rule): (WriterLimits, ContactRule),
        (execution, callers): (Execution, Option<Handle>),
        open: watch::Sender<()>,
    ) -> Result<Self, StoreError> {
        let Recovered { mut state, highest_keys, superseded, flush } = store.recover().await?;
        state.contact_rule = contact_rule;
        let committer = Arc::new(Committer::new(&state, flush, callers));
        show_writable(committer.published(), superseded.is_none());
        let stopped = superseded.is_some();
        if let Some(by) = superseded {
            tracing::error!("nothing is sold: {}", Superseded(&by));
            committer.published().supersede(by);
        }
        Ok(Self {
            store,
            committer,
            state: Some(state),
            recent_keys: RecentKeys::of(&highest_keys, clock.now()),
            clock,
            limits,
            contact_rule,
            // A task must not hold up the other tasks of its runtime.
            spin_wait: if execution == Execution::Threads { SPIN_WAIT } else { Duration::ZERO },
            failed_at: None,
            stopped,
            taken_over: None,
            _open: open,
        })
    }

    pub(super) fn committer(&self) -> &Arc<Committer> {
        &self.committer
    }

    /// Works until every handle on the queue is gone and everything is answered; then closes the store.
    pub(super) async fn run(mut self, mut waiting: Waiting<Command, Outcome>, mut in_flight: InFlight) {
        loop {
            if let Begin::WhenWaiting(commands) = self.plan(0, &waiting, &mut in_flight).begin {
                select(pin!(in_flight.clear()), pin!(waiting.at_least(commands))).await;
            }
            let Some(calls) = gather(&mut waiting, self.limits.batch_max, self.until_due()).await else {
                in_flight.clear().await;
                return self.close().await;
            };
            if self.committer.published().superseded().is_some() {
                in_flight.clear().await;
                self.stop(calls).await;
                continue;
            }
            if self.committer.has_failed() {
                self.state = None;
            }
            if self.state.is_none() && self.is_recovery_due() {
                // Nothing may be in flight while the store says what is in it.
                in_flight.clear().await;
                self.recover().await;
            }
            // After a restart many may be due at once.
            while self.is_more_due_than_a_batch() {
                let Some(appended) = self.append(Vec::new()).await else { break };
                self.commit(appended, &waiting, &mut in_flight).await;
            }
            if let Some(appended) = self.append(calls).await {
                self.commit(appended, &waiting, &mut in_flight).await;
            }
        }
    }

    /// How long to wait for calls before a hold may be due; `None` if there are no holds.
    fn until_due(&self) -> Option<Duration> {
        let due = self.state.as_ref()?.holds.next_due()?;
        let wait = u64::try_from(due.0.saturating_sub(self.clock.now().0)).unwrap_or_default();
        // The clock may jump meanwhile.
        Some(Duration::from_millis(wait).clamp(LAPSE_WAIT_MIN, LAPSE_WAIT_MAX))
    }

    fn is_due(&self) -> bool {
        let next_due = self.state.as_ref().and_then(|state| state.holds.next_due());
        next_due.is_some_and(|due| due <= self.clock.now())
    }

    fn is_more_due_than_a_batch(&self) -> bool {
        self.is_due()
            && self.state.as_ref().is_some_and(|state| state.holds.is_more_due(Holds::LAPSES_MAX, self.clock.now()))
    }

    fn plan(&self, decided: usize, waiting: &Waiting<Command, Outcome>, in_flight: &mut InFlight) -> FlushPlan {
        let load = Load { decided, waiting: waiting.len(), in_flight: in_flight.count() };
        FlushPlan::of(load, self.limits.overlap_min)
    }

    /// Has a batch made durable and answered, here or by the committer.
    async fn commit(&mut self, appended: Appended, waiting: &Waiting<Command, Outcome>, in_flight: &mut InFlight) {
        let callers = appended.decided.len();
        match self.plan(callers, waiting, in_flight).flush {
            FlushBy::Committer => in_flight.send(appended).await,
            FlushBy::Appender => {
                self.committer.commit(appended).await;
                self.spin(waiting, callers);
            }
        }
    }

    /// Decides the calls and appends what they do. `None` if there is nothing to answer any more: every caller has gone, or the store
    /// has failed.
    async fn append(&mut self, mut calls: Vec<CommandCall>) -> Option<Appended> {
        // Nothing is done for a caller that has stopped waiting before its batch.
        calls.retain(|call| !call.reply.is_closed());
        if calls.is_empty() && !self.is_due() {
            return None;
        }
        // Put back only if the store does not fail.
        let Some(mut state) = self.state.take() else {
            self.refuse(calls);
            return None;
        };
        if let Err(error) = self.load(&calls, &mut state).await {
            show_failed(self.committer.published(), "read", &error);
            self.refuse(calls);
            return None;
        }
        let (batch, decided) = self.decide(calls, &mut state);
        if let Err(error) = self.write(&batch, &state).await {
            show_failed(self.committer.published(), "write", &error);
            match error {
                AppendError::NotAppended(error) => {
                    self.note(&error);
                    let why = self.taken_over.as_deref().unwrap_or("the store failed before it wrote anything");
                    answer_not_executed(decided, why);
                }
                AppendError::Unknown(_) => answer_unknown(decided),
            }
            return None;
        }
        let hash = state.hash;
        self.state = Some(state);
        Some(Appended { batch, hash, decided })
    }

    /// Has the store load what the calls touch, except for keys that are certainly new.
    async fn load(&mut self, calls: &[CommandCall], state: &mut State) -> Result<(), StoreError> {
        state.forget_batch();
        let may_be_known = |key: &OrderId| !self.recent_keys.is_new(*key);
        let (mut keys, mut identities, mut contacts) = (Vec::new(), Vec::new(), Vec::new());
        for Call { command, .. } in calls {
            keys.extend(command.keys().filter(may_be_known));
            identities.extend(command.identity());
            contacts.extend(command.contact_of().filter(may_be_known));
        }
        self.store.load(&keys, &identities, state).await?;
        if contacts.is_empty() { Ok(()) } else { self.store.load_contacts(&contacts, state).await }
    }

    fn decide(&self, calls: Vec<CommandCall>, state: &mut State) -> (Batch, Decided) {
        let now = self.clock.now();
        let mut batch = Batch::with_capacity(calls.len());
        state.lapse(now, &mut batch);
        state.read_ahead(calls.iter().map(|call| &call.command));
        let decide = |call: CommandCall| (call.reply, state.decide(&call.command, now, &mut batch));
        let decided: Decided = calls.into_iter().map(decide).collect();
        state.finish(&batch);
        metrics::histogram!("bookstore_batch_commands").record(decided.len() as f64);
        (batch, decided)
    }

    /// Appends the batch or, if there is nothing to append, has the store confirm what the refusals and replays rest on.
    async fn write(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        if batch.is_empty() {
            return self.store.confirm().await.map_err(AppendError::NotAppended);
        }
        self.store.append(batch, state).await?;
        let keys = batch.entries.iter().filter_map(|entry| Some((entry.key?, entry.at)));
        keys.for_each(|(key, at)| self.recent_keys.insert(key, at));
        Ok(())
    }

    /// Whether a failed store has been left alone for long enough.
    fn is_recovery_due(&mut self) -> bool {
        self.taken_over.is_none()
            && self.failed_at.get_or_insert_with(Instant::now).elapsed() >= self.limits.recover_after
    }

    /// Opens a failed store again, if that works by now. Nothing may be in flight.
    async fn recover(&mut self) {
        self.failed_at = Some(Instant::now());
        match self.store.recover().await {
            Ok(Recovered { mut state, highest_keys, superseded: _, flush }) => {
                state.contact_rule = self.contact_rule;
                tracing::info!(head = %state.head, "the store is open again");
                self.failed_at = None;
                self.committer.reopened(&state, flush).await;
                show_writable(self.committer.published(), true);
                self.recent_keys = RecentKeys::of(&highest_keys, self.clock.now());
                self.state = Some(state);
            }
            Err(error) => {
                tracing::error!(%error, "the store cannot be opened again yet");
                self.note(&error);
            }
        }
    }

    /// Notes if another writer has taken over.
    fn note(&mut self, error: &StoreError) {
        if let StoreError::TakenOver(why) = error {
            self.taken_over = Some(why.clone());
        }
    }

    /// Answers calls for which nothing was done.
    fn refuse(&self, calls: Vec<CommandCall>) {
        let why = self.taken_over.as_deref().unwrap_or("the store failed and has not been opened again yet");
        for call in calls {
            call.reply.send(Err(Error::unavailable(why)));
        }
    }

    /// Refuses calls, since the ledger goes on elsewhere. The first time, it has the store note that.
    async fn stop(&mut self, calls: Vec<CommandCall>) {
        let published = Arc::clone(self.committer.published());
        let Some(by) = published.superseded() else { return };
        if !self.stopped {
            show_writable(&published, false);
            if let Err(error) = self.store.supersede(by).await {
                tracing::error!(%error, "that the ledger goes on elsewhere could not be noted");
            }
            tracing::error!("nothing is sold any more: {}", Superseded(by));
            self.stopped = true;
        }
        for call in calls {
            call.reply.send(Err(Error::unavailable(Superseded(by).to_string())));
        }
    }

    /// Waits without sleeping until the answered callers are back, if they are few.
    fn spin(&self, waiting: &Waiting<Command, Outcome>, answered: usize) {
        if answered > SPIN_CALLERS_MAX {
            return;
        }
        let (from, all) = (std::time::Instant::now(), waiting.len() + answered);
        while waiting.len() < all && from.elapsed() < self.spin_wait {
            std::thread::yield_now();
        }
    }

    /// Closes the store, unless it has failed.
    async fn close(&mut self) {
        if let Some(state) = self.state.take().filter(|_| !self.committer.has_failed())
            && let Err(error) = self.store.close(&state).await
        {
            tracing::warn!(%error, "the store was not closed cleanly; the next start takes longer");
        }
    }
}

/// The next calls; none of them if none came in time. `None` when every handle on the queue is gone.
async fn gather(
    waiting: &mut Waiting<Command, Outcome>,
    limit: usize,
    within: Option<Duration>,
) -> Option<Vec<CommandCall>> {
    let calls = match within {
        None => waiting.gather(limit).await,
        Some(wait) => match tokio::time::timeout(wait, waiting.gather(limit)).await {
            Ok(calls) => calls,
            Err(_) => return Some(Vec::new()),
        },
    };
    (!calls.is_empty()).then_some(calls)
}

/// Why nothing is written any more.
pub(crate) struct Superseded<'a>(pub(crate) &'a LedgerIdentity);

impl fmt::Display for Superseded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeline = self.0.timelines.last().map(|timeline| timeline.id).unwrap_or_default();
        write!(
            f,
            "the ledger goes on elsewhere under the newer timeline {timeline}; take this catalog out of every --catalog list, or go \
             back to it with bookstore restore --replace"
        )
    }
}
