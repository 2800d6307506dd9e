//! What the benchmarks share: a shop to buy in, buyers, and the textbook design as a baseline.

pub mod race;
pub mod shop;
pub mod textbook;
