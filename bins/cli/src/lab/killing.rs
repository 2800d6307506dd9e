//! Question 5: what do clients see when an order server is killed?

use bookstore_transport_http::cache::CacheOptions;
use std::time::Duration;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    Cell, Killing, LabError, Shape, Tier,
    deployment::Deployment,
    plan::CHECK,
    server::{Server, Start},
    session::Session,
};
use crate::load::{Load, Mix, Pace, Stop};

/// The chance that a look is followed by a purchase.
const CHANCE: f64 = 0.5;
/// The rate, as a part of what the deployment answered in a closed loop: low enough that a delay comes from the killed server,
/// not from a queue.
const PART: f64 = 0.4;
/// The lowest rate, in requests a second.
const RATE_MIN: f64 = 50.0;
/// Clients that share the arrivals: enough even if the whole shop pauses.
const CLIENTS: usize = 64;
/// When the server is killed, and when it is started again, as parts of the load's time.
const KILLED: f64 = 0.3;
const RESTARTED: f64 = 0.6;

/// Loads a deployment at a steady rate, kills one of its two order servers, and starts it again.
pub(super) async fn measure(session: &mut Session<'_>, mixes: &[Cell]) -> Result<Killing, LabError> {
    let mut shop = session.open(Shape::Replicated, CacheOptions::default().books_max).await?;
    let time = session.plan().killing;
    let doing = "an order server is killed and started again".to_owned();
    session.steps.begin(doing.clone(), time + CHECK);
    let rate = rate(mixes);
    let load = Load {
        pace: Pace::Open { rate, clients: CLIENTS },
        duration: time,
        warmup: Duration::ZERO,
        ..session.cell(&shop, Mix::Chance(CHANCE), CLIENTS)
    };
    let (victim, start) =
        shop.take_order_server().ok_or_else(|| LabError::Failed("there is no order server to kill".into()))?;
    let (begin, begun) = oneshot::channel();
    let before = counted(&shop, Tier::Frontend).await?;
    let (report, stop) = (|_: &_| session.steps.report(), Stop::new());
    let began = async {
        let _ = begin.send(Instant::now());
    };
    let loading = load.run_between(began, std::future::ready(()), &report, &stop);
    let (result, killed) = tokio::join!(loading, kill(victim, &start, begun, time));
    let after = counted(&shop, Tier::Frontend).await?;
    let Killed { server, at } = killed?;
    shop.give_order_server(server);
    let result = session.loaded(&shop, &doing, result)?;
    let audit = session.close(shop).await?;
    Ok(Killing {
        rate,
        clients: CLIENTS,
        chance: CHANCE,
        killed_at: at[0],
        restarted_at: at[1],
        ready_at: at[2],
        frontend_retries: whole(after - before),
        not_started: result.not_started,
        total: result.total,
        operations: result.operations,
        timeline: result.timeline,
        audit: Some(audit),
        check: Some(result.check),
    })
}

/// The rate, from the load before with about the same share of purchases.
fn rate(mixes: &[Cell]) -> f64 {
    let far = |cell: &&Cell| match cell.mix {
        Mix::Chance(chance) => (chance - CHANCE).abs(),
        _ => f64::MAX,
    };
    let cells = mixes.iter().filter(|cell| cell.shape == Shape::Replicated);
    let near = cells.min_by(|a, b| far(a).total_cmp(&far(b)));
    near.map_or(RATE_MIN, |cell| (cell.total.answered_per_second * PART).max(RATE_MIN)).round()
}

/// Requests that this tier has sent again so far.
async fn counted(shop: &Deployment<'_>, tier: Tier) -> Result<f64, LabError> {
    Ok(shop.snapshot().await?.of(tier).sum("bookstore_client_retries_total", &[]))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(count: f64) -> u64 {
    count.max(0.0) as u64
}

/// The restarted server, and when it was killed, restarted and ready, in seconds since the load began.
struct Killed {
    server: Server,
    at: [f64; 3],
}

async fn kill(
    mut victim: Server,
    start: &Start<'_>,
    begun: oneshot::Receiver<Instant>,
    time: Duration,
) -> Result<Killed, LabError> {
    let Ok(began) = begun.await else {
        // The load did not begin; its own error says why.
        return Ok(Killed { server: victim, at: [0.0; 3] });
    };
    sleep_until(began + time.mul_f64(KILLED)).await;
    victim.kill().await?;
    let killed = began.elapsed();
    sleep_until(began + time.mul_f64(RESTARTED)).await;
    let restarted = began.elapsed();
    let mut server = start.at(victim.url.trim_start_matches("http://")).await?;
    server.ready().await?;
    let at = [killed, restarted, began.elapsed()].map(|at| at.as_secs_f64());
    Ok(Killed { server, at })
}
