//! Answering a batch of calls, for both internal interfaces.
//!
//! A batch may come as JSON, for people and tools, or in the compact form, as all servers send it.

use axum::{
    Json,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bookstore_core::{Contact, Entries, Error, Lines, OrderId, Receipt, Result, batch::each};
use bytes::Bytes;
use futures_util::future::{BoxFuture, join};
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;

use crate::{
    compact::{self, BATCH_MAX, OrderCommand},
    server::error_response::ErrorResponse,
};

/// The calls of a batch, as an argument of a handler. `Q` is what a call is in JSON; it is converted at once, so that handlers see
/// no difference.
pub(super) struct Calls<Q> {
    commands: Vec<OrderCommand>,
    format: Format,
    json: PhantomData<Q>,
}

/// The form in which the calls came. The answers go back in the same.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Compact,
}

impl<S, Q> FromRequest<S> for Calls<Q>
where
    S: Send + Sync,
    Q: DeserializeOwned + Into<OrderCommand>,
{
    type Rejection = Response;

    /// Reads the body in the form that its content type says; the length is limited by the route.
    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if compact::is_content(request.headers()) {
            let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
            let commands = compact::read(&body).map_err(|error| ErrorResponse(error).into_response())?;
            return Ok(Self { commands, format: Format::Compact, json: PhantomData });
        }
        let calls = Json::<Vec<Q>>::from_request(request, state).await;
        let Json(calls) = calls.map_err(IntoResponse::into_response)?;
        Ok(Self { commands: calls.into_iter().map(Q::into).collect(), format: Format::Json, json: PhantomData })
    }
}

/// Answers every call of a batch by itself. The sales, nearly all of the calls, go on as a batch.
///
/// This runs on the request's own task, so it is dropped if the server cuts the connection off. That leaves nothing half done: a call is
/// one command, and the ledger's writer executes a command wholly or, if its caller has gone before the batch was taken, not at
/// all. Waiting for a copy comes after the commit and changes nothing.
///
/// # Errors
/// [`Error::Invalid`] if there are more than [`BATCH_MAX`] calls: then none was executed.
pub(super) async fn answer_all<'a, Q>(
    Calls { commands, format, .. }: Calls<Q>,
    sell: impl FnOnce(Vec<(OrderId, Lines)>) -> BoxFuture<'a, Vec<Result<Receipt>>>,
    release: impl Fn(OrderId) -> BoxFuture<'a, Result<Receipt>>,
) -> Result<Response, ErrorResponse> {
    if commands.len() > BATCH_MAX {
        return Err(Error::invalid("calls", format!("at most {BATCH_MAX} at once, not {}", commands.len())).into());
    }
    let answers = execute(commands, sell, release).await;
    Ok(match format {
        Format::Json => Json(answers.into_iter().map(Answer::from).collect::<Vec<_>>()).into_response(),
        Format::Compact => compact_response(compact::write_answers(&answers)),
    })
}

/// Executes all commands at once; the answers are in the order of the commands.
async fn execute<'a>(
    commands: Vec<OrderCommand>,
    sell: impl FnOnce(Vec<(OrderId, Lines)>) -> BoxFuture<'a, Vec<Result<Receipt>>>,
    release: impl Fn(OrderId) -> BoxFuture<'a, Result<Receipt>>,
) -> Vec<Result<Receipt>> {
    let is_sale: Vec<_> = commands.iter().map(|command| matches!(command, OrderCommand::Sell(..))).collect();
    let (mut sales, mut releases) = (Vec::with_capacity(commands.len()), Vec::new());
    for command in commands {
        match command {
            OrderCommand::Sell(order, lines) => sales.push((order, lines)),
            OrderCommand::Release(order) => releases.push(order),
        }
    }
    // A service may give too few or too many answers; each call still gets one.
    let missing = || Err(Error::unknown("there is no answer to this call"));
    if releases.is_empty() {
        let mut sold = sell(sales).await;
        sold.resize_with(is_sale.len(), missing);
        return sold;
    }
    let (sold, released) = join(sell(sales), each(releases, release)).await;
    let (mut sold, mut released) = (sold.into_iter(), released.into_iter());
    let mut next = |is_sale| if is_sale { sold.next() } else { released.next() };
    is_sale.into_iter().map(|is_sale| next(is_sale).unwrap_or_else(missing)).collect()
}

/// The answer to one call of a batch in JSON: `{"ok": …}` or `{"error": …}`.
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

/// A page of entries in the form that the request asks for.
pub(super) fn page_response(headers: &HeaderMap, page: Entries) -> Response {
    if compact::is_accepted(headers) {
        compact_response(compact::write_page(&page))
    } else {
        Json(page).into_response()
    }
}

/// The contact of an order, or that it has none.
pub(super) fn contact_response(contact: Option<Contact>) -> Response {
    contact.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |contact| Json(contact).into_response())
}

/// A response in the compact form.
fn compact_response(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, compact::MEDIA_TYPE)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookId, Clock as _, SystemClock};
    use http_body_util::BodyExt as _;

    /// A service that somebody else wrote may forget one.
    #[tokio::test]
    async fn every_call_is_answered_even_if_the_service_answers_too_few_or_too_many() {
        let sale = || OrderCommand::Sell(SystemClock.new_order_id(), Lines::one(BookId(1), 1).expect("a good line"));
        let release = || OrderCommand::Release(SystemClock.new_order_id());
        let refused = || Err(Error::BookNotFound { book: BookId(1) });
        for commands in [vec![sale(), sale()], vec![sale(), release(), sale()]] {
            for given in 0..4 {
                let calls = Calls::<()> { commands: commands.clone(), format: Format::Compact, json: PhantomData };
                let sell = |_| Box::pin(async move { vec![refused(); given] }) as BoxFuture<'_, _>;
                let release = |_| Box::pin(async { refused() }) as BoxFuture<'_, _>;
                let Ok(answer) = answer_all(calls, sell, release).await else { panic!("the batch is refused") };
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                let answers: Vec<Result<Receipt>> = compact::read(&body).expect("answers");
                assert_eq!(answers.len(), commands.len());
                let unknown =
                    answers.iter().filter(|answer| matches!(answer, Err(Error::OutcomeUnknown { .. }))).count();
                assert_eq!(unknown, 2_usize.saturating_sub(given), "{given} for two sales: {answers:?}");
            }
        }
    }
}
