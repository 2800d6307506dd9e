//! The writing half: claims the ledger, loads what a batch touches, appends the batch with one statement.

use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    PostgresOptions, StoreError,
    append::{self, Append, Appended},
    claim::{self, Claim, Claimant, Claimed},
    contacts,
    hosts::Hosts,
    outcome::WriteError,
    rows,
    session::Session,
};
use crate::{
    clock::Clock,
    decide::{Batch, Known, State},
    history::LedgerIdentity,
    id::{BookId, OrderId, Seq},
    order::Status,
    recent_keys::RecentKeys,
    store::{AppendError, Flush, LedgerStore, Recovered, encoding::to_u64, level_rows::DirtyRows},
};

/// The stock snapshot is rewritten after this many entries, or as many as there are books if these are more. A start after a crash
/// has to replay at most as many.
const SNAPSHOT_ENTRIES: u64 = 65_536;
/// The longest that reading the whole state may take.
const READ_STATE_MAX: Duration = Duration::from_secs(300);
/// The longest that loading what a batch touches may take.
const LOAD_MAX: Duration = Duration::from_secs(10);
/// How often a statement that certainly did nothing is sent again, and the pause before, which doubles.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(10);
/// The pause between two claims after an append of unknown outcome.
const CLAIM_PAUSE: Duration = Duration::from_millis(100);
/// Held orders that are read together.
const HOLDS_CHUNK: usize = 1_000;

/// The writing half of a ledger in PostgreSQL. It needs a writer with threads of its own
/// ([`Execution::Threads`](crate::execution::Execution::Threads)).
pub struct PostgresStore {
    hosts: Arc<Hosts>,
    clock: Arc<dyn Clock>,
    options: PostgresOptions,
    /// Who this writer is, in the ledger.
    name: Uuid,
    /// `None` before the first recovery, and after a failure.
    session: Option<Session>,
    /// The ledger was claimed by this writer before.
    has_claimed: bool,
    epoch: i64,
    head: Seq,
    /// The stock snapshot is as of this entry.
    applied: Seq,
    /// The rows of the stock snapshot that have changed since.
    dirty: DirtyRows,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { hosts, name, epoch, head, .. } = self;
        f.debug_struct("PostgresStore")
            .field("hosts", hosts)
            .field("name", name)
            .field("epoch", epoch)
            .field("head", head)
            .finish_non_exhaustive()
    }
}

/// What became of an append of unknown outcome.
enum Resolved {
    Appended,
    /// It is not in the ledger and never will be.
    NotAppended,
    /// The same, and somebody else writes now.
    TakenOver,
}

impl PostgresStore {
    pub(super) fn new(hosts: Arc<Hosts>, clock: Arc<dyn Clock>, options: PostgresOptions) -> Self {
        let name = clock.new_id();
        let (session, dirty) = (None, DirtyRows::default());
        let (epoch, head, applied) = (0, Seq(0), Seq(0));
        Self { hosts, clock, options, name, session, has_claimed: false, epoch, head, applied, dirty }
    }

    async fn claim(&mut self) -> Result<Claim, StoreError> {
        let claimant = Claimant { name: self.name, incarnation: self.clock.new_id(), from_anybody: !self.has_claimed };
        let claim = claim::claim(&self.hosts, &Handle::current(), claimant, &self.options).await?;
        if let Claim::Ours(Claimed { epoch, head, .. }) = &claim {
            tracing::info!(epoch, %head, "the ledger {} was claimed", self.hosts.name());
            self.has_claimed = true;
            self.epoch = *epoch;
        }
        Ok(claim)
    }

    /// Reads head, last book, levels, holds and the rest.
    async fn read_state(&mut self, session: &mut Session, head: Seq, applied: Seq) -> Result<State, StoreError> {
        let mut state = State { head, hash: rows::hash(session, head).await?, ..State::default() };
        self.dirty = DirtyRows::default();
        state.levels = rows::levels_at(session, applied, head, |entry| self.dirty.touch(entry)).await?;
        state.last_book = state.levels.last().0;
        read_holds(session, &mut state).await?;
        let last = session.query_one("SELECT coalesce(max(version), 0) FROM bookstore.contact", &[]).await?;
        state.contact_version = to_u64(last.get(0));
        (self.head, self.applied) = (head, applied);
        Ok(state)
    }

    /// Sends an append until its outcome is known, or the time is up.
    async fn append_known(&mut self, append: &Append) -> Result<Appended, AppendError> {
        let deadline = Instant::now() + self.options.write_timeout + self.options.resolve_timeout;
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let Some(session) = &mut self.session else {
                return Err(AppendError::NotAppended(not_recovered()));
            };
            let error = match append.send(session, self.epoch, &self.options).await {
                Ok(appended) => return Ok(appended),
                Err(error) => error,
            };
            match error {
                WriteError::NotWritten(error) => return Err(AppendError::NotAppended(error)),
                WriteError::TryAgain(error) if attempt == TRIES || Instant::now() >= deadline => {
                    return Err(AppendError::NotAppended(error));
                }
                WriteError::TryAgain(error) => tracing::info!(%error, "an append is sent again"),
                WriteError::Unknown(error) => {
                    tracing::warn!(%error, "the outcome of an append is unknown; the ledger is claimed to find out");
                    if let Some(session) = self.session.take() {
                        session.cut();
                    }
                    match self.resolve(append, deadline).await {
                        Some(Resolved::Appended) => return Ok(Appended::Yes),
                        Some(Resolved::NotAppended) if attempt < TRIES && Instant::now() < deadline => {}
                        Some(Resolved::NotAppended) => return Err(AppendError::NotAppended(error)),
                        Some(Resolved::TakenOver) => {
                            return Err(AppendError::NotAppended(claim::taken_over(&self.hosts)));
                        }
                        None => return Err(AppendError::Unknown(error)),
                    }
                }
            }
            sleep(pause).await;
            pause *= 2;
        }
        Err(AppendError::NotAppended(StoreError::Failed("the append was sent too often".into())))
    }

    /// Claims the ledger, after which an append on its way can never succeed, and looks whether it did. `None` if that is not known in time.
    async fn resolve(&mut self, append: &Append, deadline: Instant) -> Option<Resolved> {
        while Instant::now() < deadline {
            match tokio::time::timeout_at(deadline, self.claim()).await.ok()? {
                Ok(Claim::Ours(claimed)) => return self.look_after_claim(append, claimed).await,
                Ok(Claim::Lost(session)) => return self.look_after_loss(append, session).await,
                Err(error) => tracing::warn!(%error, "the ledger cannot be claimed yet"),
            }
            sleep(CLAIM_PAUSE).await;
        }
        None
    }

    /// Nobody else has written since: the head tells.
    async fn look_after_claim(&mut self, append: &Append, claimed: Claimed) -> Option<Resolved> {
        let Claimed { mut session, head, .. } = claimed;
        let head = crate::store::encoding::to_i64(head.0);
        let (before, after) = append.range();
        let appended = match append.last_contact().filter(|_| append.has_no_entries()) {
            Some((order, version)) => {
                let sql = "SELECT 1 FROM bookstore.contact WHERE order_id = $1 AND version = $2";
                !session.query(sql, &[&order, &version]).await.ok()?.is_empty()
            }
            None => head == after,
        };
        if head != before && head != after {
            // Somebody has changed the row by hand.
            return None;
        }
        self.session = Some(session);
        Some(if appended { Resolved::Appended } else { Resolved::NotAppended })
    }

    /// Somebody else writes now, perhaps behind the batch: the entries tell.
    async fn look_after_loss(&self, append: &Append, mut session: Session) -> Option<Resolved> {
        let (_, after) = append.range();
        // Contacts alone leave no trace that nobody else could leave.
        let hash = append.hash()?;
        let has = claim::has_hash(&mut session, self.name, (after, hash), self.options.write_timeout).await.ok()?;
        Some(if has { Resolved::Appended } else { Resolved::TakenOver })
    }

    /// Why an append, or a confirmation, met another ledger than it should.
    async fn why_fenced(&mut self) -> StoreError {
        let leader = match &mut self.session {
            Some(session) => session.query("SELECT leader FROM bookstore.ledger", &[]).await.ok(),
            None => None,
        };
        let leader: Option<Uuid> = leader.and_then(|rows| rows.first().and_then(|row| row.get(0)));
        match leader {
            Some(leader) if leader != self.name => claim::taken_over(&self.hosts),
            _ => StoreError::Failed("the ledger is not where this writer left it".into()),
        }
    }
}

impl LedgerStore for PostgresStore {
    async fn recover(&mut self) -> Result<Recovered, StoreError> {
        if let Some(failed) = self.session.take() {
            failed.cut();
        }
        let Claim::Ours(claimed) = self.claim().await? else { return Err(claim::taken_over(&self.hosts)) };
        let Claimed { mut session, head, applied, superseded, .. } = claimed;
        let read = async {
            let state = self.read_state(&mut session, head, applied).await?;
            Ok::<_, StoreError>((state, highest_keys(&mut session).await?))
        };
        let read = timeout(READ_STATE_MAX, read).await;
        let (state, highest_keys) =
            read.map_err(|_| StoreError::Failed("the ledger took too long to read".into()))??;
        self.session = Some(session);
        Ok(Recovered { state, highest_keys, superseded, flush: Box::new(Committed) })
    }

    async fn load(&mut self, keys: &[OrderId], identities: &[String], state: &mut State) -> Result<(), StoreError> {
        let session = self.session.as_mut().ok_or_else(not_recovered)?;
        let load = async {
            let entries = rows::entries_of(session, keys, state.head).await?;
            state.known.extend(entries.into_iter().filter_map(|(key, entries)| Some((key, Known::of(&entries)?))));
            load_identities(session, identities, state).await
        };
        within(LOAD_MAX, load).await
    }

    async fn load_contacts(&mut self, orders: &[OrderId], state: &mut State) -> Result<(), StoreError> {
        let session = self.session.as_mut().ok_or_else(not_recovered)?;
        let known = within(LOAD_MAX, contacts::of(session, orders)).await?;
        state.contacts.extend(known.into_iter().map(|(order, contact)| (order, contact.map(Box::new))));
        Ok(())
    }

    async fn append(&mut self, batch: &Batch, state: &State) -> Result<(), AppendError> {
        batch.entries.iter().for_each(|entry| self.dirty.touch(entry));
        let snapshot_due = state.head.0.saturating_sub(self.applied.0) >= SNAPSHOT_ENTRIES.max(state.last_book);
        let append = Append::of(batch, state, snapshot_due.then_some(&self.dirty)).map_err(AppendError::NotAppended)?;
        match self.append_known(&append).await? {
            Appended::Yes => {}
            Appended::Fenced => return Err(AppendError::NotAppended(self.why_fenced().await)),
        }
        self.head = state.head;
        if snapshot_due {
            self.applied = state.head;
            self.dirty.clear();
        }
        Ok(())
    }

    async fn confirm(&mut self) -> Result<(), StoreError> {
        let session = self.session.as_mut().ok_or_else(not_recovered)?;
        let confirmed = claim::confirm(session, (self.epoch, self.head, self.name), self.options.write_timeout).await;
        match confirmed.map_err(WriteError::into_store_error)? {
            true => Ok(()),
            false => Err(self.why_fenced().await),
        }
    }

    async fn supersede(&mut self, by: &LedgerIdentity) -> Result<(), StoreError> {
        let session = self.session.as_mut().ok_or_else(not_recovered)?;
        let sql = "UPDATE bookstore.ledger SET superseded = $1 WHERE epoch = $2 RETURNING 1";
        let noted = session.write(sql, &[&by.to_string(), &self.epoch], self.options.write_timeout).await;
        match noted.map_err(WriteError::into_store_error)?.is_empty() {
            false => Ok(()),
            true => Err(self.why_fenced().await),
        }
    }

    /// Writes the stock snapshot, so that the next start has nothing to replay, and lets go of the ledger.
    async fn close(&mut self, state: &State) -> Result<(), StoreError> {
        let Some(mut session) = self.session.take() else { return Ok(()) };
        append::close(&mut session, (self.epoch, self.name), state, &self.dirty, &self.options).await
    }
}

/// What was appended has been committed: it is as durable as the server makes it.
struct Committed;

#[async_trait]
impl Flush for Committed {
    async fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn not_recovered() -> StoreError {
    StoreError::Failed("the store has not been recovered".into())
}

async fn within<T>(time: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(time, work).await.unwrap_or_else(|_| Err(StoreError::Failed("PostgreSQL did not answer in time".into())))
}

async fn load_identities(session: &mut Session, identities: &[String], state: &mut State) -> Result<(), StoreError> {
    if identities.is_empty() {
        return Ok(());
    }
    let hashes: Vec<Vec<u8>> = identities.iter().map(|identity| append::hash_of(identity)).collect();
    let sql = "SELECT n, book FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted (hash, n)
        JOIN bookstore.identity USING (hash)";
    for row in session.query(sql, &[&hashes]).await? {
        let at = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        let Some(identity) = at.checked_sub(1).and_then(|at| identities.get(at)) else { continue };
        state.identities.insert(identity.clone(), BookId(to_u64(row.get(1))));
    }
    Ok(())
}

/// Puts the held orders into a state that has the ledger's head.
async fn read_holds(session: &mut Session, state: &mut State) -> Result<(), StoreError> {
    let keys = session.query("SELECT key FROM bookstore.hold", &[]).await?;
    let keys: Vec<OrderId> = keys.iter().map(|row| OrderId(row.get(0))).collect();
    for keys in keys.chunks(HOLDS_CHUNK) {
        let mut entries = rows::entries_of(session, keys, state.head).await?;
        for key in keys {
            match crate::order::Order::of(&entries.remove(key).unwrap_or_default()) {
                Some(order) if order.status == Status::Held => state.holds.insert(order),
                _ => return Err(StoreError::Unusable(format!("it is damaged: order {key} should be held"))),
            }
        }
    }
    Ok(())
}

async fn highest_keys(session: &mut Session) -> Result<Vec<OrderId>, StoreError> {
    let sql = "SELECT key FROM bookstore.entry WHERE key IS NOT NULL ORDER BY key DESC LIMIT $1";
    let rows = session.query(sql, &[&crate::store::encoding::to_i64(RecentKeys::REACH as u64)]).await?;
    Ok(rows.iter().map(|row| OrderId(row.get(0))).collect())
}
