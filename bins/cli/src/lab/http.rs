//! Asking a server of the lab for a page, without a library in between that would retry.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, StatusCode, Uri,
    header::{self, HeaderValue},
};
use std::time::Duration;

use crate::load::connection::{Connection, Trouble};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What is at `path` of the server at `http://ADDRESS`; `Err` says why there is no answer.
pub(super) async fn get(url: &str, path: &'static str) -> Result<(StatusCode, String), String> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    let asked = tokio::time::timeout(ANSWER_MAX, ask(address, path)).await;
    asked.unwrap_or_else(|_| Err(format!("{path} was not answered in {} s", ANSWER_MAX.as_secs())))
}

async fn ask(address: &str, path: &'static str) -> Result<(StatusCode, String), String> {
    let mut connection = Connection::open(address).await.map_err(|error| format!("cannot connect: {error}"))?;
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = Uri::from_static(path);
    let host = HeaderValue::from_str(address).map_err(|error| error.to_string())?;
    request.headers_mut().insert(header::HOST, host);
    let answer = connection.exchange(request).await.map_err(|trouble| match trouble {
        Trouble::NotSent | Trouble::Lost => format!("the connection was lost before {path} was answered"),
    })?;
    Ok((answer.head.status, String::from_utf8_lossy(&answer.body).into_owned()))
}
