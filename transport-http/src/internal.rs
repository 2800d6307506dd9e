//! What the catalog's and the order server's inner interfaces have in common.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request, State, rejection::JsonRejection},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use bookstore_core::{Error, Receipt, Result};
use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, maybe_done},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{future::poll_fn, pin::Pin, task::Poll};

use crate::{
    guard::labelled,
    server::{Health, health_routes},
    token::AccessToken,
    wire::{self, Refused},
};

/// How an inner interface is served.
#[derive(Clone, Debug, Default)]
pub struct InternalOptions {
    /// What every request under `/v1/` must show; without it, whoever reaches the port is trusted.
    pub token: Option<AccessToken>,
    /// What the operator's routes answer from.
    pub health: Health,
}

/// The most calls of one request.
pub const BATCH_MAX: usize = 256;
/// The longest body of a batch or of a list of books, in bytes: room for [`BATCH_MAX`] of the longest orders.
pub(crate) const BIG_BODY_MAX: usize = 4 << 20;

/// One call's own answer in a batch: `{"ok": …}` or `{"error": …}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer<A> {
    Ok(A),
    Error(Told),
}

/// An error as it was told; a newer server may tell of one that this program does not know.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Told {
    Known(Error),
    Foreign(serde_json::Value),
}

impl<A> From<Result<A>> for Answer<A> {
    fn from(result: Result<A>) -> Self {
        match result {
            Ok(answer) => Self::Ok(answer),
            Err(error) => Self::Error(Told::Known(error)),
        }
    }
}

impl<A> From<Answer<A>> for Result<A> {
    fn from(answer: Answer<A>) -> Self {
        match answer {
            Answer::Ok(answer) => Ok(answer),
            Answer::Error(Told::Known(error)) => Err(error),
            Answer::Error(Told::Foreign(_)) => {
                Err(Error::unknown("the server told of an error that is not known here"))
            }
        }
    }
}

/// The calls of a batch.
pub(crate) struct Calls<Q>(pub(crate) Vec<Q>);

impl<S: Send + Sync, Q: DeserializeOwned> FromRequest<S> for Calls<Q> {
    type Rejection = JsonRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, JsonRejection> {
        // `Json` keeps track of where in the body it is, for its errors: a tenth of a batch's work, and nearly never asked for.
        if request.headers().get(header::CONTENT_TYPE).is_some_and(|content| content == "application/json") {
            let body = Bytes::from_request(request, state).await?;
            if let Ok(calls) = serde_json::from_slice(&body) {
                return Ok(Self(calls));
            }
            return Json::from_bytes(&body).map(|Json(calls)| Self(calls));
        }
        Json::from_request(request, state).await.map(|Json(calls)| Self(calls))
    }
}

/// Answers every call of a batch by itself, all at once.
///
/// This runs on the request's own task, so it is dropped when the client hangs up. That leaves nothing half done: a
/// call is one command, and the ledger's writer executes a command wholly or, if its caller has gone before the
/// batch was taken, not at all. Waiting for a copy comes after the commit and changes nothing. So there is
/// nothing to detach.
pub(crate) async fn answer_all<'a, Q>(
    calls: Vec<Q>,
    answer: impl Fn(Q) -> BoxFuture<'a, Result<Receipt>>,
) -> Result<Response, Refused> {
    if calls.len() > BATCH_MAX {
        return Err(Error::invalid("calls", format!("at most {BATCH_MAX} at once, not {}", calls.len())).into());
    }
    let mut running: Vec<_> = calls.into_iter().map(|call| maybe_done(answer(call))).collect();
    // All begin before the first is waited for, …
    poll_fn(|cx| {
        for call in &mut running {
            let _ = call.poll_unpin(cx);
        }
        Poll::Ready(())
    })
    .await;
    // … and then it is one after the other's turn: they are done nearly together, and none is looked at in vain.
    let mut answers = Vec::with_capacity(running.len());
    for mut call in running {
        (&mut call).await;
        answers.extend(Pin::new(&mut call).take_output());
    }
    Ok(wire::json(StatusCode::OK, answers_json(&answers)))
}

/// The answers to a batch of calls, each `{"ok": …}` or `{"error": …}`, the bytes that serde makes of [`Answer`]s.
fn answers_json(answers: &[Result<Receipt>]) -> Vec<u8> {
    let mut json = Vec::with_capacity(answers.len() * ANSWER_BYTES);
    let mut before = b'[';
    for answer in answers {
        json.push(before);
        before = b',';
        match answer {
            Ok(Receipt { order, replayed }) => {
                json.extend_from_slice(br#"{"ok":{"order":"#);
                wire::write_order(&mut json, order);
                json.extend_from_slice(if *replayed { br#","replayed":true}}"# } else { br#","replayed":false}}"# });
            }
            Err(error) => {
                let error = Answer::<()>::from(Err(error.clone()));
                serde_json::to_writer(&mut json, &error).expect("an error is JSON");
            }
        }
    }
    json.extend_from_slice(if answers.is_empty() { b"[]" } else { b"]" });
    json
}

/// Bytes that hold nearly every answer.
const ANSWER_BYTES: usize = 384;

/// A route whose body may be [`BIG_BODY_MAX`] long.
pub(crate) fn big<S: Clone + Send + Sync + 'static>(route: MethodRouter<S>) -> MethodRouter<S> {
    route.layer(DefaultBodyLimit::max(BIG_BODY_MAX))
}

/// The routes of a service behind the token, and the operator's beside them.
pub(crate) fn finish(service: Router, options: InternalOptions) -> Router {
    let service = match options.token {
        Some(token) => service.route_layer(from_fn_with_state(token, check_token)),
        None => service,
    };
    labelled(service).merge(health_routes(options.health))
}

async fn check_token(State(token): State<AccessToken>, request: Request, next: Next) -> Response {
    match token.authorise(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => Refused(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookId, Cents, Order, OrderId, OrderLine, Seq, Status, Timestamp};

    #[test]
    fn a_batch_s_answers_are_the_json_that_serde_makes() {
        let order = Order {
            id: OrderId(uuid::Uuid::from_u128(7)),
            status: Status::Placed,
            lines: [OrderLine { book: BookId(7), quantity: 2, unit_price_cents: Cents::ZERO }].into_iter().collect(),
            total_cents: Cents::ZERO,
            placed_at: Timestamp(1_790_000_000_000),
            seq: Seq(9),
            cancelled_at: None,
        };
        let receipt = |replayed| Ok(Receipt { order: order.clone(), replayed });
        let refused = Err(Error::OutOfStock { book: BookId(7), available: 1 });
        for answers in [vec![], vec![refused.clone()], vec![receipt(true), refused, receipt(false)]] {
            let expected: Vec<Answer<Receipt>> = answers.iter().cloned().map(Answer::from).collect();
            let json = String::from_utf8(answers_json(&answers)).unwrap();
            assert_eq!(json, serde_json::to_string(&expected).unwrap());
        }
    }
}
