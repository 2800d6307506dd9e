//! Judges a run: the history against the ledger in the catalog's file, and whether enough went wrong.

use bookstore::core::{
    Entry, Kind as EntryKind,
    check::{self, Cached, Cancellations, CopyContents, Delivery, FinalState, History, Options, Report, ServerCopy},
    decide,
    store::{StoreError, sqlite::Snapshot},
};
use std::path::{Path, PathBuf};

use crate::{Outcome, buyers::CACHED, faults::Tally, hosts::Host, shop::Shop};

/// Checks a history against the files of a shop that has been closed.
pub(crate) async fn judge(shop: &Shop<'_>, history: &History) -> Report {
    let audited = shop.audit().await;
    let text = String::from_utf8_lossy(&audited.stdout);
    assert!(audited.status.success(), "the audit found: {text} {}", String::from_utf8_lossy(&audited.stderr));
    check_files(history, &shop.ledger(), [Host::Order1, Host::Order2].map(|host| (host, shop.copy(host))))
}

/// Checks a history against a ledger's file and the order servers' copies.
pub(crate) fn check_files(history: &History, ledger: &Path, copies: [(Host, PathBuf); 2]) -> Report {
    let mut finals = read_ledger(ledger).expect("the ledger can be read");
    for (host, copy) in copies {
        let (copied, followed) = read(&copy).map(|(entries, _, head)| (entries, head)).expect("a copy");
        finals.copies.push(ServerCopy {
            server: host.name().into(),
            followed,
            contents: CopyContents::Entries(copied),
        });
    }
    let options = Options {
        // Frontends may send what was not answered in time to the other order server.
        delivery: Delivery::Duplicated,
        cancellations: Cancellations::Eventually,
        cached: Cached::Through(CACHED.map(str::to_owned).into()),
    };
    check::check(history, &finals, &options)
}

type Contents = (Vec<Entry>, decide::Levels, bookstore::core::Seq);

fn read(path: &Path) -> Result<Contents, StoreError> {
    let mut entries = Vec::new();
    let (summary, mut levels) = Snapshot::open(path)?.read(|_, entry| {
        entries.push(entry);
        Ok::<(), StoreError>(())
    })?;
    // The stock table is a snapshot: the entries after it are replayed on top.
    entries.iter().filter(|entry| entry.seq > summary.applied).for_each(|entry| decide::apply(&mut levels, entry));
    Ok((entries, levels, summary.head))
}

fn read_ledger(path: &Path) -> Result<FinalState, StoreError> {
    let (entries, levels, _) = read(path)?;
    Ok(FinalState { entries, levels: Some(levels.iter().collect()), ..FinalState::default() })
}

/// Prints what happened in a run, fault by fault.
pub(crate) fn print_table(Outcome { kinds, tallies, .. }: &Outcome) {
    println!("{:<28} {:>6} {:>12} {:>9}", "fault", "made", "with effect", "effects");
    for kind in kinds {
        let Tally { made, met, effects } = tallies.0.get(kind).copied().unwrap_or_default();
        let (name, of) = kind.names();
        println!("{name:<28} {made:>6} {met:>12} {effects:>9} {of}");
    }
}

/// Why a run proves nothing, if so: what must happen at least in a run of this many seconds, and did not.
pub(crate) fn missing(Outcome { kinds, tallies, report }: &Outcome, seconds: u64) -> Vec<String> {
    // To inject every kind of fault once takes about ten seconds.
    let wanted = (seconds / 20).max(1);
    let met = |kind| tallies.0.get(kind).map_or(0, |tally| tally.met);
    let rare = kinds.iter().filter(|kind| met(kind) < wanted);
    let mut missing: Vec<String> = rare
        .map(|kind| format!("{}: {} times with an effect, at least {wanted} wanted", kind.names().0, met(kind)))
        .collect();
    let counts = report.counts;
    for (what, happened, wanted) in [
        ("answered calls", counts.answered, 40 * seconds),
        ("refused calls", counts.refused, seconds),
        ("calls that were not executed", counts.not_executed, 1),
        ("calls of unknown outcome", counts.unknown, seconds),
        ("calls of unknown outcome that happened", counts.unacknowledged, 1),
        ("replays", counts.replayed, seconds),
        ("calls at the same time", counts.at_once, 4),
    ] {
        if happened < wanted {
            missing.push(format!("{what}: {happened}, at least {wanted} wanted"));
        }
    }
    missing
}

/// How many sales the ledger holds.
pub(crate) fn sales(path: &Path) -> usize {
    let (entries, ..) = read(path).expect("the ledger can be read");
    entries.iter().filter(|entry| entry.kind == EntryKind::Sale).count()
}
