//! The inner interfaces over real sockets, with the real core behind them.

mod batches;
mod ending;
mod failures;
mod hang_up;
mod heads;
mod limits;
mod overload;
mod pins;
mod rates;
mod restart;
mod roundtrip;
mod strangers;
mod support;
