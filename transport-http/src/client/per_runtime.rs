//! A value for each tokio runtime that uses it.
//!
//! A connection is driven by the runtime that opened it, and a task by the one that it was spawned on. Where threads have
//! runtimes of their own, what they shared would wake one thread for what another one waits for.

use std::sync::{PoisonError, RwLock};
use tokio::runtime::{Handle, Id};

/// Runtimes that are remembered: more than one process has at a time. One that is forgotten gets a new thing.
const RUNTIMES_MAX: usize = 1024;

/// A value for each runtime, made when it is first used there.
///
/// Of more than 1024 runtimes the first ones are forgotten. The values of a runtime that has ended stay until then.
#[derive(Debug)]
pub(super) struct PerRuntime<T>(RwLock<Vec<(Id, T)>>);

impl<T> Default for PerRuntime<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: Clone> PerRuntime<T> {
    /// The current runtime's, made if it has none yet.
    ///
    /// # Panics
    /// Outside a runtime.
    pub(super) fn get(&self, make: impl FnOnce() -> T) -> T {
        let here = Handle::current().id();
        let known =
            |all: &Vec<(Id, T)>| all.iter().find(|(runtime, _)| *runtime == here).map(|(_, thing)| thing.clone());
        if let Some(thing) = known(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return thing;
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another of the runtime's threads may have been quicker.
        known(&all).unwrap_or_else(|| {
            if all.len() == RUNTIMES_MAX {
                all.remove(0);
            }
            let thing = make();
            all.push((here, thing.clone()));
            thing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::runtime::{Builder, Runtime};

    #[test]
    fn each_runtime_has_its_own_until_there_are_too_many() {
        let runtimes: Vec<Runtime> =
            (0..=RUNTIMES_MAX).map(|_| Builder::new_current_thread().build().expect("a runtime")).collect();
        let (things, made) = (PerRuntime::default(), Cell::new(0));
        let get = |runtime: &Runtime| {
            runtime.block_on(async {
                things.get(|| {
                    made.set(made.get() + 1);
                    made.get()
                })
            })
        };
        let (last, others) = runtimes.split_last().expect("there are some");
        for _ in 0..2 {
            assert!(others.iter().map(get).eq(1..=RUNTIMES_MAX));
        }
        assert_eq!(get(last), RUNTIMES_MAX + 1);
        assert_eq!((get(&others[1]), get(&others[0])), (2, RUNTIMES_MAX + 2), "the first one was forgotten");
    }
}
