//! Measuring both sides in turn.

use bookstore_benches::{Result, samples::Samples};

/// Which side is measured.
pub(crate) type Side = usize;

/// Measures the old side (0) and the new one (1) in turn, `rounds` times after a round that warms up. Each begins every other
/// round, so that a machine that gets slower or faster favours neither.
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
