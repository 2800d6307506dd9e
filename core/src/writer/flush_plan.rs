//! When the next batch begins, and who makes a batch durable: one pure function of three numbers.

/// A batch of more than this many times `overlap_min` commands is handed over, though nothing waits behind it.
///
/// With 1, callers that come back as soon as they are answered, and so are all in one batch, were served 12 % slower: 256 of them, over
/// 10,000 books. See `docs/decisions/0041`.
const LARGE_BATCH: usize = 4;

/// What the writer sees when it plans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Commands of the batch that has just been appended; 0 if there is none.
    pub(super) decided: usize,
    /// Commands in the queue.
    pub(super) waiting: usize,
    /// Batches that the committer has and has not answered yet.
    pub(super) in_flight: usize,
}

/// When the next batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// With the first command.
    Now,
    /// When this many commands wait, or when nothing is in flight any more.
    WhenWaiting(usize),
}

/// Who makes a batch durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlushBy {
    /// The appender itself: nothing would be done meanwhile, so waking the committer is not worth it.
    Appender,
    /// The committer, while the appender goes on.
    Committer,
}

/// The plan for a batch, and for the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlushPlan {
    pub(super) begin: Begin,
    pub(super) flush: FlushBy,
}

impl FlushPlan {
    /// Plans for a load.
    ///
    /// - Beside a batch in flight, another one begins only with `overlap_min` commands. Fewer wait for that one: two small batches cost
    ///   more than one of twice the size.
    /// - With fewer than that waiting behind it, nothing would begin beside a batch, so it is not handed over, unless it has
    ///   more than [`LARGE_BATCH`] times as many commands. With an `overlap_min` of 0 every batch is handed over.
    /// - A batch behind one in flight is always handed over, so that batches become durable in order.
    pub(super) fn of(Load { decided, waiting, in_flight }: Load, overlap_min: usize) -> Self {
        let overlaps = waiting >= overlap_min;
        Self {
            begin: if in_flight == 0 || overlaps { Begin::Now } else { Begin::WhenWaiting(overlap_min) },
            flush: if in_flight > 0 || overlaps || decided > overlap_min.saturating_mul(LARGE_BATCH) {
                FlushBy::Committer
            } else {
                FlushBy::Appender
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Begin::*, FlushBy::*, *};

    #[test]
    fn the_plan_for_every_regime() {
        let until = WhenWaiting(64);
        let table = [
            // (decided, waiting, in flight), overlap_min: the plan.
            ((1, 0, 0), 64, (Now, Appender)),
            ((4, 63, 0), 64, (Now, Appender)),
            ((63, 0, 0), 64, (Now, Appender)),
            // Enough wait to begin the next batch beside this one.
            ((1, 64, 0), 64, (Now, Committer)),
            ((127, 0, 0), 64, (Now, Appender)),
            ((128, 63, 0), 64, (Now, Appender)),
            ((256, 0, 0), 64, (Now, Appender)),
            // The batch itself is large: those whom it answers may be enough for the next.
            ((257, 0, 0), 64, (Now, Committer)),
            ((4_096, 4_096, 0), 64, (Now, Committer)),
            // Something is in flight.
            ((0, 0, 1), 64, (until, Committer)),
            ((0, 63, 1), 64, (until, Committer)),
            ((0, 64, 1), 64, (Now, Committer)),
            ((1, 0, 1), 64, (until, Committer)),
            ((128, 63, 2), 64, (until, Committer)),
            // Every batch changes hands, and begins with the first command.
            ((0, 0, 0), 0, (Now, Committer)),
            ((1, 0, 0), 0, (Now, Committer)),
            ((1, 0, 1), 0, (Now, Committer)),
            // A limit beyond the queue: batches never overlap.
            ((4_096, 4_096, 0), usize::MAX, (Now, Appender)),
            ((1, 4_096, 1), usize::MAX, (WhenWaiting(usize::MAX), Committer)),
        ];
        for ((decided, waiting, in_flight), overlap_min, (begin, flush)) in table {
            let load = Load { decided, waiting, in_flight };
            assert_eq!(FlushPlan::of(load, overlap_min), FlushPlan { begin, flush }, "{load:?}, {overlap_min}");
        }
    }
}
