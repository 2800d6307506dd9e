//! `bookstore lab`: everything that it starts, measures, writes and leaves behind.

mod answers;
mod endings;
mod support;
