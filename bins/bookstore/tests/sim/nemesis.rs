//! The nemesis: it injects faults into links and machines, at random times.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use std::{collections::BTreeMap, fmt, sync::atomic::Ordering, time::Duration};
use turmoil::Sim;

use super::{coverage::Seen, hosts::Host, operator::Operator, world::Shared};

/// Every link between two machines that talk.
const LINKS: [(Host, Host); 13] = {
    use Host::{Buyers, Catalog, Frontend, Order1, Order2, Staff};
    [
        (Buyers, Frontend),
        (Buyers, Order1),
        (Buyers, Order2),
        (Buyers, Catalog),
        (Staff, Frontend),
        (Staff, Order1),
        (Staff, Order2),
        (Staff, Catalog),
        (Frontend, Order1),
        (Frontend, Order2),
        (Frontend, Catalog),
        (Order1, Catalog),
        (Order2, Catalog),
    ]
};

/// How a link is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkFault {
    /// Nothing passes, either way.
    Cut,
    /// Nothing passes this way.
    OneWay(Host, Host),
    /// What is sent waits.
    Clogged,
}

/// Something to be done at a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Clog(usize),
    /// Ends the fault of a link.
    Free(usize),
    Restart(Host),
}

/// A crash that waits for its moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArmedCrash {
    pub(super) host: Host,
    pub(super) moment: Moment,
    /// Whether the power is cut, too.
    pub(super) power: bool,
    /// When it happens even if the moment has not come.
    pub(super) at_last: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Any,
    /// Between append and flush; entries fetched, not copied.
    Before,
    /// Between flush and answers; entries copied, not reported.
    After,
    /// Calls wait that are not in the batch.
    Calls,
    Starting,
}

/// Draws the faults, and injects them between the simulation's steps.
pub(crate) struct Nemesis {
    pub(super) world: Shared,
    pub(super) rng: StdRng,
    pub(super) next: Duration,
    pub(super) steps: Vec<(Duration, Step)>,
    pub(super) link_faults: BTreeMap<usize, LinkFault>,
    pub(super) armed: Option<ArmedCrash>,
    pub(super) down: Vec<Host>,
    pub(super) healed: bool,
    pub(super) operator: Operator,
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Nemesis {
    pub(crate) fn new(world: &Shared) -> Self {
        let rng = StdRng::seed_from_u64(world.seed_for(7));
        Self {
            world: world.clone(),
            rng,
            next: ms(200),
            steps: Vec::new(),
            link_faults: BTreeMap::new(),
            armed: None,
            down: Vec::new(),
            healed: false,
            operator: Operator::new(),
        }
    }

    pub(super) fn note(&self, sim: &Sim<'_>, what: fmt::Arguments<'_>) {
        self.world.trace.line(sim.elapsed(), what);
    }

    /// To be called between the simulation's steps.
    pub(crate) fn act(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed();
        self.operate(sim);
        if !self.healed && now >= self.world.plan.chaos {
            return self.heal(sim);
        }
        while let Some(at) = self.steps.iter().position(|(due, _)| *due <= now) {
            let (_, step) = self.steps.remove(at);
            self.step(sim, step);
        }
        if self.healed {
            return;
        }
        if let Some(armed) = self.armed
            && (self.is_the_moment(armed, now) || now >= armed.at_last)
        {
            self.armed = None;
            self.crash(sim, armed);
        }
        if now >= self.next {
            let every = self.world.plan.faults_every;
            self.next = now + every.mul_f64(self.rng.random_range(0.2..1.8));
            self.inject(sim, now);
        }
    }

    fn inject(&mut self, sim: &mut Sim<'_>, now: Duration) {
        let plan = &self.world.plan;
        let (crashes, cuts, clogs) = (plan.crashes, plan.cuts, plan.clogs);
        let (clocks, checkpoints) = (plan.clocks, plan.checkpoints);
        match self.rng.random_range(0..12) {
            0..4 if crashes => self.arm(now),
            4 if cuts => self.cut(sim, now),
            5 if cuts => self.isolate(sim, now),
            6 if cuts => self.one_way(sim, now, 200..2_000, Seen::CutOneWay),
            7 if cuts => self.one_way(sim, now, 5..40, Seen::Blip),
            8 if clogs => self.clog(now),
            9 => self.change_latency(sim),
            10 if clocks => self.jump(sim),
            11 if checkpoints => self.checkpoint(sim),
            _ => {}
        }
    }

    fn step(&mut self, sim: &mut Sim<'_>, step: Step) {
        match step {
            Step::Clog(link) => {
                let (a, b) = LINKS[link];
                if self.link_faults.contains_key(&link) {
                    return;
                }
                self.world.coverage.saw(Seen::Clog);
                self.note(sim, format_args!("clogged: {a} - {b}"));
                self.link_faults.insert(link, LinkFault::Clogged);
                sim.hold(a.name(), b.name());
            }
            Step::Free(link) => self.free(sim, link),
            Step::Restart(host) => self.restart(sim, host),
        }
    }

    // Links.

    fn healthy_link(&mut self) -> Option<usize> {
        let healthy: Vec<usize> = (0..LINKS.len()).filter(|link| !self.link_faults.contains_key(link)).collect();
        (!healthy.is_empty()).then(|| healthy[self.rng.random_range(0..healthy.len())])
    }

    fn cut(&mut self, sim: &mut Sim<'_>, now: Duration) {
        if let Some(link) = self.healthy_link() {
            let lasts = ms(self.rng.random_range(100..2_500));
            self.cut_link(sim, link);
            self.steps.push((now + lasts, Step::Free(link)));
        }
    }

    fn cut_link(&mut self, sim: &Sim<'_>, link: usize) {
        let (a, b) = LINKS[link];
        self.world.coverage.saw(Seen::Cut);
        self.note(sim, format_args!("cut: {a} - {b}"));
        self.link_faults.insert(link, LinkFault::Cut);
        self.world.cut_links.set_cut(a, b, true);
        sim.partition(a.name(), b.name());
    }

    /// A server without any link.
    fn isolate(&mut self, sim: &mut Sim<'_>, now: Duration) {
        let host = Host::SERVERS[self.rng.random_range(0..4)];
        let lasts = ms(self.rng.random_range(200..2_000));
        for link in links_of(host) {
            if !self.link_faults.contains_key(&link) {
                self.cut_link(sim, link);
                self.steps.push((now + lasts, Step::Free(link)));
            }
        }
    }

    fn one_way(&mut self, sim: &mut Sim<'_>, now: Duration, lasts: std::ops::Range<u64>, seen: Seen) {
        let Some(link) = self.healthy_link() else { return };
        let (a, b) = LINKS[link];
        let (from, to) = if self.rng.random_bool(0.5) { (a, b) } else { (b, a) };
        self.world.coverage.saw(seen);
        self.note(sim, format_args!("cut one way: {from} -> {to}"));
        self.link_faults.insert(link, LinkFault::OneWay(from, to));
        self.world.cut_links.set_cut(from, to, true);
        sim.partition_oneway(from.name(), to.name());
        self.steps.push((now + ms(self.rng.random_range(lasts)), Step::Free(link)));
    }

    /// A random subset of the links, one by one, and free again in another order.
    fn clog(&mut self, now: Duration) {
        let mut links: Vec<usize> = (0..LINKS.len()).filter(|_| self.rng.random_bool(0.35)).collect();
        links.shuffle(&mut self.rng);
        let mut at = now;
        for link in &links {
            self.steps.push((at, Step::Clog(*link)));
            at += ms(self.rng.random_range(5..150));
        }
        links.shuffle(&mut self.rng);
        at += ms(self.rng.random_range(50..1_500));
        for link in links {
            self.steps.push((at, Step::Free(link)));
            at += ms(self.rng.random_range(5..150));
        }
    }

    pub(super) fn free(&mut self, sim: &Sim<'_>, link: usize) {
        let (a, b) = LINKS[link];
        // A lost machine's links stay cut until it is back.
        if self.down.contains(&a) || self.down.contains(&b) {
            return;
        }
        match self.link_faults.remove(&link) {
            None => return,
            Some(LinkFault::Cut) => {
                self.world.cut_links.set_cut(a, b, false);
                sim.repair(a.name(), b.name());
            }
            Some(LinkFault::OneWay(from, to)) => {
                self.world.cut_links.set_cut(from, to, false);
                sim.repair_oneway(from.name(), to.name());
            }
            Some(LinkFault::Clogged) => sim.release(a.name(), b.name()),
        }
        self.note(sim, format_args!("free: {a} - {b}"));
    }

    /// Cuts a link, whatever its fault was before.
    pub(super) fn disconnect(&mut self, sim: &Sim<'_>, link: usize) {
        let (a, b) = LINKS[link];
        self.link_faults.insert(link, LinkFault::Cut);
        self.world.cut_links.set_cut(a, b, true);
        self.world.cut_links.set_cut(b, a, false);
        sim.partition(a.name(), b.name());
    }

    fn change_latency(&mut self, sim: &mut Sim<'_>) {
        let (a, b) = LINKS[self.rng.random_range(0..LINKS.len())];
        let most = u64::try_from(self.world.plan.latency_max.as_millis()).unwrap_or(1);
        let factor = if self.rng.random_bool(0.1) { 20 } else { 1 };
        let latency = ms(self.rng.random_range(1..=most) * factor);
        self.world.coverage.saw(Seen::Latency);
        self.note(sim, format_args!("latency {latency:?}: {a} - {b}"));
        sim.set_link_latency(a.name(), b.name(), latency);
    }

    // Machines.

    fn jump(&mut self, sim: &Sim<'_>) {
        let host = Host::ALL[self.rng.random_range(0..Host::ALL.len())];
        let far = [500, 60_000, 86_400_000][self.rng.random_range(0..3)];
        let off = self.rng.random_range(-far..=far);
        self.world.clocks[host as usize].store(off, Ordering::SeqCst);
        self.world.coverage.saw(Seen::ClockJump);
        self.note(sim, format_args!("{host}: the clock is off by {off} ms"));
    }

    fn checkpoint(&mut self, sim: &Sim<'_>) {
        let starting = self.world.activity[Host::Catalog as usize].starting.load(Ordering::SeqCst);
        if !starting && !self.down.contains(&Host::Catalog) && self.world.disk(Host::Catalog).checkpoint() {
            self.world.coverage.saw(Seen::Checkpoint);
            self.note(sim, format_args!("catalog: checkpoint"));
        }
    }

    /// The end of all faults.
    fn heal(&mut self, sim: &mut Sim<'_>) {
        self.healed = true;
        self.armed = None;
        self.steps.clear();
        self.note(sim, format_args!("the faults end"));
        self.world.heal(sim.elapsed());
        self.world.clocks.iter().for_each(|off| off.store(0, Ordering::SeqCst));
        let held = self.holds_catalog();
        let down: Vec<Host> = self.down.extract_if(.., |host| !(held && *host == Host::Catalog)).collect();
        for (link, (a, b)) in LINKS.into_iter().enumerate() {
            self.free(sim, link);
            sim.set_link_latency(a.name(), b.name(), ms(1));
        }
        for host in down {
            self.note(sim, format_args!("restart of {host}"));
            sim.bounce(host.name());
        }
    }
}

pub(super) fn links_of(host: Host) -> impl Iterator<Item = usize> {
    (0..LINKS.len()).filter(move |link| LINKS[*link].0 == host || LINKS[*link].1 == host)
}
