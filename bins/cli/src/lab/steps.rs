//! How far the lab is.

use std::time::{Duration, Instant};

use super::Plan;

/// How far the lab is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The present step.
    pub doing: String,
    /// The part that is done, 0 to 1.
    pub done: f64,
    /// The estimated time until the end.
    pub left: Duration,
}

/// The steps of a run, each with its estimated time.
pub(super) struct Steps<'a> {
    progress: &'a (dyn Fn(&Progress) + Sync),
    started: Instant,
    planned: Duration,
    done: Duration,
    doing: String,
    since: Instant,
    takes: Duration,
}

impl<'a> Steps<'a> {
    pub(super) fn new(plan: &Plan, progress: &'a (dyn Fn(&Progress) + Sync)) -> Self {
        let now = Instant::now();
        let (done, takes) = (Duration::ZERO, Duration::ZERO);
        Self { progress, started: now, planned: plan.takes(), done, doing: String::new(), since: now, takes }
    }

    /// Ends the step before and begins this one.
    pub(super) fn begin(&mut self, doing: String, takes: Duration) {
        self.done += self.takes;
        (self.doing, self.takes, self.since) = (doing, takes, Instant::now());
        self.report();
    }

    /// Reports how far the lab is now.
    pub(super) fn report(&self) {
        let done = self.done + self.since.elapsed().min(self.takes);
        let done = (done.as_secs_f64() / self.planned.as_secs_f64()).clamp(0.0, 1.0);
        let left = match self.started.elapsed() {
            // Too early to know how fast this machine is.
            elapsed if done < 0.03 => self.planned.saturating_sub(elapsed),
            elapsed => elapsed.mul_f64((1.0 - done) / done),
        };
        (self.progress)(&Progress { doing: self.doing.clone(), done, left });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn what_is_left_follows_the_plan() {
        let told = Mutex::new(Vec::new());
        let tell = |progress: &Progress| told.lock().unwrap().push(progress.clone());
        let plan = Plan::quick();
        let mut steps = Steps::new(&plan, &tell);
        steps.begin("first".into(), plan.takes() / 2);
        steps.begin("second".into(), plan.takes() / 2);
        drop(steps);
        let told = told.into_inner().unwrap();
        assert_eq!((told[0].doing.as_str(), told[1].doing.as_str()), ("first", "second"));
        assert!(told[0].done < 0.03 && told[0].left > plan.takes() / 2, "{told:?}");
        assert!((0.5..0.6).contains(&told[1].done), "{told:?}");
    }
}
