//! The cache of a frontend, over a real catalogue in memory whose answers the tests hold back.

mod bounds;
mod conforming;
mod following;
mod outage;
mod own_writes;
mod random;
mod restarts;
mod support;
mod topics;
mod upstream;
mod wired;
