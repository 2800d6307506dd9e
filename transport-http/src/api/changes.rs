//! What becomes of an order beside buying and cancelling it: holds, confirmations, extensions, fulfilments, returns.

use axum::{extract::State, http::StatusCode};
use bookstore_core::{Actor, Contact, Error, Lines, OrderAction, OrderId, Reference, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    admin::{Admin, Caller},
    extract::{Key, Payload},
    order_id::ExistingOrderId,
    orders::{LineRequest, Nothing, objects, receipt},
    rejection::Answer,
    shop::{Shared, Shop},
};
use crate::token::{self, Role};

/// What a purchase may say beside its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) reference: Option<Reference>,
    pub(super) hold_seconds: Option<u32>,
    pub(super) contact: Option<Box<Contact>>,
}

impl Terms {
    /// Whether it is a plain purchase.
    pub(super) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Who of the shop asks, for the ledger: whoever shows a token that may change orders.
pub(super) fn by_shop(caller: Option<token::Actor>) -> Result<Option<Actor>> {
    let caller = caller.filter(|caller| caller.allow(CHANGES_ORDERS).is_ok());
    caller.map(|caller| caller.for_ledger()).transpose()
}

/// The role that holds, confirms and extends for the shop. Without it these are the buyer's own.
const CHANGES_ORDERS: Role = Role::Stock;

/// Buys or holds, on terms of its own.
pub(super) async fn place(
    shop: &Shop,
    id: OrderId,
    lines: Lines,
    Terms { reference, hold_seconds, contact }: Terms,
    Caller(caller): Caller,
) -> Answer {
    let by = by_shop(caller)?;
    let action = match hold_seconds {
        None => OrderAction::Purchase { lines, reference, contact },
        Some(_) if by.is_none() && !shop.public_holds => {
            let message =
                "holds are for the shop's own people here: show a token, or start the server with --public-holds";
            return Err(Error::Forbidden { message: message.into() }.into());
        }
        Some(seconds) => OrderAction::Hold { lines, seconds, reference, contact },
    };
    let done = shop.orders.change(id, action, by).await?;
    Ok(receipt(if done.replayed { StatusCode::OK } else { StatusCode::CREATED }, done))
}

async fn change(shop: &Shop, id: OrderId, action: OrderAction, by: Option<Actor>) -> Answer {
    Ok(receipt(StatusCode::OK, shop.orders.change(id, action, by).await?))
}

/// `POST /orders/{id}/confirm`
pub(super) async fn confirm(
    State(shop): Shared,
    ExistingOrderId(id): ExistingOrderId,
    Caller(caller): Caller,
    payload: Payload,
) -> Answer {
    payload.optional_json::<Nothing>()?;
    change(&shop, id, OrderAction::Confirm, by_shop(caller)?).await
}

/// A new end of a hold.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Extension {
    /// The `expires_at` that the caller saw.
    pub(super) seen: Timestamp,
    /// The new one, later than that.
    pub(super) expires_at: Timestamp,
}

/// `POST /orders/{id}/extend`
pub(super) async fn extend(
    State(shop): Shared,
    ExistingOrderId(id): ExistingOrderId,
    Caller(caller): Caller,
    payload: Payload,
) -> Answer {
    let Extension { seen, expires_at } = payload.json()?;
    change(&shop, id, OrderAction::Extend { seen, expires_at }, by_shop(caller)?).await
}

/// `POST /orders/{id}/fulfil`
pub(super) async fn fulfil(
    State(shop): Shared,
    Admin(actor): Admin,
    ExistingOrderId(id): ExistingOrderId,
    payload: Payload,
) -> Answer {
    payload.optional_json::<Nothing>()?;
    let answer = change(&shop, id, OrderAction::Fulfil, Some(actor.for_ledger()?)).await?;
    actor.changed(format_args!("order {id} fulfilled"));
    Ok(answer)
}

/// Copies that come back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnRequest {
    /// 1 to 100 lines; those of one book are summed. A price is not looked at.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<LineRequest>, min_items = 1, max_items = 100))]
    #[serde(deserialize_with = "objects")]
    pub(super) lines: Vec<LineRequest>,
}

/// `POST /orders/{id}/return`
pub(super) async fn take_back(
    State(shop): Shared,
    Admin(actor): Admin,
    ExistingOrderId(id): ExistingOrderId,
    Key(key): Key,
    payload: Payload,
) -> Answer {
    let ReturnRequest { lines } = payload.json()?;
    let lines = Lines::new(lines.into_iter().map(Into::into))?;
    let key = key.unwrap_or_else(|| shop.clock.new_order_id());
    let by = Some(actor.for_ledger()?);
    let answer = change(&shop, id, OrderAction::Return { lines, key }, by).await?;
    actor.changed(format_args!("copies of order {id} taken back"));
    Ok(answer)
}
