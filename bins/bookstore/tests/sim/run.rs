//! One seed, from the first start of the servers to the verdict.

use bookstore_core::{
    Order, OrderId, OrderQuery, Seq, Status,
    check::{CopyContents, FinalState, Report},
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::task::JoinSet;
use turmoil::{Builder, Sim};

use super::{
    accident::Accident,
    actors,
    bugs::Bug,
    caller::Routes,
    coverage::Seen,
    editors, forks, holders,
    hosts::Host,
    judge::judge,
    logs::Logs,
    nemesis::Nemesis,
    plan::Plan,
    searchers, servers,
    world::{Shared, World},
};

/// What became of a seed.
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    /// Calls that were recorded and checked.
    pub(crate) calls: u64,
    /// What was broken: the rule, and what was seen.
    pub(crate) failures: Vec<(String, String)>,
    pub(crate) coverage: Vec<u64>,
}

/// Simulated time after which a run that has not ended has failed.
const TIME_MAX: Duration = Duration::from_secs(180);

/// Panics in this process: a panic in a task would otherwise go unnoticed.
static PANICS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether a panic of this thread is none of those.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// To be called once in a process that runs seeds.
pub(crate) fn count_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !EXPECTED.get() {
            PANICS.fetch_add(1, Ordering::SeqCst);
            usual(info);
        }
    }));
}

/// Does something in which a panic, which is caught, is no failure.
pub(crate) fn expecting_panics<T>(work: impl FnOnce() -> T) -> T {
    EXPECTED.set(true);
    let done = work();
    EXPECTED.set(false);
    done
}

/// Runs a seed, with a bug or without. An accident that is given happens in any seed, otherwise in those that draw one.
pub(crate) fn run(seed: u64, bug: Option<Bug>, accident: Option<Accident>, print: bool) -> Outcome {
    align_task_ids();
    let dir = scratch();
    let plan = Plan::draw(seed, accident, bug.is_some_and(Bug::needs_index));
    let world = World::new(seed, plan, bug, print, dir.path());
    let panics = PANICS.load(Ordering::SeqCst);
    let ended = tracing::subscriber::with_default(Logs::new(&world, print), || simulate(&world));
    let mut report = None;
    match ended {
        Ok(Some(end)) => report = Some(judge(&world, end)),
        Ok(None) => world.fail("convergence", "the final state was never read".into()),
        Err(error) => world.fail("convergence", error.to_string()),
    }
    if PANICS.load(Ordering::SeqCst) > panics {
        world.fail("panic", "something panicked".into());
    }
    outcome(&world, report)
}

fn outcome(world: &Shared, report: Option<Report>) -> Outcome {
    let calls = report.as_ref().map_or(0, |report| report.counts.calls);
    if let Some(report) = report {
        world.coverage.add(Seen::HappenedUnknown, report.counts.unacknowledged);
        for violation in report.violations.iter().take(8) {
            world.fail(violation.rule.name(), violation.message.clone());
        }
        for undecided in &report.undecided {
            world.fail("undecided", undecided.clone());
        }
    }
    let failures = std::mem::take(&mut world.facts().failures);
    Outcome { hash: world.trace.hash(), calls, failures, coverage: world.coverage.counts() }
}

/// Memory if there is a file system in it: flushing is simulated, and need not wear a real disk.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a directory for the simulated disks can be made")
}

/// A runtime that ends drops its tasks in an order that depends on their ids, which are counted for the whole process.
fn align_task_ids() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a plain runtime starts");
    runtime.block_on(async {
        loop {
            let id = tokio::spawn(async {}).id().to_string();
            if id.parse::<u64>().is_ok_and(|id| id % 64 == 0) {
                return;
            }
        }
    });
}

fn simulate(world: &Shared) -> turmoil::Result<Option<FinalState>> {
    servers::create_ledger(world).map_err(|error| error.to_string())?;
    // A fixed latency takes nothing from the simulated network's own dice, whatever the order of its messages.
    let latency = Duration::from_millis(1);
    let mut sim = Builder::new()
        .rng_seed(world.seed)
        .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))
        .tick_duration(world.plan.tick)
        .simulation_duration(TIME_MAX)
        .min_message_latency(latency)
        .max_message_latency(latency)
        .tcp_capacity(1024)
        .build();
    let end = Arc::new(Mutex::new(None));
    start(&mut sim, world, &end);
    let mut nemesis = Nemesis::new(world);
    while !sim.step()? {
        world.watch(sim.elapsed());
        nemesis.act(&mut sim);
    }
    world.trace.line(sim.elapsed(), format_args!("the end"));
    drop(sim);
    Ok(end.lock().expect("no code panics while it is locked").take())
}

type FinalStateSlot = Arc<Mutex<Option<FinalState>>>;

fn start(sim: &mut Sim<'_>, world: &Shared, end: &FinalStateSlot) {
    let shared = world.clone();
    sim.host(Host::Catalog.name(), move || servers::catalog_server(shared.clone()));
    for host in [Host::Order1, Host::Order2] {
        let shared = world.clone();
        sim.host(host.name(), move || servers::order_server(shared.clone(), host));
    }
    let shared = world.clone();
    sim.host(Host::Frontend.name(), move || servers::frontend_server(shared.clone()));
    if world.plan.has_spare() {
        let shared = world.clone();
        sim.host(Host::Spare.name(), move || servers::spare_server(shared.clone()));
    }
    let shared = world.clone();
    sim.client(Host::Buyers.name(), async move {
        let routes = Arc::new(Routes::new(&shared, Host::Buyers));
        let mut buyers = JoinSet::new();
        (1..=shared.plan.buyers).for_each(|number| drop(buyers.spawn(actors::buyer(Arc::clone(&routes), number))));
        if shared.plan.accident.is_none() {
            (31..=32).for_each(|number| drop(buyers.spawn(holders::holder(Arc::clone(&routes), number))));
        }
        while buyers.join_next().await.is_some() {}
        shared.buyers_done();
        Ok(())
    });
    let (shared, end) = (world.clone(), Arc::clone(end));
    sim.client(Host::Staff.name(), async move {
        let routes = Arc::new(Routes::new(&shared, Host::Staff));
        let mut staff = JoinSet::new();
        staff.spawn(actors::restocker(Arc::clone(&routes), 11));
        if shared.plan.accident.is_none() || shared.plan.indexed {
            staff.spawn(editors::editor(Arc::clone(&routes), 15));
        }
        staff.spawn(actors::canceller(Arc::clone(&routes), 12));
        staff.spawn(actors::reader(Arc::clone(&routes), 13));
        staff.spawn(actors::reader(Arc::clone(&routes), 14));
        if shared.plan.indexed {
            (16..=17).for_each(|number| drop(staff.spawn(searchers::searcher(Arc::clone(&routes), number))));
        }
        staff.spawn(actors::auditor(Arc::clone(&routes), shared.clone()));
        while staff.join_next().await.is_some() {}
        shared.all_done().await;
        if shared.plan.indexed {
            searchers::search_at_the_end(&routes, 18).await;
        }
        let read = converged(&shared, &routes).await?;
        *end.lock().expect("no code panics while it is locked") = Some(read);
        Ok(())
    });
}

/// The end state, once everything agrees and no order is held; or as it is when the time for that is over.
async fn converged(world: &Shared, routes: &Routes) -> turmoil::Result<FinalState> {
    const ATTEMPTS: u32 = 100;
    /// Longer than holds last, unless the catalog's clock was put back: then they outlast the run.
    const ATTEMPTS_FOR_HOLDS: u32 = 10;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let last = attempts == ATTEMPTS;
        match read_final_state(routes, world).await {
            // A hold that is open may lapse after this.
            Ok((end, true, none_held)) if none_held || attempts > ATTEMPTS_FOR_HOLDS => return Ok(end),
            Ok((end, false, _)) if last => {
                world.fail("convergence", "copies or caches still differ from the ledger".into());
                return Ok(end);
            }
            Err(error) if last => return Err(format!("the end state cannot be read: {error}").into()),
            _ => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn read_final_state(routes: &Routes, world: &Shared) -> bookstore_core::Result<(FinalState, bool, bool)> {
    let mut end = FinalState::read(routes.ledger.as_ref()).await?.since(Seq(world.plan.stocks.len() as u64));
    let mut agree = true;
    let (orders, none_held) = orders_of(&end);
    for (host, copy) in [Host::Order1, Host::Order2].into_iter().zip(&routes.copies) {
        end.add_orders(host.name(), copy.as_ref()).await?;
        agree &= orders == copied(&end);
        copy.orders(OrderQuery::default()).await?;
    }
    for (book, level) in end.levels.iter().flatten() {
        let shown = routes.shop.info(*book).await?;
        agree &= (shown.stock, shown.version, shown.price_cents) == (level.stock, level.version, level.price_cents);
    }
    agree = agree && forks::orders_agree(world, routes, &end).await?;
    Ok((end, agree, none_held))
}

/// The orders that lists show, each with its last entry, by the ledger; and whether none of them is held.
fn orders_of(end: &FinalState) -> (BTreeMap<OrderId, Seq>, bool) {
    let mut orders = BTreeMap::new();
    for entry in &end.entries {
        let Some(id) = entry.order_id() else { continue };
        let order = match orders.remove(&id) {
            None => entry.order(),
            Some(order) => Some(Order::after(order, entry)),
        };
        orders.extend(order.map(|order| (id, order)));
    }
    let none_held = orders.values().all(|order| order.status != Status::Held);
    let listed = orders.into_iter().filter(|(_, order)| order.status != Status::Voided);
    (listed.map(|(id, order)| (id, order.version)).collect(), none_held)
}

/// The same by the copy that was added last.
fn copied(end: &FinalState) -> BTreeMap<OrderId, Seq> {
    match end.copies.last().map(|copy| &copy.contents) {
        Some(CopyContents::Orders(orders)) => orders.iter().map(|order| (order.id, order.version)).collect(),
        _ => BTreeMap::new(),
    }
}
