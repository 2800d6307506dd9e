//! Measuring both sides in turn.

use bookstore_benches::{Result, samples::Samples};
use std::{thread, time::Duration};

/// Which side is measured: the old one is 0, the new one 1.
pub(crate) type Side = usize;

/// How many processes of each side are measured one after another. Of the same executable one process may be 10 % faster than
/// another, for example by where its memory lies.
const PROCESSES: usize = 4;
/// How long new processes are left alone: a shop that was just started builds its search index and counts what was sold, beside its buyers.
/// That is over in two or three seconds, and would be a third of what is measured.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures both sides in turn, `rounds` times after a round that warms up. Each begins every other round, so that a machine
/// that gets slower or faster favours neither.
pub(crate) fn alternate(rounds: usize, mut measure: impl FnMut(Side) -> Result<f64>) -> Result<[Samples; 2]> {
    let mut samples = [Samples::default(), Samples::default()];
    for round in 0..=rounds {
        for side in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let measured = measure(side)?;
            if round > 0 {
                samples[side].push(measured);
            }
        }
    }
    Ok(samples)
}

/// Measures running processes of both sides in turn, and starts new ones between some of the rounds.
pub(crate) fn alternate_running<P>(
    rounds: usize,
    start: impl Fn(Side) -> Result<P>,
    measure: impl Fn(&mut P) -> Result<f64>,
) -> Result<[Samples; 2]> {
    let mut samples = [Samples::default(), Samples::default()];
    for _ in 0..PROCESSES {
        let mut processes = [start(0)?, start(1)?];
        thread::sleep(SETTLE);
        let measured = alternate(rounds.div_ceil(PROCESSES), |side| measure(&mut processes[side]))?;
        for (samples, measured) in samples.iter_mut().zip(measured) {
            samples.0.extend(measured.0);
        }
    }
    Ok(samples)
}
