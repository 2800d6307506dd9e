//! Crashes: of any server, at the moment that is meant to be interrupted.

use rand::RngExt as _;
use std::{sync::atomic::Ordering, time::Duration};
use turmoil::Sim;

use super::{
    coverage::Seen,
    disk::Stage,
    hosts::Host,
    nemesis::{ArmedCrash, Moment, Nemesis, Step, links_of, ms},
};

impl Nemesis {
    pub(super) fn arm(&mut self, now: Duration) {
        if self.armed.is_some() {
            return;
        }
        let host = match self.rng.random_range(0..10) {
            0..5 => Host::Catalog,
            5..7 => Host::Order1,
            7..9 => Host::Order2,
            _ => Host::Frontend,
        };
        let moments = [Moment::Any, Moment::Before, Moment::Before, Moment::After, Moment::Calls, Moment::Starting];
        let moment = moments[self.rng.random_range(0..moments.len())];
        // Between append and flush a power cut shows the most.
        let share = if moment == Moment::Before { 0.8 } else { 0.4 };
        let mut power = self.world.plan.power && self.rng.random_bool(share);
        // A copy that has lost what it had seen cannot know that the ledger is another one.
        power &= self.world.plan.accident.is_none() || host == Host::Catalog;
        self.armed = Some(ArmedCrash { host, moment, power, at_last: now + ms(800) });
    }

    pub(super) fn is_the_moment(&self, ArmedCrash { host, moment, .. }: ArmedCrash, now: Duration) -> bool {
        if self.down.contains(&host) {
            return false;
        }
        let activity = &self.world.activity[host as usize];
        match moment {
            Moment::Any => true,
            Moment::Starting => activity.starting.load(Ordering::SeqCst),
            Moment::Calls => activity.calls.load(Ordering::SeqCst) > 1,
            Moment::Before | Moment::After if host == Host::Frontend => activity.calls.load(Ordering::SeqCst) > 0,
            Moment::Before => self.world.disk(host).stage(now) == Stage::Before,
            Moment::After => self.world.disk(host).stage(now) == Stage::After,
        }
    }

    pub(super) fn crash(&mut self, sim: &mut Sim<'_>, armed: ArmedCrash) {
        let ArmedCrash { host, power, moment, .. } = armed;
        if self.down.contains(&host) {
            return;
        }
        let now = sim.elapsed();
        self.count_crash(host, now);
        let disk = (host != Host::Frontend).then(|| self.world.disk(host).clone());
        self.note(sim, format_args!("crash of {host} at {moment:?}, power cut: {power}"));
        let mut lasts = ms(self.rng.random_range(20..1_200));
        if moment == Moment::Starting {
            // Soon again, while it is still starting.
            lasts = ms(self.rng.random_range(5..60));
            self.armed = Some(ArmedCrash { moment: Moment::Starting, at_last: now + lasts + ms(120), ..armed })
                .filter(|_| self.rng.random_bool(0.5));
        }
        self.world.coverage.saw(if power { Seen::Machine } else { Seen::Kill });
        if power {
            // Nothing of its last moments must leave the machine.
            links_of(host).for_each(|link| self.disconnect(sim, link));
        }
        if let Some(disk) = disk {
            let (appended, flushed) = disk.heads();
            let cut = if power { disk.after_power_cut() } else { disk.after_kill().map(|()| Default::default()) };
            let cut = cut.expect("the simulation's own files can be copied");
            if cut.suspect > 0 {
                self.world.coverage.saw(Seen::PowerSuspect);
                self.note(
                    sim,
                    format_args!("{host}: {} bytes at stake, {appended} > {flushed}, torn: {}", cut.suspect, cut.torn),
                );
            }
            if cut.torn {
                self.world.coverage.saw(Seen::PowerTorn);
            }
        }
        sim.crash(host.name());
        self.down.push(host);
        self.steps.push((now + lasts, Step::Restart(host)));
    }

    fn count_crash(&self, host: Host, now: Duration) {
        let activity = &self.world.activity[host as usize];
        let (starting, calls) = (activity.starting.load(Ordering::SeqCst), activity.calls.load(Ordering::SeqCst));
        let stage = if host == Host::Frontend { Stage::Idle } else { self.world.disk(host).stage(now) };
        let seen = match (host, stage) {
            (Host::Catalog, _) if starting => Seen::CrashRecovering,
            (Host::Catalog, Stage::Before) => Seen::CrashAppended,
            (Host::Catalog, Stage::After) => Seen::CrashFlushed,
            (Host::Catalog, Stage::Idle) => Seen::CrashCatalogOther,
            (Host::Frontend, _) if calls > 0 => Seen::CrashFrontendCalling,
            (Host::Frontend, _) => Seen::CrashFrontendOther,
            _ if starting => Seen::CrashOpening,
            (_, Stage::Before) => Seen::CrashFetched,
            (_, Stage::After) => Seen::CrashCopied,
            _ if calls > 0 => Seen::CrashCalling,
            _ => Seen::CrashOrderOther,
        };
        self.world.coverage.saw(seen);
        if seen == Seen::CrashAppended && self.world.disk(host).is_piled_up() {
            self.world.coverage.saw(Seen::CrashPiledUp);
        }
        if host == Host::Catalog && stage != Stage::Idle && calls > self.world.disk(host).batch() {
            self.world.coverage.saw(Seen::CrashBeforeAppend);
        }
    }

    pub(super) fn restart(&mut self, sim: &mut Sim<'_>, host: Host) {
        let Some(at) = self.down.iter().position(|down| *down == host) else { return };
        self.down.remove(at);
        // A machine that was gone is back on the network; so is one whose links should have been freed meanwhile.
        for link in links_of(host) {
            self.free(sim, link);
        }
        self.note(sim, format_args!("restart of {host}"));
        sim.bounce(host.name());
    }
}
