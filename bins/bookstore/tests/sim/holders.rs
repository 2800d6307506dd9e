//! Actors that hold copies, confirm in time or too late, extend, give up, hand over and take back.

use bookstore_core::{Clock as _, OrderAction, OrderId, Receipt, Status, Timestamp};
use rand::RngExt as _;
use std::{sync::Arc, time::Duration};

use super::{
    actors::{Actor, KeyedCall, lines},
    bugs::Bug,
    caller::Routes,
    coverage::Seen,
    hosts::Host,
};

/// Holds for one or two seconds, and does something with the order before the time is up, about when it is, or after.
pub(crate) async fn holder(routes: Arc<Routes>, number: u64) {
    let mut actor = Actor::new(&routes, Host::Buyers, number);
    for nth in 0..actor.world.plan.intents {
        if !actor.think().await {
            break;
        }
        let id = actor.clock.new_order_id();
        actor.world.facts().intents.insert(id, number * 1000 + nth);
        if actor.rng.random_bool(0.15) {
            // A checkout that heard nothing gives the id up, whether anything arrived or not.
            actor.call(KeyedCall::Change(id, OrderAction::Void)).await;
            continue;
        }
        let (lines, seconds) = (lines(&mut actor), actor.rng.random_range(1..=2));
        actor.call(KeyedCall::Change(id, OrderAction::Hold { lines, seconds, reference: None, contact: None })).await;
        // Soon, or about when the time is up and later.
        let soon = actor.rng.random_bool(0.6) && !actor.world.has(Bug::GivesBackTwice);
        let wait = if soon { actor.rng.random_range(0..=300) } else { actor.rng.random_range(700..=2_200) };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        go_on(&mut actor, id).await;
    }
    actor.resolve().await;
}

/// What a checkout does next, or two of these at the same time.
async fn go_on(actor: &mut Actor, id: OrderId) {
    let late = actor.world.has(Bug::GivesBackTwice) && actor.rng.random_bool(0.7);
    let action = match actor.rng.random_range(0..10) {
        // Whoever cancels late is who finds it.
        _ if late => OrderAction::Cancel,
        0..4 => OrderAction::Confirm,
        4..6 => OrderAction::Cancel,
        6 => OrderAction::Void,
        7 => {
            let Ok(order) = actor.caller.order(id).await else { return };
            let seen = order.expires_at().unwrap_or(order.placed_at);
            OrderAction::Extend { seen, expires_at: Timestamp(seen.0 + 500) }
        }
        8 => {
            // The confirmation and the cancellation race.
            let (confirm, cancel) =
                (KeyedCall::Change(id, OrderAction::Confirm), KeyedCall::Change(id, OrderAction::Cancel));
            let both = tokio::join!(actor.caller.call(&confirm), actor.caller.call(&cancel));
            let open = [(confirm, both.0), (cancel, both.1)].into_iter();
            actor.unresolved.extend(open.filter_map(|(call, answer)| answer.is_err().then_some(call)));
            return;
        }
        _ => return,
    };
    if !actor.call(KeyedCall::Change(id, action)).await {
        return;
    }
    if actor.rng.random_bool(0.3) {
        let key = actor.clock.new_order_id();
        let one = bookstore_core::fixtures::lines(&[(1, 1)]);
        actor.call(KeyedCall::Change(id, OrderAction::Return { lines: one, key })).await;
    } else if actor.rng.random_bool(0.7) {
        actor.call(KeyedCall::Change(id, OrderAction::Fulfil)).await;
    }
}

/// Counts what an answer shows.
pub(super) fn count(actor_world: &super::world::Shared, answer: &bookstore_core::Result<Receipt>) {
    let status = match answer {
        Ok(receipt) => Some(receipt.order.status),
        Err(error) => error.order().map(|order| order.status),
    };
    let seen = match status {
        Some(Status::Held) => Seen::Held,
        Some(Status::Lapsed) => Seen::Lapsed,
        Some(Status::Voided) => Seen::Voided,
        Some(Status::Fulfilled) => Seen::Fulfilled,
        Some(Status::Placed | Status::Cancelled) | None => return,
    };
    actor_world.coverage.saw(seen);
}
