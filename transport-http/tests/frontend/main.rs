//! The public interface over real sockets, with the real core behind it.

mod admin;
mod arbitrary;
mod bad_input;
mod books;
mod contacts;
mod embedded;
mod events;
mod openapi;
mod orders;
mod remote;
mod requests;
mod roles;
mod security_headers;
mod support;
mod texts;
