//! How far the lab is.

use std::time::{Duration, Instant};

use super::Plan;

/// How far the lab is, told several times a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is being measured.
    pub doing: String,
    /// The part that is done, 0 to 1.
    pub done: f64,
    /// How long it still takes, about.
    pub left: Duration,
}

/// The steps of a run, each with the time that it is thought to take.
pub(super) struct Steps<'a> {
    told: &'a (dyn Fn(&Progress) + Sync),
    started: Instant,
    planned: Duration,
    done: Duration,
    doing: String,
    since: Instant,
    takes: Duration,
}

impl<'a> Steps<'a> {
    pub(super) fn new(plan: &Plan, told: &'a (dyn Fn(&Progress) + Sync)) -> Self {
        let now = Instant::now();
        let (done, takes) = (Duration::ZERO, Duration::ZERO);
        Self { told, started: now, planned: plan.takes(), done, doing: String::new(), since: now, takes }
    }

    /// The step before is over, and this one begins.
    pub(super) fn begin(&mut self, doing: String, takes: Duration) {
        self.done += self.takes;
        (self.doing, self.takes, self.since) = (doing, takes, Instant::now());
        self.tell();
    }

    /// Tells how far it is now.
    pub(super) fn tell(&self) {
        let done = self.done + self.since.elapsed().min(self.takes);
        let done = (done.as_secs_f64() / self.planned.as_secs_f64()).clamp(0.0, 1.0);
        let left = match self.started.elapsed() {
            // Too early to know how fast this machine is.
            elapsed if done < 0.03 => self.planned.saturating_sub(elapsed),
            elapsed => elapsed.mul_f64((1.0 - done) / done),
        };
        (self.told)(&Progress { doing: self.doing.clone(), done, left });
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
