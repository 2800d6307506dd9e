//! Admission control: how many connections and requests a server takes on at once, and what it refuses before any work.

use axum::response::{IntoResponse, Response};
use bookstore_core::{Error, Executed};
use hyper::{Request, StatusCode};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::{
    error_response::{ErrorResponse, transport_problem},
    health::OPERATIONAL_PATHS,
    limits::ServerLimits,
};

/// How long a caller waits for the 503 that says that too many requests are worked on.
///
/// A refusal costs the server nearly as much as an answer. If it came at once, callers that retry without a pause would leave
/// no time for the requests that were admitted. Shorter than the `Retry-After` that the refusal carries.
const REFUSAL_PAUSE: Duration = Duration::from_millis(200);

/// Decides what a server takes on; shared by all its connections.
#[derive(Debug)]
pub(crate) struct Admission {
    connections: Arc<Semaphore>,
    spare_connections: Arc<Semaphore>,
    requests: Semaphore,
    uri_bytes_max: usize,
}

impl Admission {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        Self {
            connections: Arc::new(semaphore(limits.connections_max)),
            spare_connections: Arc::new(semaphore(limits.spare_connections_max)),
            requests: semaphore(limits.in_flight_max),
            uri_bytes_max: limits.uri_bytes_max,
        }
    }

    /// Admits a connection, or `None` if there are too many, spare ones included: close it then.
    pub(crate) fn admit_connection(&self) -> Option<ConnectionPermit> {
        let take = |from: &Arc<Semaphore>| Arc::clone(from).try_acquire_owned().ok();
        let permit = |is_spare| move |permit| ConnectionPermit { _permit: permit, is_spare };
        take(&self.connections).map(permit(false)).or_else(|| take(&self.spare_connections).map(permit(true)))
    }

    /// Admits a request until the permit is dropped. The operator's requests need no permit.
    ///
    /// # Errors
    /// Why the request is refused.
    pub(crate) fn admit_request<B>(
        &self,
        request: &Request<B>,
        spare_connection: bool,
    ) -> Result<Option<SemaphorePermit<'_>>, NotAdmitted> {
        let uri_bytes = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
        if uri_bytes > self.uri_bytes_max {
            return Err(NotAdmitted::UriTooLong { bytes_max: self.uri_bytes_max });
        }
        if OPERATIONAL_PATHS.contains(&request.uri().path()) {
            return Ok(None);
        }
        if spare_connection {
            return Err(NotAdmitted::TooManyConnections);
        }
        self.requests.try_acquire().map(Some).map_err(|_| NotAdmitted::TooManyRequests)
    }
}

/// Permission to serve a connection. Dropped, it makes room for another one.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    /// The connection is over the limit: it gets one answer, a health check's or a refusal.
    pub(crate) is_spare: bool,
}

/// Why a request is refused before any work.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    UriTooLong { bytes_max: usize },
    TooManyConnections,
    TooManyRequests,
}

impl NotAdmitted {
    /// The refusal, after a pause if the server is busy.
    pub(crate) async fn respond(self) -> Response {
        match self {
            Self::UriTooLong { bytes_max } => {
                let detail = format!("path and query must be at most {bytes_max} bytes");
                transport_problem(StatusCode::URI_TOO_LONG, &detail, Executed::No)
            }
            Self::TooManyConnections => {
                ErrorResponse(Error::overloaded("this server has too many connections")).into_response()
            }
            Self::TooManyRequests => {
                // Boxed: the future of an admitted request should not be as large as a timer.
                Box::pin(tokio::time::sleep(REFUSAL_PAUSE)).await;
                ErrorResponse(Error::overloaded("this server works on too many requests")).into_response()
            }
        }
    }
}
