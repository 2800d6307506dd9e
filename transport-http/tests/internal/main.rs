//! The inner interfaces over real sockets, with the real core behind them.

mod batches;
mod failures;
mod hang_up;
mod limits;
mod overload;
mod pins;
mod roundtrip;
mod support;
