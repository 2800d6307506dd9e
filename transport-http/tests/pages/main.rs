//! The web pages over a real server, used the way a browser without JavaScript uses them.

mod admin;
mod browser;
mod buying;
mod contacts;
mod metrics;
mod reading;
mod shop;
