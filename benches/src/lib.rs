//! What the benchmarks share: shops to buy in, buyers in process and over HTTP, servers as processes of their own, the raw
//! ceiling, designs to compare with, and samples with their statistics.

use std::error::Error;

pub mod atomic;
pub mod cargo;
pub mod catalogue;
pub mod ceiling;
pub mod deployed;
pub mod environment;
pub mod last_copy;
pub mod load_generator;
pub mod race;
pub mod samples;
pub mod server_process;
pub mod shop;
pub mod textbook;

/// The result of a step of a benchmark; an error ends the benchmark.
pub type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;
