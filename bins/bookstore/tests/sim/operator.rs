//! What the operator does in an accident, step by step.
//!
//! It begins among all the other faults. It ends when the shop goes on as it should, at the latest some time after the other faults have
//! ended; an accident of which nobody is told is a failure.

use bookstore_core::{
    Seq,
    ledger::Kind,
    store::sqlite::{self, SqliteCopy},
};
use rand::RngExt as _;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};
use turmoil::Sim;
use uuid::Uuid;

use super::{
    accident::{Accident, Seller},
    bugs::Bug,
    coverage::Seen,
    disk::Stage as DiskStage,
    forks,
    hosts::Host,
    nemesis::{ArmedCrash, Moment, Nemesis, Step, links_of, ms},
    servers::SQLITE,
    world::SimClock,
};

/// How far the operator is.
#[derive(Debug)]
pub(super) struct Operator {
    stage: Stage,
    /// The newest backup or snapshot, and when the next one is made.
    backup: Option<Backup>,
    backups: u32,
    next_backup: Duration,
}

#[derive(Clone, Debug)]
struct Backup {
    path: PathBuf,
    head: Seq,
    incarnation: Option<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// All is well.
    Before,
    /// The catalog has the wrong file, since then.
    Wrong(Duration),
    /// The catalog is lost. The copies are as they have been since then.
    Lost(Duration, [Seq; 2]),
    /// A copy is promoted, and the old catalog is still away.
    Promoted(Duration),
    /// The old catalog is back.
    Back(Duration),
    Over,
}

/// The share of the time of the faults after which it may begin.
const BEGINS: f64 = 0.25;
/// How long it waits for a moment that is worse than others.
const WORST_MOMENT: Duration = Duration::from_millis(1_500);
/// How long the shop is left in a state that the operator does not know of.
const DWELL: Duration = Duration::from_millis(300);
/// The longest that anything may be on its way to a copy.
const QUIET: Duration = Duration::from_millis(1_000);
/// Simulated time after which somebody must have been told.
const TOLD_MAX: Duration = Duration::from_secs(20);

impl Operator {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Before, backup: None, backups: 0, next_backup: Duration::ZERO }
    }
}

impl Nemesis {
    /// Does what is due.
    pub(super) fn operate(&mut self, sim: &mut Sim<'_>) {
        let (Some(accident), now) = (self.world.plan.accident, sim.elapsed()) else { return };
        match self.operator.stage {
            Stage::Before if self.healed => self.operator.stage = Stage::Over,
            Stage::Before => self.prepare(sim, accident, now),
            Stage::Wrong(since) => {
                let all = self.world.accident.sellers().iter().all(|seller| seller.refuses.load(Ordering::SeqCst));
                if now >= since + DWELL && self.told(all, now - since, "an order server") {
                    self.mend(sim);
                }
            }
            Stage::Lost(since, copies) => self.wait_for_copies(sim, since, copies),
            Stage::Promoted(since) => {
                let sellers = self.world.accident.sellers();
                let all = sellers.iter().all(|seller| seller.timelines.load(Ordering::SeqCst) > 1);
                if now >= since + DWELL && self.told(all, now - since, "an order server") {
                    self.note(sim, format_args!("the old catalog comes back"));
                    self.restart(sim, Host::Catalog);
                    self.operator.stage = Stage::Back(now);
                }
            }
            Stage::Back(since) => {
                let stopped = self.world.accident.superseded.load(Ordering::SeqCst);
                if self.told(stopped, now - since, "the old catalog") {
                    self.world.coverage.saw(Seen::OldReturned);
                    self.end(sim);
                }
            }
            Stage::Over => {}
        }
    }

    /// Whether the catalog stays down until the operator starts it again.
    pub(super) fn holds_catalog(&self) -> bool {
        matches!(self.operator.stage, Stage::Lost(..) | Stage::Promoted(_))
    }

    /// Whether what should be known is known; after too long a time it counts as a failure and goes on.
    fn told(&self, told: bool, after: Duration, who: &str) -> bool {
        if told {
            self.world.coverage.saw(Seen::Told);
        } else if after > TOLD_MAX {
            self.world.fail("told", format!("{who} does not know of the accident, {after:?} after it"));
        }
        told || after > TOLD_MAX
    }

    fn catalog_is_up(&self) -> bool {
        let starting = self.world.activity[Host::Catalog as usize].starting.load(Ordering::SeqCst);
        !starting && !self.down.contains(&Host::Catalog)
    }

    /// Makes backups, and waits for the moment.
    fn prepare(&mut self, sim: &mut Sim<'_>, accident: Accident, now: Duration) {
        let from = self.world.plan.chaos.mul_f64(BEGINS);
        if now < from || !self.catalog_is_up() {
            return;
        }
        let begins = self.operator.backup.clone().filter(|backup| self.is_the_time(accident, backup, from, now));
        if let Some(backup) = begins {
            return self.begin(sim, accident, &backup);
        }
        let once = matches!(accident, Accident::StaleFile | Accident::RolledBack) && self.operator.backup.is_some();
        if now >= self.operator.next_backup && !once {
            self.operator.next_backup = now + ms(self.rng.random_range(50..200));
            self.back_up(sim, accident);
        }
    }

    fn is_the_time(&self, accident: Accident, backup: &Backup, from: Duration, now: Duration) -> bool {
        let sellers = self.world.accident.sellers();
        match accident {
            // Who has seen nothing newer cannot know.
            Accident::StaleFile | Accident::RolledBack => sellers.iter().all(|seller| seller.followed() > backup.head),
            Accident::Replaced | Accident::Promoted => {
                self.somebody_waits(now, backup.head) || now >= from + WORST_MOMENT
            }
            Accident::SecondName => true,
        }
    }

    /// Whether an order server knows of a sale that is neither on its way to its copy nor in the backup.
    fn somebody_waits(&self, now: Duration, backup: Seq) -> bool {
        [Host::Order1, Host::Order2].into_iter().any(|host| {
            let seller = self.world.accident.seller(host).expect("it sells");
            let idle = self.world.disk(host).stage(now) == DiskStage::Idle;
            seller.sold.load(Ordering::SeqCst) > seller.followed().max(backup).0 && idle && !self.down.contains(&host)
        })
    }

    fn back_up(&mut self, sim: &Sim<'_>, accident: Accident) {
        let disk = self.world.disk(Host::Catalog).clone();
        let (appended, flushed) = disk.heads();
        self.operator.backups += 1;
        let path = disk.beside(&format!("backup-{}", self.operator.backups));
        let incarnation = *self.world.accident.incarnation.lock().expect("nobody panics with it");
        if matches!(accident, Accident::Promoted | Accident::SecondName) {
            // None is needed.
            self.operator.backup = Some(Backup { path, head: Seq(0), incarnation });
            return;
        }
        if accident == Accident::RolledBack {
            // What was not flushed may have been lost since, in a power cut.
            if appended > flushed {
                return;
            }
            disk.copy_to(&path).expect("the simulation's own files can be copied");
        } else {
            sqlite::backup(&disk.path(), &path).expect("a running store can be backed up");
            // It has the WAL flushed.
            disk.mark_durable();
        }
        self.note(sim, format_args!("a backup ends at {appended}"));
        self.operator.backup = Some(Backup { path, head: appended, incarnation });
    }

    fn begin(&mut self, sim: &mut Sim<'_>, accident: Accident, backup: &Backup) {
        let now = sim.elapsed();
        let waits = self.somebody_waits(now, backup.head);
        self.note(sim, format_args!("accident: {accident:?}, somebody waits for a copy: {waits}"));

        if accident == Accident::SecondName {
            self.operator.stage = Stage::Over;
            return self.start_second(sim);
        }
        self.world.accident.begin(self.world.tick());
        // A machine that is gone says nothing any more: what was on its way to a copy is lost.
        let power = accident != Accident::RolledBack && self.rng.random_bool(0.8);
        if accident == Accident::Promoted {
            links_of(Host::Catalog).for_each(|link| self.free(sim, link));
        }
        self.crash(sim, ArmedCrash { host: Host::Catalog, moment: Moment::Any, power, at_last: now });
        let disk = self.world.disk(Host::Catalog).clone();
        let kept = disk.beside("kept");
        disk.copy_to(&kept).expect("the simulation's own files can be copied");
        self.world.accident.record().destroyed = Some(kept);
        match accident {
            Accident::StaleFile | Accident::RolledBack => {
                if accident == Accident::RolledBack {
                    *self.world.accident.rolled_back_to.lock().expect("nobody panics with it") = backup.incarnation;
                }
                self.world.coverage.saw(if accident == Accident::StaleFile {
                    Seen::StaleFile
                } else {
                    Seen::RolledBack
                });
                disk.become_copy_of(&backup.path).expect("the simulation's own files can be copied");
                self.operator.stage = Stage::Wrong(now);
            }
            Accident::Replaced => {
                self.restore(backup);
                // Soon, while order servers still wait for what they know of.
                let soon = now + ms(self.rng.random_range(10..200));
                self.steps.retain(|(_, step)| !matches!(step, Step::Restart(Host::Catalog)));
                self.steps.push((soon, Step::Restart(Host::Catalog)));
                self.end(sim);
            }
            Accident::Promoted | Accident::SecondName => {
                self.steps.retain(|(_, step)| !matches!(step, Step::Restart(Host::Catalog)));
                self.operator.stage = Stage::Lost(now, [Seq(0); 2]);
            }
        }
    }

    /// `bookstore restore --replace`.
    fn restore(&self, backup: &Backup) {
        let disk = self.world.disk(Host::Catalog);
        let clock = SimClock::new(&self.world, Host::Catalog);
        let restored = sqlite::restore_replacing(&backup.path, &disk.path(), &clock).expect("nobody has the file open");
        disk.replaced();
        self.world.coverage.saw(Seen::Restored);
        self.world.accident.record().replaced = restored.replaced;
    }

    /// The operator knows: the right file is put back, or the shop goes back to the wrong one.
    fn mend(&mut self, sim: &mut Sim<'_>) {
        let (Some(backup), now) = (self.operator.backup.clone(), sim.elapsed()) else { return };
        self.crash(sim, ArmedCrash { host: Host::Catalog, moment: Moment::Any, power: false, at_last: now });
        let disk = self.world.disk(Host::Catalog).clone();
        self.check_idle(&disk.path(), backup.head);
        if self.world.plan.put_back {
            self.note(sim, format_args!("the right file is put back"));
            let kept = self.world.accident.record().destroyed.take().expect("it was kept");
            disk.become_copy_of(&kept).expect("the simulation's own files can be copied");
        } else {
            self.note(sim, format_args!("the shop goes back to the wrong file"));
            self.restore(&backup);
            // What it replaced is the wrong file, which others may have changed.
            self.world.accident.record().replaced = None;
        }
        self.end(sim);
    }

    /// A file that was opened by mistake must have sold nothing.
    fn check_idle(&self, path: &Path, since: Seq) {
        let entries = forks::entries(path).expect("a store can be read");
        let sold = entries.iter().find(|entry| entry.seq > since && matches!(entry.kind, Kind::Sale | Kind::Return));
        if let Some(sold) = sold {
            self.world.fail("idle", format!("a catalog with the wrong file has sold: {sold:?}"));
        }
    }

    /// Promotes the copy that is furthest once nothing is on its way to a copy any more.
    fn wait_for_copies(&mut self, sim: &mut Sim<'_>, since: Duration, before: [Seq; 2]) {
        let now = sim.elapsed();
        let copies = self.world.accident.sellers().each_ref().map(Seller::followed);
        let busy = [Host::Order1, Host::Order2].iter().any(|host| self.world.disk(*host).stage(now) != DiskStage::Idle);
        if busy || copies != before {
            self.operator.stage = Stage::Lost(now, copies);
            return;
        }
        if now < since + QUIET {
            return;
        }
        let furthest = if copies[0] >= copies[1] { Host::Order1 } else { Host::Order2 };
        let head = self.promote(furthest);
        self.note(sim, format_args!("{furthest} is promoted, the new timeline begins at {head}"));
        self.world.coverage.saw(Seen::Promoted);
        self.world.accident.move_to_spare();
        self.operator.stage = Stage::Promoted(now);
    }

    /// `bookstore promote`. Returns the first entry of the new timeline.
    fn promote(&self, from: Host) -> Seq {
        let (from, to) = (self.world.disk(from), self.world.disk(Host::Spare));
        let source = from.beside("promoted");
        from.copy_to(&source).expect("the simulation's own files can be copied");
        let copy = SqliteCopy::open(&source, SQLITE).expect("a copy can be opened");
        let clock = SimClock::new(&self.world, Host::Spare);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a plain runtime starts");
        let promoted = runtime.block_on(sqlite::promote(&copy, &to.path(), &clock, |_, _| {}));
        promoted.expect("a copy can be promoted").head
    }

    /// Starts another catalog server on the catalog's file, under a name of its own.
    fn start_second(&self, sim: &Sim<'_>) {
        let (disk, second) = (self.world.disk(Host::Catalog), self.world.disk(Host::Spare).path());
        // All of it is in the file that has two names.
        disk.checkpoint();
        if self.world.has(Bug::LockedByName) {
            // Whoever locks names does not see that it is the same file. Each writes a WAL of its own, as to a file of its own.
            fs::copy(disk.path(), second).expect("the simulation's own files can be copied");
        } else {
            fs::hard_link(disk.path(), second).expect("a file can have two names");
        }
        self.note(sim, format_args!("a second catalog server is started on the same file"));
        self.world.accident.spare_starts.store(true, Ordering::SeqCst);
    }

    fn end(&mut self, sim: &Sim<'_>) {
        self.note(sim, format_args!("the accident is over"));
        self.operator.stage = Stage::Over;
        self.world.accident.end(self.world.tick());
        if self.healed {
            // What follows from it takes its time.
            self.world.heal(sim.elapsed());
        }
    }
}
