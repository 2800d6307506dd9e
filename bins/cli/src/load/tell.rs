//! Telling how far a run is.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    drive::Run,
    record::{Counted, Recorder},
    watch::{Phase, Progress, Watch},
};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Does the work, and tells how far it is meanwhile.
pub(super) async fn told<T>(work: impl Future<Output = T>, mut tell: impl FnMut()) -> T {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => tell(),
        }
    }
}

/// Makes [`Progress`] of what there is.
pub(super) struct Teller<'a> {
    run: Arc<Run>,
    watch: Watch,
    progress: &'a (dyn Fn(&Progress) + Sync),
    last: Option<(Instant, Counted)>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(run: Arc<Run>, watch: Watch, progress: &'a (dyn Fn(&Progress) + Sync)) -> Self {
        Self { run, watch, progress, last: None }
    }

    /// Tells how far it is now.
    pub(super) fn tell(&mut self) {
        let load = &self.run.load;
        let (phase, done, total) = self.watch.now();
        let elapsed = self.run.elapsed().unwrap_or_default();
        let phase = match phase {
            Phase::Preparing if self.run.elapsed().is_none() => Phase::Preparing,
            Phase::Preparing if elapsed < load.warmup => Phase::WarmUp,
            Phase::Preparing => Phase::Load,
            checking => checking,
        };
        let counts = self.run.recorder.get().map(Recorder::counts).unwrap_or_default();
        let recent = self.run.recorder.get().and_then(Recorder::recent).filter(|recent| !recent.is_empty());
        let percentile = |percent| recent.as_ref().map(|recent| recent.value_at_percentile(percent).min(recent.max()));
        let per_second = self.last.map_or(0.0, |(at, before)| {
            let answered = counts.answered().saturating_sub(before.answered());
            f64::from(u32::try_from(answered).unwrap_or(u32::MAX)) / at.elapsed().as_secs_f64().max(1e-3)
        });
        self.last = Some((Instant::now(), counts));
        (self.progress)(&Progress {
            phase,
            elapsed,
            planned: load.warmup + load.duration,
            done,
            total,
            succeeded: counts.succeeded,
            refused: counts.refused,
            failed: counts.failed,
            per_second,
            p50_us: percentile(50.0),
            p99_us: percentile(99.0),
        });
    }
}
