//! `bookstore load`: on real shops, and on shops that break their promises.

mod command;
mod failures;
mod latency;
mod promises;
mod runs;
mod support;
