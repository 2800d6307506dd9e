//! What the benchmarks share: shops to buy in, buyers in process and over HTTP, the raw ceiling, and designs to compare with.

pub mod atomic;
pub mod catalogue;
pub mod ceiling;
pub mod crowd;
pub mod deployed;
pub mod race;
pub mod shop;
pub mod textbook;
