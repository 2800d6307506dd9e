//! Who writes: the one who claimed the ledger last. A claim raises the ledger's epoch, after which no append of an earlier epoch can ever
//! succeed.

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    PostgresOptions, StoreError,
    hosts::{Hosts, Writable},
    outcome::WriteError,
    session::{Session, Value},
    view::WRITER,
};
use crate::{
    history::LedgerIdentity,
    id::Seq,
    store::encoding::{to_i64, to_u64},
};

/// Who claims, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimant {
    /// The name of the writer, drawn when it was opened.
    pub(super) name: Uuid,
    /// Drawn for this claim.
    pub(super) incarnation: Uuid,
    /// Whether it takes the ledger from whoever has it. A writer does so once, when it begins: if it were to do so again after it was
    /// replaced, the two would take the ledger from each other for ever.
    pub(super) from_anybody: bool,
}

/// The ledger as it was claimed.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) session: Session,
    pub(super) epoch: i64,
    pub(super) head: Seq,
    pub(super) applied: Seq,
    pub(super) superseded: Option<LedgerIdentity>,
}

/// How a claim ended.
#[derive(Debug)]
pub(super) enum Claim {
    Ours(Claimed),
    /// Somebody else has claimed the ledger since. This session shows it, and what it shows is confirmed by a write.
    Lost(Session),
}

/// One statement: that it was committed also confirms what is read after it, and what its answer says.
const CLAIM: &str = "
    WITH me AS (INSERT INTO bookstore.member AS m (name, beat, seen) VALUES ($1, 1, now())
            ON CONFLICT (name) DO UPDATE SET beat = m.beat + 1, seen = now()),
        gone AS (DELETE FROM bookstore.member WHERE name <> $1 AND seen < now() - interval '1 day')
    UPDATE bookstore.ledger SET epoch = epoch + 1, leader = $1, incarnation = $2 WHERE $3 OR leader = $1
    RETURNING epoch, seq, applied, superseded";

/// Claims the ledger on every host that accepts writes and has the newest one, side by side: a primary that was cut off never answers, as
/// it waits for its standby. The first clean commit counts.
///
/// # Errors
/// No host can be written to, or none answered in time. It may have been claimed all the same.
pub(super) async fn claim(
    hosts: &Hosts,
    runtime: &Handle,
    claimant: Claimant,
    options: &PostgresOptions,
) -> Result<Claim, StoreError> {
    let writable = hosts.newest_writable(runtime).await?;
    let mut claims: FuturesUnordered<_> =
        writable.into_iter().map(|writable| claim_on(writable, claimant, options.write_timeout)).collect();
    let mut failed = StoreError::Failed("no host can be written to".into());
    while let Some(claimed) = claims.next().await {
        match claimed {
            Ok((host, claim)) => {
                hosts.set_current(host);
                return Ok(claim);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn claim_on(writable: Writable, claimant: Claimant, within: Duration) -> Result<(usize, Claim), StoreError> {
    let Writable { host, mut session, place: _ } = writable;
    let Claimant { name, incarnation, from_anybody } = claimant;
    let values: [Value<'_>; 3] = [&name, &incarnation, &from_anybody];
    session.batch(&format!("SET application_name = '{WRITER}'")).await?;
    match session.write(CLAIM, &values, within).await {
        Ok(rows) => match rows.first() {
            Some(row) => Ok((host, Claim::Ours(claimed(row, session)?))),
            None => Ok((host, Claim::Lost(session))),
        },
        Err(error) => {
            session.cut();
            Err(error.into_store_error())
        }
    }
}

fn claimed(row: &Row, session: Session) -> Result<Claimed, StoreError> {
    let superseded = row.get::<_, Option<&str>>(3).map(str::parse).transpose();
    let superseded = superseded
        .map_err(|error| StoreError::Unusable(format!("it is damaged: what supersedes it cannot be read ({error})")))?;
    let (epoch, head, applied) = (row.get(0), Seq(to_u64(row.get(1))), Seq(to_u64(row.get(2))));
    Ok(Claimed { session, epoch, head, applied, superseded })
}

/// Confirms by a write that the ledger was still claimed by this writer, with its entries up to `head`. False if it was not.
///
/// # Errors
/// As [`Session::write`].
pub(super) async fn confirm(
    session: &mut Session,
    (epoch, head, name): (i64, Seq, Uuid),
    within: Duration,
) -> Result<bool, WriteError> {
    const CONFIRM: &str = "WITH l AS (SELECT 1 FROM bookstore.ledger WHERE epoch = $1 AND seq = $2)
        UPDATE bookstore.member SET beat = beat + 1, seen = now() FROM l WHERE name = $3 RETURNING 1";
    let rows = session.write(CONFIRM, &[&epoch, &to_i64(head.0), &name], within).await?;
    Ok(!rows.is_empty())
}

/// Whether the ledger has an entry with this hash: a batch that this writer sent, or another history. It is confirmed by a write.
///
/// # Errors
/// It could not be read, or not be confirmed.
pub(super) async fn has_hash(
    session: &mut Session,
    name: Uuid,
    (seq, hash): (i64, &[u8]),
    within: Duration,
) -> Result<bool, StoreError> {
    const HAS: &str =
        "WITH me AS (UPDATE bookstore.member SET beat = beat + 1, seen = now() WHERE name = $1 RETURNING 1)
        SELECT (SELECT count(*) FROM me), EXISTS (SELECT 1 FROM bookstore.entry WHERE seq = $2 AND hash = $3)";
    let rows = session.write(HAS, &[&name, &seq, &hash], within).await.map_err(WriteError::into_store_error)?;
    match rows.first().map(|row| (row.get::<_, i64>(0), row.get(1))) {
        Some((1, has)) => Ok(has),
        _ => Err(StoreError::Failed("the database could not be written to".into())),
    }
}

/// What the one who was replaced says.
pub(super) fn taken_over(hosts: &Hosts) -> StoreError {
    StoreError::TakenOver(format!(
        "another catalog has taken over the ledger {}: this one writes nothing any more; stop it, or start it again to take the ledger back",
        hosts.name()
    ))
}
