//! Where work that waits for a disk is done.

/// Whether a writer, a store and an index use threads of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// Threads of their own, which may wait for the disk.
    #[default]
    Threads,
    /// The current runtime: the writer is a task of it, and a store reads and writes where it is called. For simulations:
    /// on one thread the same seed gives the same trace. A store MUST NOT wait for anything but simulated time then.
    Task,
}
