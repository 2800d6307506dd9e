//! What drives and compares shops, for the executable `bookstore` and the benchmarks: [`load`] sends a running shop traffic and
//! checks the promises afterwards; [`lab`] starts deployments itself and answers the textbook exercise's questions.

pub mod lab;
pub mod load;
mod report;
mod text;
