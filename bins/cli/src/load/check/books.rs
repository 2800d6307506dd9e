//! Compares the stock of books with what was sold.

use bookstore_core::BookId;
use std::{collections::BTreeMap, time::Duration};

use super::ledger::LedgerCheck;
use crate::load::{
    catalogue::{ShownBook, path},
    client::{Ask, Client},
    drive::Run,
    progress::{CheckProgress, Phase},
    purchases::Promise,
    stop::Ending,
};

/// How often a book is read that is still shown as it was before a sale: a frontend's cache follows the ledger.
const ROUNDS: u32 = 50;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(100);

/// How many books were compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    pub(super) compared: u64,
    pub(super) unread: u64,
}

/// Replays the ledger and compares every book of the run with it.
pub(super) async fn against_ledger(
    run: &Run,
    ledger: &mut LedgerCheck<'_>,
    client: &mut Client,
    ending: &Ending,
    progress: &CheckProgress,
) -> Compared {
    let limits = &run.load.limits;
    let mut compared = Compared::default();
    let mut waiting: Vec<BookId> = run.catalogue.books.iter().map(|book| book.id).collect();
    if !ledger.read(client, limits, ending, progress).await {
        compared.unread = waiting.len() as u64;
        return compared;
    }
    progress.enter(Phase::Books, Some(waiting.len() as u64));
    for round in 0..ROUNDS {
        let mut behind = Vec::new();
        for book in waiting {
            match read_book(run, client, book, ending).await {
                None => compared.unread += 1,
                Some(shown) if ledger.is_behind(shown) => behind.push(book),
                Some(_) => {
                    compared.compared += 1;
                    progress.done(1);
                }
            }
        }
        // What was sold meanwhile, perhaps to others.
        ledger.read(client, limits, ending, progress).await;
        waiting = behind;
        if waiting.is_empty() {
            return compared;
        }
        if round + 1 < ROUNDS && !ending.sleep(PAUSE).await {
            compared.unread += waiting.len() as u64;
            return compared;
        }
    }
    for book in waiting {
        let what = format!("book {book} is still shown as it was before an entry that the ledger has had for a while");
        run.findings.add(Promise::NeverOversold, what);
    }
    compared
}

/// Without the ledger: compares how the stock of each book has changed with what this run has bought.
pub(super) async fn against_sales(
    run: &Run,
    sold: &BTreeMap<BookId, i64>,
    client: &mut Client,
    ending: &Ending,
    progress: &CheckProgress,
) -> Compared {
    let before: BTreeMap<BookId, i64> = run.catalogue.books.iter().map(|book| (book.id, book.stock)).collect();
    let mut compared = Compared::default();
    let mut waiting: Vec<(BookId, i64)> = sold.iter().map(|(book, sold)| (*book, *sold)).collect();
    let mut wrong = Vec::new();
    for _ in 0..ROUNDS {
        wrong.clear();
        for (book, sold) in std::mem::take(&mut waiting) {
            let Some(shown) = read_book(run, client, book, ending).await else {
                compared.unread += 1;
                continue;
            };
            match contradiction(book, before.get(&book).copied().unwrap_or_default(), sold, shown.stock) {
                Some(what) => {
                    wrong.push(what);
                    waiting.push((book, sold));
                }
                None => {
                    compared.compared += 1;
                    progress.done(1);
                }
            }
        }
        // A frontend may show the stock of a moment ago.
        if waiting.is_empty() || !ending.sleep(PAUSE).await {
            break;
        }
    }
    compared.compared += waiting.len() as u64;
    wrong.into_iter().for_each(|what| run.findings.add(Promise::NeverOversold, what));
    compared
}

/// How the stock contradicts the sales, unless somebody else added copies meanwhile.
fn contradiction(book: BookId, before: i64, sold: i64, after: i64) -> Option<String> {
    let fell = before - after;
    let unless = "unless somebody added copies during the run";
    if after < 0 {
        Some(format!("book {book} is shown with a stock of {after}"))
    } else if sold > before {
        Some(format!("book {book} had {before} in stock, but {sold} were sold ({unless})"))
    } else if fell < sold {
        Some(format!(
            "book {book} was sold {sold} times, but its stock fell by {fell} only, from {before} to {after} ({unless})"
        ))
    } else {
        None
    }
}

async fn read_book(run: &Run, client: &mut Client, book: BookId, ending: &Ending) -> Option<ShownBook> {
    let ask = Ask::get(path(&format!("/info/{book}")).ok()?);
    let answer = client.call(&ask, run.load.limits.timeout, ending).await.result.ok()?;
    serde_json::from_slice::<ShownBook>(&answer.body).ok().filter(|shown| shown.id == book)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_that_does_not_add_up_is_told() {
        let wrong = |before, sold, after| contradiction(BookId(1), before, sold, after);
        assert_eq!(wrong(10, 3, 7), None);
        assert_eq!(wrong(10, 3, 2), None, "others may have bought, too");
        assert_eq!(wrong(10, 10, 0), None);
        assert!(wrong(10, 3, 8).unwrap().contains("fell by 2"));
        assert!(wrong(10, 11, 0).unwrap().contains("11 were sold"));
        assert!(wrong(10, 11, -1).unwrap().contains("-1"));
    }
}
