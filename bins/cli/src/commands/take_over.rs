//! `bookstore take-over`: buys the orders again that a copy has set aside.

use bookstore::Bookstore;
use bookstore_cli::load::counted;
use bookstore_core::{Currency, Executed, Line, Order, store::sqlite::Snapshot};
use serde::Serialize;
use std::process::ExitCode;

use super::{
    Failure, REFUSED, UNKNOWN,
    output::{amount, print, print_json},
    shop::{connect, same_shop},
};
use crate::{
    cli::TakeOverArgs,
    config::{self, FeedUrl},
};

/// Orders that are read at once.
const PAGE: usize = 100;

/// What has become of the orders, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Counts {
    bought: u64,
    /// The ledger has them already.
    known: u64,
    refused: u64,
    unknown: u64,
}

/// Runs the command.
pub(super) async fn run(args: &TakeOverArgs) -> Result<ExitCode, Failure> {
    let FeedUrl::File(path) = config::feed("--copy", &args.copy)? else {
        return Err(Failure::Usage("--copy is the file of an order server's copy here, as sqlite:PATH".into()));
    };
    let mut copy = Snapshot::open(&path)?;
    let shop = connect(&args.shop, None)?;
    let currency = copy.identity()?.map(|identity| identity.currency);
    let (mut counts, mut after, mut found) = (Counts::default(), 0, 0);
    loop {
        let orders = copy.orders_set_aside(after, PAGE)?;
        let Some((last, _)) = orders.last() else { break };
        after = *last;
        found += orders.len() as u64;
        for (_, order) in orders {
            if args.dry_run {
                print(&described(&order, currency));
            } else {
                counts.count(buy(&shop, order, currency).await);
            }
        }
    }
    if args.shop.json {
        print_json(&counts);
    } else if args.dry_run {
        print(&format!("{} set aside; nothing was bought.", counted(found, "order is", "orders are")));
    } else {
        let Counts { bought, known, refused, unknown } = counts;
        print(&format!(
            "{bought} bought again, {known} were in the ledger already, {refused} refused, {unknown} unknown."
        ));
    }
    if counts.unknown > 0 {
        eprintln!("Running it again is safe:\n  bookstore take-over --copy {}{}", args.copy, same_shop(&args.shop));
        return Ok(ExitCode::from(UNKNOWN));
    }
    Ok(if counts.refused > 0 { REFUSED } else { ExitCode::SUCCESS })
}

/// What became of one order.
enum Taken {
    Bought,
    Known,
    Refused,
    Unknown,
}

impl Counts {
    fn count(&mut self, taken: Taken) {
        let count = match taken {
            Taken::Bought => &mut self.bought,
            Taken::Known => &mut self.known,
            Taken::Refused => &mut self.refused,
            Taken::Unknown => &mut self.unknown,
        };
        *count += 1;
    }
}

async fn buy(shop: &Bookstore, order: Order, currency: Option<Currency>) -> Taken {
    let line = |line: &bookstore_core::OrderLine| Line {
        price_cents: Some(line.unit_price_cents),
        ..Line::new(line.book, line.quantity)
    };
    let lines: Vec<Line> = order.lines.iter().map(line).collect();
    match shop.purchase(order.id, lines).await {
        Ok(receipt) if receipt.replayed => Taken::Known,
        Ok(_) => Taken::Bought,
        Err(error) => {
            eprintln!("{}: {error}", described(&order, currency));
            if error.executed() == Executed::Unknown { Taken::Unknown } else { Taken::Refused }
        }
    }
}

fn described(order: &Order, currency: Option<Currency>) -> String {
    let lines = order.lines.iter().map(|line| format!("{} of book {}", line.quantity, line.book));
    let (lines, total) = (lines.collect::<Vec<_>>().join(", "), amount(currency, order.total_cents));
    format!("order {} ({lines}, {total})", order.id)
}
