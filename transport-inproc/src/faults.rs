//! Which faults strike, how often, and what happens to each call.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::time::Duration;

/// How often each fault strikes, as a share of all calls from 0 to 1.
///
/// `overloaded`, `request_lost` and `reply_lost` exclude each other, so their sum should be at most 1. The other two
/// are drawn independently.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// The call is refused as overloaded.
    pub overloaded: f64,
    /// The call never arrives, and its caller does not learn that.
    pub request_lost: f64,
    /// The call executes, but its answer never arrives.
    pub reply_lost: f64,
    /// A call that may be sent again arrives again, some time after its answer.
    pub duplicated: f64,
    /// The call arrives late.
    pub delayed: f64,
    /// The longest delay of a late call or a duplicate. A caller waits for a lost message this long too.
    pub delay_max: Duration,
}

impl Rates {
    /// Every fault at the same rate.
    #[must_use]
    pub fn all(rate: f64, delay_max: Duration) -> Self {
        Self { overloaded: rate, request_lost: rate, reply_lost: rate, duplicated: rate, delayed: rate, delay_max }
    }
}

/// How often each fault struck. A batch is one call here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// All calls, with faults and without.
    pub calls: u64,
    /// Calls that were refused as overloaded.
    pub overloaded: u64,
    /// Calls that never arrived.
    pub requests_lost: u64,
    /// Calls whose answer never arrived.
    pub replies_lost: u64,
    /// Calls that arrived twice.
    pub duplicated: u64,
    /// Calls that arrived late.
    pub delayed: u64,
}

/// What a call does if it is sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it is a read.
    Read,
    /// It may execute again.
    Unkeyed,
    /// It executes once, however often it is sent.
    Keyed,
}

/// At most one of these strikes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Overloaded,
    RequestLost,
    ReplyLost,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallPlan {
    pub(crate) fault: Option<Fault>,
    /// How long until it arrives.
    pub(crate) delay: Duration,
    /// How long after its answer it arrives again.
    pub(crate) again: Option<Duration>,
    /// How long the caller waits for a lost message.
    pub(crate) timeout: Duration,
}

/// Draws what happens to each call, from a seed.
pub(crate) struct FaultSource {
    rng: StdRng,
    pub(crate) rates: Rates,
    pub(crate) faults: Faults,
}

impl FaultSource {
    pub(crate) fn new(rates: Rates, seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), rates, faults: Faults::default() }
    }

    /// Draws equally many numbers for every call, so that what happens to one call does not shift what happens to the
    /// next.
    pub(crate) fn plan(&mut self, effect: Effect) -> CallPlan {
        let (fault, duplicated, delayed) = (self.rng.random(), self.rng.random::<f64>(), self.rng.random::<f64>());
        let (delay, again): (f64, f64) = (self.rng.random(), self.rng.random());
        let Rates { delay_max, .. } = self.rates;
        self.faults.calls += 1;
        let fault = self.fault(fault);
        let arrives = !matches!(fault, Some(Fault::Overloaded | Fault::RequestLost));
        let delayed = arrives && delayed < self.rates.delayed;
        let duplicated = arrives && effect == Effect::Keyed && duplicated < self.rates.duplicated;
        self.faults.delayed += u64::from(delayed);
        self.faults.duplicated += u64::from(duplicated);
        CallPlan {
            fault,
            delay: if delayed { delay_max.mul_f64(delay) } else { Duration::ZERO },
            again: duplicated.then(|| delay_max.mul_f64(again)),
            timeout: delay_max,
        }
    }

    /// At most one of the faults that exclude each other, from a number between 0 and 1.
    fn fault(&mut self, drawn: f64) -> Option<Fault> {
        let Rates { overloaded, request_lost, reply_lost, .. } = self.rates;
        let (count, fault) = if drawn < overloaded {
            (&mut self.faults.overloaded, Fault::Overloaded)
        } else if drawn < overloaded + request_lost {
            (&mut self.faults.requests_lost, Fault::RequestLost)
        } else if drawn < overloaded + request_lost + reply_lost {
            (&mut self.faults.replies_lost, Fault::ReplyLost)
        } else {
            return None;
        };
        *count += 1;
        Some(fault)
    }
}
