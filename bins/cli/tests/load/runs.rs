//! Runs on a real shop: every mix, both loops.

use bookstore_cli::load::{
    Limits, Load, LoadError, LoadResult, Mix, Operation, Pace, Phase, Prize, Progress, Reason, Stop, Target, Verdict,
};
use bookstore_core::{BookId, Kind, Seq};
use std::{
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use crate::support::{Answer, Asked, Meddler, Shop, TOKEN, admin_load, load, meddle, run, run_until};

const OPEN: Pace = Pace::Open { rate: 400.0, clients: 8 };
const CLOSED: Pace = Pace::Closed { clients: 8 };

/// Sales in the ledger itself.
async fn sales(shop: &Shop) -> u64 {
    let (mut sales, mut after) = (0, Seq::default());
    loop {
        let page = shop.admin().catalog().entries(after, 1000, Duration::ZERO).await.unwrap();
        sales += page.entries.iter().filter(|entry| entry.kind == Kind::Sale).count() as u64;
        match page.entries.last() {
            Some(last) => after = last.seq,
            None => return sales,
        }
    }
}

fn succeeded(result: &LoadResult, operation: Operation) -> u64 {
    let mut found = result.operations.iter().filter(|of| of.operation == operation);
    found.next().map_or(0, |of| of.numbers.succeeded)
}

/// The load, for as long as so many purchases take.
fn until(purchases_max: usize, load: Load) -> Load {
    let limits = Limits { purchases_max, ..load.limits };
    Load { limits, duration: Duration::from_secs(300), ..load }
}

fn assert_good(result: &LoadResult) {
    assert_eq!(result.check.verdict, Verdict::Kept, "{:#?}", result.check);
    assert_eq!(result.total.failed_total(), 0, "{:?}", result.kinds());
    assert!(result.total.succeeded > 0);
    assert_eq!(result.check.confirmed, result.check.acknowledged);
    assert_eq!(result.total.latency.as_ref().unwrap().curve[0].0, 0.0);
    assert!(result.measured_seconds > 0.0 && result.measured_seconds <= result.planned_seconds + 1e-9);
}

#[tokio::test(flavor = "multi_thread")]
async fn tpc_w_mixes_in_both_loops_keep_every_promise() {
    for mix in [Mix::Browsing, Mix::Shopping, Mix::Ordering] {
        for pace in [CLOSED, OPEN] {
            let (shop, result) = run_until(100, |shop| Load { pace, ..admin_load(&shop.url, mix) }).await;
            assert_good(&result);
            assert!(result.shares.len() > 5);
            for share in result.shares.iter().filter(|share| share.percent > 10.0) {
                assert!(succeeded(&result, share.operation) > 0, "{mix} {share:?}: {:?}", result.operations);
            }
            assert_eq!(result.check.acknowledged, sales(&shop).await, "{mix}");
            assert!(result.check.ledger_entries.unwrap() >= 10 + result.check.acknowledged);
            assert_eq!(result.wait.is_some(), pace == OPEN);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordering_mix_buys_reads_orders_and_sends_purchases_again() {
    let shop = Shop::full().await;
    let result = run(&Load { again: 1.0, ..until(600, admin_load(&shop.url, Mix::Ordering)) }).await;
    assert_good(&result);
    let bought = succeeded(&result, Operation::Purchase);
    assert!(succeeded(&result, Operation::Order) > 0, "{:?}", result.operations);
    assert_eq!(
        (bought, bought, bought),
        (600, succeeded(&result, Operation::PurchaseAgain), result.check.acknowledged)
    );
    assert_eq!(bought, sales(&shop).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_is_followed_by_a_purchase_with_the_given_chance() {
    let shop = Shop::full().await;
    let never = run(&load(&shop.url, Mix::Chance(0.0))).await;
    assert_good(&never);
    assert_eq!((never.check.acknowledged, sales(&shop).await), (0, 0));
    let always = run(&Load { again: 0.0, ..load(&shop.url, Mix::Chance(1.0)) }).await;
    assert_good(&always);
    let (looks, bought) = (succeeded(&always, Operation::Book), succeeded(&always, Operation::Purchase));
    assert!(looks - bought <= 4, "each of the 4 clients may have ended between the two: {looks} {bought}");
    assert_eq!(bought, sales(&shop).await);
    let half = |shop: &Shop| Load { pace: OPEN, duration: Duration::from_secs(1), ..load(&shop.url, Mix::Chance(0.5)) };
    let (_shop, open) = run_until(200, half).await;
    assert_good(&open);
    let part = succeeded(&open, Operation::Purchase) as f64 / succeeded(&open, Operation::Book) as f64;
    assert!((0.3..0.7).contains(&part), "{part}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_buys_what_was_seen_sold_out() {
    let shop = Shop::with_books(&[("Gone", 0)]).await;
    let result = run(&load(&shop.url, Mix::Chance(1.0))).await;
    assert_eq!((result.check.verdict, result.check.acknowledged), (Verdict::Kept, 0));
    assert_eq!(result.total.refused_total(), 0, "{:?}", result.kinds());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_sells_every_copy_and_not_one_more() {
    for pace in [CLOSED, Pace::Open { rate: 5000.0, clients: 8 }] {
        let shop = Shop::empty().await;
        let load =
            Load { pace, duration: Duration::from_secs(20), ..admin_load(&shop.url, Mix::Race(Prize::Copies(100))) };
        let result = run(&load).await;
        assert_good(&result);
        let race = result.race.unwrap();
        assert_eq!((race.copies, race.sold, race.sold_out, race.buyers), (100, 100, true, 8));
        assert_eq!((result.ended, result.check.acknowledged, sales(&shop).await), (Reason::SoldOut, 100, 100));
        assert!(race.winners >= 1 && race.jain_index >= 1.0 / 8.0 && race.jain_index <= 1.0, "{race:?}");
        assert!(race.seconds > 0.0 && race.seconds < 20.0 && race.sold_per_second > 0.0, "{race:?}");
        let [least, .., most] = race.copies_per_buyer;
        assert!(least <= 100 / 8 && most >= 100 / 8, "{race:?}");
        assert_eq!(shop.admin().info(race.book).await.unwrap().stock, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_for_a_book_that_there_is_needs_no_token() {
    let shop = Shop::with_books(&[("Other", 5), ("Prize", 30)]).await;
    let load = Load { duration: Duration::from_secs(20), ..load(&shop.url, Mix::Race(Prize::Book(BookId(2)))) };
    let result = run(&load).await;
    assert_good(&result);
    let race = result.race.unwrap();
    assert_eq!((race.book, race.copies, race.sold, sales(&shop).await), (BookId(2), 30, 30, 30));
    let oversold = &result.check.promises[0];
    assert!(oversold.not_checked.as_ref().unwrap().contains("admin token"), "{oversold:?}");
    assert_eq!(shop.admin().info(BookId(1)).await.unwrap().stock, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_warm_up_buys_but_is_not_measured() {
    let shop = Shop::full().await;
    let load = Load { warmup: Duration::from_millis(300), again: 0.0, ..load(&shop.url, Mix::Chance(1.0)) };
    let result = run(&load).await;
    assert_good(&result);
    assert!(succeeded(&result, Operation::Purchase) < result.check.acknowledged, "{result:?}");
    let seen: u64 = result.timeline.iter().map(|moment| moment.succeeded).sum();
    assert!(seen > result.total.succeeded, "the timeline shows the warm-up, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn books_are_stocked_before_the_start() {
    let shop = Shop::with_books(&[("Few", 1), ("Many", 5000)]).await;
    let result = run(&Load { stock: Some(3000), ..admin_load(&shop.url, Mix::Chance(0.0)) }).await;
    assert_good(&result);
    let stocks = [1, 2].map(|id| async move { BookId(id) });
    let mut found = Vec::new();
    for id in stocks {
        found.push(shop.admin().info(id.await).await.unwrap().stock);
    }
    assert_eq!(found, [3000, 5000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_load_and_what_was_bought_is_still_checked() {
    let shop = Shop::full().await;
    let hour = Load { duration: Duration::from_secs(3600), ..load(&shop.url, Mix::Chance(1.0)) };
    for pace in [CLOSED, OPEN] {
        let (stop, once) = (Stop::new(), Once::new());
        let tell = |progress: &Progress| {
            if progress.phase == Phase::Load && progress.succeeded > 10 {
                once.call_once(|| stop.stop());
            }
        };
        let result = Load { pace, ..hour.clone() }.run(&tell, &stop).await.unwrap();
        assert_eq!((result.ended, result.check.verdict), (Reason::Stopped, Verdict::Kept), "{:#?}", result.check);
        assert!(result.check.acknowledged > 0);
        assert_eq!(result.check.confirmed, result.check.acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stop_ends_the_check_which_then_proves_nothing() {
    let shop = Shop::full().await;
    let stop = Stop::new();
    let hour = Load { duration: Duration::from_secs(3600), ..admin_load(&shop.url, Mix::Chance(1.0)) };
    let tell = |progress: &Progress| match progress.phase {
        Phase::Load if progress.succeeded > 500 => stop.stop(),
        phase if phase >= Phase::Orders => stop.stop(),
        _ => {}
    };
    let result = hour.run(&tell, &stop).await.unwrap();
    assert_eq!((result.ended, result.check.verdict), (Reason::Stopped, Verdict::Incomplete), "{:#?}", result.check);
    assert!(result.check.unread > 0 && result.check.confirmed < result.check.acknowledged);
    assert_eq!(result.check.findings_total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_purchases_are_made_than_can_be_remembered() {
    let shop = Shop::full().await;
    let load = until(25, load(&shop.url, Mix::Chance(1.0)));
    let result = run(&load).await;
    assert_eq!((result.ended, result.check.acknowledged, sales(&shop).await), (Reason::PurchasesMax, 25, 25));
    assert_eq!(result.check.verdict, Verdict::Kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_makes_the_same_choices() {
    let shop = Shop::full().await;
    let bought = async |seed| {
        let witness = Arc::new(Witness::default());
        let url = meddle(&shop, Arc::clone(&witness)).await;
        let one = Load { seed, pace: Pace::Closed { clients: 1 }, ..load(&url, Mix::Chance(0.5)) };
        run(&until(20, one)).await;
        let paths = witness.0.lock().unwrap();
        // After the last purchase comes the check.
        let last = paths.iter().rposition(|path| path.starts_with("/purchase")).unwrap();
        paths[..=last].to_vec()
    };
    let first = bought(7).await;
    assert!(first.len() > 22, "{first:?}");
    assert_eq!(first, bought(7).await);
    assert_ne!(first, bought(8).await);
}

/// Remembers what was asked.
#[derive(Default)]
struct Witness(Mutex<Vec<String>>);

impl Meddler for Witness {
    fn instead(&self, asked: &Asked) -> Option<Answer> {
        self.0.lock().unwrap().push(asked.uri.path().to_owned());
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_json_and_a_report_that_needs_nothing_else() {
    let shop = Shop::full().await;
    let result = run(&Load { warmup: Duration::from_millis(100), ..admin_load(&shop.url, Mix::Ordering) }).await;
    let json = serde_json::to_string(&result).unwrap();
    let mut read: LoadResult = serde_json::from_str(&json).unwrap();
    // Floats may lose their last bit on the way; everything else is the same.
    read.total.answered_per_second = result.total.answered_per_second;
    assert_eq!((read.check, read.mix, read.pace), (result.check.clone(), result.mix, result.pace));
    assert!(!json.contains(TOKEN));
    let html = result.html();
    assert_eq!(html.matches("<svg").count(), 3);
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert!(html.contains("Every promise is kept") && html.contains("prefers-color-scheme: dark"));
    for foreign in ["<script", "<link", "src=", "url(", "@import", "NaN", "inf", TOKEN] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_said() {
    let shop = Shop::empty().await;
    let error = async |load: Load| load.run(&|_| (), &Stop::new()).await.unwrap_err();
    assert!(matches!(error(load(&shop.url, Mix::Shopping)).await, LoadError::NoBooks));
    let wrong = bookstore::AccessToken::new(&TOKEN.replace('0', "x")).unwrap();
    let target = Target { servers: vec![shop.url.clone()], admin_token: Some(wrong) };
    let refused = error(Load { target, ..load(&shop.url, Mix::Shopping) }).await;
    assert!(matches!(&refused, LoadError::Refused { error, .. } if error.code() == "unauthorized"), "{refused}");
    let missing = error(load(&shop.url, Mix::Race(Prize::Book(BookId(99))))).await;
    assert!(matches!(&missing, LoadError::Refused { error, .. } if error.code() == "unknown-book"), "{missing}");
    // A port that nobody listens on.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let limits = Limits { timeout: Duration::from_millis(50), ..Limits::default() };
    let nobody = error(Load { limits, ..load(&format!("http://{free}"), Mix::Shopping) }).await;
    assert!(matches!(nobody, LoadError::NoAnswer { .. }), "{nobody}");
    let bad = |change: fn(&mut Load)| {
        let mut load = load(&shop.url, Mix::Shopping);
        change(&mut load);
        matches!(load.check(), Err(LoadError::Invalid(_)))
    };
    assert!(bad(|load| load.pace = Pace::Closed { clients: 0 }));
    assert!(bad(|load| load.pace = Pace::Closed { clients: 10_001 }));
    assert!(bad(|load| load.pace = Pace::Open { rate: f64::NAN, clients: 1 }));
    assert!(bad(|load| load.pace = Pace::Open { rate: 0.0, clients: 1 }));
    assert!(bad(|load| load.duration = Duration::ZERO));
    assert!(bad(|load| load.again = 1.5));
    assert!(bad(|load| load.skew = f64::NAN));
    assert!(bad(|load| load.mix = Mix::Chance(1.5)));
    assert!(bad(|load| load.mix = Mix::Race(Prize::Copies(5))), "without a token");
    assert!(bad(|load| load.stock = Some(5)), "without a token");
    assert!(bad(|load| load.target.servers.clear()));
    assert!(bad(|load| load.target.servers = vec!["https://127.0.0.1:1".into()]));
}
