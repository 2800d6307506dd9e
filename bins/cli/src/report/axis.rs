//! Axes: how values become positions, and where the labels are.

use super::whole;

/// How values become positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm.
    Log,
    /// Percentiles by the logarithm of what is left to 100: 90, 99 and 99.9 are evenly apart.
    Percentile,
}

impl Scale {
    fn position(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(f64::MIN_POSITIVE).log10(),
            Self::Percentile => -(1.0 - value / 100.0).max(1e-9).log10(),
        }
    }
}

/// One axis.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Where grid lines are, and their labels.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to at least `most`, with about six round ticks.
    pub(crate) fn linear(label: &'static str, most: f64, shown: impl Fn(f64) -> String) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / 6.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * decade).into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let ticks: Vec<_> = (0..=7u8)
            .map(|at| f64::from(at) * step)
            .take_while(|tick| *tick < most + step)
            .map(|at| (at, shown(at)))
            .collect();
        let high = ticks.last().map_or(most, |tick| tick.0).max(most);
        Self { label, scale: Scale::Linear, low: 0.0, high, ticks }
    }

    /// The same axis, ending at `high` instead of a round value.
    pub(crate) fn ending_at(mut self, high: f64) -> Self {
        self.ticks.retain(|tick| tick.0 <= high);
        Self { high, ..self }
    }

    /// Latencies in microseconds, around all of `values`: ticks at 1, 2 and 5 times the powers of ten, or, on a long axis, at
    /// the powers alone.
    pub(crate) fn latency(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::MAX, 1.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let low = low.clamp(1.0, high);
        let high = high.max(low * 1.01);
        let steps: Vec<f64> = (0..12).flat_map(|decade| [1.0, 2.0, 5.0].map(|by| by * 10f64.powi(decade))).collect();
        let low = steps.iter().copied().rfind(|step| *step <= low).unwrap_or(low);
        let high = steps.iter().copied().find(|step| *step >= high).unwrap_or(high);
        let inside = steps.into_iter().filter(|step| (low..=high).contains(step));
        let wide = high / low > 1e3;
        let labelled = inside.filter(|step| !wide || step.log10().fract().abs() < 1e-9);
        let ticks = labelled.map(|at| (at, latency_label(at))).collect();
        Self { label: "latency", scale: Scale::Log, low, high, ticks }
    }

    /// Percentiles up to `high`.
    pub(crate) fn percentiles(label: &'static str, high: f64) -> Self {
        let all = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
        let ticks = all.into_iter().filter(|at| *at <= high).map(|at| (at, format!("{at} %"))).collect();
        Self { label, scale: Scale::Percentile, low: 0.0, high: high.max(50.0), ticks }
    }

    /// The part of the axis that lies before `value`, 0 to 1.
    pub(crate) fn part(&self, value: f64) -> f64 {
        let [low, high, at] = [self.low, self.high, value].map(|value| self.scale.position(value));
        if high > low { ((at - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// A latency beside an axis.
fn latency_label(us: f64) -> String {
    let us = whole(us);
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_over_the_values() {
        let labels = |axis: &Axis| axis.ticks.iter().map(|tick| tick.1.clone()).collect::<Vec<_>>().join(" ");
        let axis = Axis::linear("", 23_000.0, |at| format!("{at}"));
        assert_eq!(labels(&axis), "0 5000 10000 15000 20000 25000");
        assert!(Axis::linear("", 0.0, |at| format!("{at}")).high > 0.0);
        let latencies = |values: [f64; 2]| labels(&Axis::latency(values.into_iter()));
        assert_eq!(latencies([85.0, 1900.0]), "50 µs 100 µs 200 µs 500 µs 1 ms 2 ms");
        assert_eq!(latencies([85.0, 190_000.0]), "100 µs 1 ms 10 ms 100 ms");
        assert_eq!(labels(&Axis::percentiles("", 99.9)), "0 % 50 % 75 % 90 % 95 % 99 % 99.9 %");
    }

    #[test]
    fn nines_are_evenly_apart() {
        let axis = Axis::percentiles("", 99.99);
        let parts = [90.0, 99.0, 99.9, 99.99].map(|at| axis.part(at));
        assert!(parts.windows(2).all(|pair| (pair[1] - pair[0] - 0.25).abs() < 1e-6), "{parts:?}");
    }
}
