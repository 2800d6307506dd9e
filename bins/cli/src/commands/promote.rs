//! `bookstore promote`: makes a ledger of the copy that has followed furthest.

use bookstore_cli::load::grouped;
use bookstore_core::{
    Entries, Seq, SystemClock,
    audit::{Comparison, compare},
    history::Relation,
    service::CopyFeed,
    store::sqlite::{Restored, promote},
};
use std::{process::ExitCode, sync::Arc, time::Duration};

use super::{Failure, feeds, output::print, progress::Progress};
use crate::{cli::PromoteArgs, config};

/// A copy, and where it stands.
struct Candidate {
    url: String,
    feed: Arc<dyn CopyFeed>,
    end: Entries,
}

/// How long the copy must stand still: longer than a copy of a catalog that sells.
const STILL: Duration = Duration::from_millis(1500);

/// Runs the command.
pub(super) async fn run(args: &PromoteArgs) -> Result<ExitCode, Failure> {
    let store = config::store_file("--store", &args.store, "a copy becomes a ledger in a new file")?;
    let candidates = candidates(args).await?;
    let furthest = furthest(&candidates)?;
    for candidate in &candidates {
        print(&format!("{}: {} entries", candidate.url, grouped(candidate.end.head.0)));
    }
    warn_of_others(&candidates, furthest).await?;
    stands_still(furthest).await?;
    let progress = Progress::start(Duration::from_secs(5));
    let show =
        |at: Seq, of: Seq| progress.update(at.0, of.0, "promote", &format!("{} of {}", grouped(at.0), grouped(of.0)));
    let Restored { identity, head, .. } = promote(furthest.feed.as_ref(), &store, &SystemClock, show).await?;
    progress.clear();
    print(&format!("Made {} of {}, up to entry {}.", args.store, furthest.url, grouped(head.0 - 1)));
    let timeline = identity.timelines.last().map(|timeline| timeline.id.to_string()).unwrap_or_default();
    print(&format!("Timeline {timeline} of ledger {} begins with entry {}.", identity.ledger, grouped(head.0)));
    print(
        "Start a catalog over it; order servers follow it, and the old catalog stops selling when it meets one of them.",
    );
    Ok(ExitCode::SUCCESS)
}

/// Opens every copy that is named.
async fn candidates(args: &PromoteArgs) -> Result<Vec<Candidate>, Failure> {
    let token = config::server_token(args.server_token_file.as_deref())?;
    let mut candidates = Vec::new();
    for url in &args.copy {
        let feed = feeds::open(&config::feed("--copy", url)?, token.as_ref())?;
        let end = feed.page(Seq(u64::MAX), 1).await.map_err(|error| Failure::Answer {
            error,
            hint: Some(format!(
                "Nothing was done. If the copy {url} is lost, leave it out: orders that only it has are then in no ledger."
            )),
        })?;
        candidates.push(Candidate { url: url.clone(), feed, end });
    }
    Ok(candidates)
}

/// The copy with the newest timeline and, under that one, the most entries.
fn furthest(candidates: &[Candidate]) -> Result<&Candidate, Failure> {
    let mut candidates = candidates.iter();
    let Some(mut furthest) = candidates.next() else { return Err(Failure::Usage("no copy was given".into())) };
    for candidate in candidates {
        match furthest.end.identity.relation(&candidate.end.identity) {
            Relation::Same if candidate.end.head > furthest.end.head => furthest = candidate,
            Relation::Newer(_) => furthest = candidate,
            Relation::Same | Relation::Older => {}
            Relation::Unrelated => {
                let why = format!(
                    "{} and {} are not copies of one ledger, or of two timelines that went on from a third: give the copies of one only",
                    furthest.url, candidate.url
                );
                return Err(Failure::Failed(why));
            }
        }
    }
    Ok(furthest)
}

/// Says what other copies have that the new ledger will not have.
async fn warn_of_others(candidates: &[Candidate], furthest: &Candidate) -> Result<(), Failure> {
    for other in candidates.iter().filter(|other| other.url != furthest.url) {
        let compared = compare(furthest.feed.as_ref(), other.feed.as_ref()).await;
        match compared.map_err(|error| Failure::Answer { error, hint: None })? {
            Comparison::Differs { from, followed } => print(&format!(
                "{} has other entries from {} to {}: it sets them aside when it follows the new ledger",
                other.url,
                grouped(from.0),
                grouped(followed.0)
            )),
            Comparison::Ahead { .. } => {
                return Err(Failure::Failed(format!("{} is further than it was a moment ago: {LIVES}", other.url)));
            }
            Comparison::Same { .. } | Comparison::OtherLedger => {}
        }
    }
    Ok(())
}

const LIVES: &str = "it still follows a catalog; stop that one first, otherwise what it sells from now on is lost";

/// Refuses a copy that still follows a catalog.
async fn stands_still(furthest: &Candidate) -> Result<(), Failure> {
    tokio::time::sleep(STILL).await;
    let end = furthest.feed.page(Seq(u64::MAX), 1).await.map_err(|error| Failure::Answer { error, hint: None })?;
    if end.head == furthest.end.head && end.after == furthest.end.after {
        return Ok(());
    }
    Err(Failure::Failed(format!("{} grows: {LIVES}", furthest.url)))
}
