//! Reads a page of one of the lab's servers, without retries.

use hyper::StatusCode;
use std::time::Duration;

use crate::load::connection;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Status and body of what is at `path` of the server at `http://ADDRESS`; `Err` says why there is no answer.
pub(super) async fn get(url: &str, path: &'static str) -> Result<(StatusCode, String), String> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    match tokio::time::timeout(ANSWER_MAX, connection::get(address, path)).await {
        Ok(Ok(answer)) => Ok((answer.head.status, String::from_utf8_lossy(&answer.body).into_owned())),
        Ok(Err(error)) => Err(format!("{path}: {error}")),
        Err(_) => Err(format!("{path} was not answered in {} s", ANSWER_MAX.as_secs())),
    }
}
