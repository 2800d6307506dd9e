//! Webhooks: what `bookstore relay` runs.
//!
//! - [`Outbox`] is a projection of the ledger: it takes one entry after the other;
//! - [`Place`] is how far it got, in a file of its own;
//! - `event` makes the events, [`Secrets`] sign them, [`HttpReceiver`] sends each until the receiver has it.

mod delivery;
mod event;
mod outbox;
mod place;
mod signature;

pub(crate) use delivery::{HttpReceiver, ReceiverUrl};
pub(crate) use event::Types;
pub(crate) use outbox::Outbox;
pub(crate) use place::{Place, PlaceFile};
pub(crate) use signature::Secrets;
