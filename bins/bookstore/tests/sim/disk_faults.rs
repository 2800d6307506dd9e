//! Writes that fail, and writes that take long.

use rand::{RngExt as _, rngs::StdRng};
use std::time::Duration;

use super::{coverage::Seen, disk::Disk, world::Shared};

/// Whether the next write fails: `Some(true)` after it was done all the same.
pub(crate) fn fault(world: &Shared, disk: &Disk) -> Option<bool> {
    let failing = world.plan.failing;
    if failing == 0.0 || world.is_healed() {
        return None;
    }
    disk.draw(|rng| rng.random_bool(failing).then(|| rng.random_bool(0.5)))
}

/// Longer than a server waits for another one.
const SLOW_MS: std::ops::Range<u64> = 700..2_500;

/// The time that a write takes, and the time that passes before its success is reported.
pub(crate) fn write_times(world: &Shared, disk: &Disk) -> [Duration; 2] {
    let plan = &world.plan;
    if world.is_healed() {
        return [Duration::from_millis(1); 2];
    }
    // A disk that fails is slow before: batches pile up on the one that fails.
    let usual = if plan.failing > 0.0 { plan.flush_max * 4 } else { plan.flush_max };
    let (slow, times) = disk.draw(|rng| {
        let slow = plan.slow > 0.0 && rng.random_bool(plan.slow);
        let before = if slow { Duration::from_millis(rng.random_range(SLOW_MS)) } else { part(rng, usual) };
        (slow, [before, part(rng, usual)])
    });
    if slow {
        world.coverage.saw(Seen::SlowDisk);
        world.note(format_args!("{}: the disk is slow: {:?}", disk.name, times[0]));
    }
    times
}

fn part(rng: &mut StdRng, most: Duration) -> Duration {
    Duration::from_millis(rng.random_range(0..=u64::try_from(most.as_millis()).unwrap_or(1)))
}
