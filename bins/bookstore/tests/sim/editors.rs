//! An actor that corrects texts, and takes books off sale for a while.

use bookstore_core::{Amend, Book, BookText, Clock as _, Error, Result};
use rand::RngExt as _;
use std::{sync::Arc, time::Duration};

use super::{
    actors::{Actor, KeyedCall},
    caller::Routes,
    coverage::Seen,
    hosts::Host,
    world::Shared,
};

/// Titles that books get. They are few, so that two books want the same one, and so different that no search takes one for another, also
/// not with typos.
pub(crate) const TITLES: [&str; 6] = ["Zebra", "Oak", "Quartz", "Lighthouse", "Umbrella", "Parsnip"];

/// Revises books; withdraws one now and then, and relists it soon.
pub(crate) async fn editor(routes: Arc<Routes>, number: u64) {
    let mut actor = Actor::new(&routes, Host::Staff, number);
    while actor.think().await {
        let book = actor.any_book();
        if actor.rng.random_bool(0.6) {
            let Ok(seen) = actor.caller.info(book).await else { continue };
            let title = TITLES[actor.rng.random_range(0..TITLES.len())].to_owned();
            let text = Box::new(BookText { title, ..BookText::from(&seen.text) });
            let change = Amend::Revise { text, text_version: Some(seen.text_version) };
            let key = actor.clock.new_order_id();
            actor.call(KeyedCall::Amend(book, change, key)).await;
            continue;
        }
        for change in [Amend::Withdraw, Amend::Relist] {
            let key = actor.clock.new_order_id();
            actor.call(KeyedCall::Amend(book, change, key)).await;
            tokio::time::sleep(Duration::from_millis(actor.rng.random_range(0..=60))).await;
        }
    }
    actor.resolve().await;
}

/// Counts what an answer to a change of a book shows.
pub(super) fn count(world: &Shared, change: &Amend, answer: &Result<Book>) {
    let seen = match (change, answer) {
        (Amend::Revise { .. }, Ok(_)) => Seen::Revised,
        (Amend::Revise { .. }, Err(Error::BookExists { .. })) => Seen::NameTaken,
        (Amend::Withdraw, Ok(_)) => Seen::Withdrawn,
        (Amend::Relist, Ok(_)) => Seen::Relisted,
        _ => return,
    };
    world.coverage.saw(seen);
}
