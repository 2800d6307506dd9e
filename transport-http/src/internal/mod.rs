//! What the catalog's and the order server's inner interfaces have in common.

pub mod catalog;
pub(crate) mod compact;
pub mod orders;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::header,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use bookstore_core::{Error, Lines, OrderId, Receipt, Result, batch::each};
use bytes::Bytes;
use futures_util::future::{BoxFuture, join};
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;

use crate::{
    server::error_response::ErrorResponse,
    server::{Health, health_routes},
    token::AccessToken,
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

/// The calls of a batch, and in which form they came: the answers go back in the same.
pub(crate) struct Calls<Q> {
    deals: Vec<OrderCommand>,
    form: Form,
    json: PhantomData<Q>,
}

/// What a call of either server comes down to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OrderCommand<L = Lines> {
    /// Sell all lines or none.
    Sell(OrderId, L),
    /// Take a sale back.
    Release(OrderId),
}

impl OrderCommand {
    /// The same, with its lines where they are.
    pub(crate) fn as_ref(&self) -> OrderCommand<&Lines> {
        match self {
            Self::Sell(order, lines) => OrderCommand::Sell(*order, lines),
            Self::Release(order) => OrderCommand::Release(*order),
        }
    }
}

#[derive(Clone, Copy)]
enum Form {
    Json,
    Compact,
}

impl<S, Q> FromRequest<S> for Calls<Q>
where
    S: Send + Sync,
    Q: DeserializeOwned + Into<OrderCommand>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if compact::is_content(request.headers()) {
            let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
            let deals = compact::read(&body).map_err(|error| ErrorResponse(error).into_response())?;
            return Ok(Self { deals, form: Form::Compact, json: PhantomData });
        }
        let calls = Json::<Vec<Q>>::from_request(request, state).await;
        let Json(calls) = calls.map_err(IntoResponse::into_response)?;
        Ok(Self { deals: calls.into_iter().map(Q::into).collect(), form: Form::Json, json: PhantomData })
    }
}

/// Answers every call of a batch by itself: the sales, which are nearly all, go on as a batch.
///
/// This runs on the request's own task, so it is dropped when the client hangs up. That leaves nothing half done: a
/// call is one command, and the ledger's writer executes a command wholly or, if its caller has gone before the
/// batch was taken, not at all. Waiting for a copy comes after the commit and changes nothing. So there is
/// nothing to detach.
pub(crate) async fn answer_all<'a, Q>(
    Calls { deals, form, .. }: Calls<Q>,
    sell: impl FnOnce(Vec<(OrderId, Lines)>) -> BoxFuture<'a, Vec<Result<Receipt>>>,
    take_back: impl Fn(OrderId) -> BoxFuture<'a, Result<Receipt>>,
) -> Result<Response, ErrorResponse> {
    if deals.len() > BATCH_MAX {
        return Err(Error::invalid("calls", format!("at most {BATCH_MAX} at once, not {}", deals.len())).into());
    }
    let is_sale: Vec<_> = deals.iter().map(|deal| matches!(deal, OrderCommand::Sell(..))).collect();
    let (mut sales, mut returns) = (Vec::with_capacity(deals.len()), Vec::new());
    for deal in deals {
        match deal {
            OrderCommand::Sell(order, lines) => sales.push((order, lines)),
            OrderCommand::Release(order) => returns.push(order),
        }
    }
    // Each call is answered, whatever the service does.
    let missing = || Err(Error::unknown("there is no answer to this call"));
    let answers = if returns.is_empty() {
        let mut sold = sell(sales).await;
        sold.resize_with(is_sale.len(), missing);
        sold
    } else {
        let (sold, returned) = join(sell(sales), each(returns, take_back)).await;
        let (mut sold, mut returned) = (sold.into_iter(), returned.into_iter());
        let mut next = |is_sale| if is_sale { sold.next() } else { returned.next() };
        is_sale.into_iter().map(|is_sale| next(is_sale).unwrap_or_else(missing)).collect()
    };
    Ok(match form {
        Form::Json => Json(answers.into_iter().map(Answer::from).collect::<Vec<_>>()).into_response(),
        Form::Compact => compact_answer(compact::write_answers(&answers)),
    })
}

/// One call's own answer in a batch: `{"ok": …}` or `{"error": …}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(Receipt),
    Error(Error),
}

impl From<Result<Receipt>> for Answer {
    fn from(answer: Result<Receipt>) -> Self {
        answer.map_or_else(Self::Error, Self::Ok)
    }
}

/// An answer in the compact form.
pub(crate) fn compact_answer(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, compact::MEDIA_TYPE)], body).into_response()
}

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
    service.merge(health_routes(options.health))
}

async fn check_token(State(token): State<AccessToken>, request: Request, next: Next) -> Response {
    match token.authorise(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => ErrorResponse(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookId, Clock as _, SystemClock};
    use http_body_util::BodyExt as _;

    /// A service that is somebody's own may forget one.
    #[tokio::test]
    async fn every_call_is_answered_even_if_the_service_answers_too_few_or_too_many() {
        let sale = || OrderCommand::Sell(SystemClock.new_order_id(), Lines::one(BookId(1), 1).expect("a good line"));
        let take_back = || OrderCommand::Release(SystemClock.new_order_id());
        let refused = || Err(Error::BookNotFound { book: BookId(1) });
        for deals in [vec![sale(), sale()], vec![sale(), take_back(), sale()]] {
            for given in 0..4 {
                let calls = Calls::<()> { deals: deals.clone(), form: Form::Compact, json: PhantomData };
                let sell = |_| Box::pin(async move { vec![refused(); given] }) as BoxFuture<'_, _>;
                let back = |_| Box::pin(async { refused() }) as BoxFuture<'_, _>;
                let Ok(answer) = answer_all(calls, sell, back).await else { panic!("the batch is refused") };
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                let answers: Vec<Result<Receipt>> = compact::read(&body).expect("answers");
                assert_eq!(answers.len(), deals.len());
                let unknown =
                    answers.iter().filter(|answer| matches!(answer, Err(Error::OutcomeUnknown { .. }))).count();
                assert_eq!(unknown, 2_usize.saturating_sub(given), "{given} for two sales: {answers:?}");
            }
        }
    }
}
