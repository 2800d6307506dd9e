//! The executable itself, as people and programs use it: real processes, real files, real ports.

mod audit;
mod browser;
mod chaos;
mod configuration;
mod conformance;
mod contacts;
mod export;
mod finding;
mod full_disk;
mod head;
mod help;
mod import;
mod lifecycle;
mod orders;
#[cfg(unix)]
mod postgres;
#[cfg(unix)]
#[path = "../../../../core/tests/all/postgres/server.rs"]
#[expect(dead_code, reason = "the tests of the store need more of it")]
mod postgres_server;
mod promote;
mod receiver;
mod relay;
mod restore;
mod shopping;
mod stores;
mod support;
mod tokens;
