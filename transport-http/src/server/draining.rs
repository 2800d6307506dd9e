//! Whether a server is shutting down, as handlers see it.

use axum::{extract::FromRequestParts, http::request::Parts};
use std::{convert::Infallible, sync::Arc};
use tokio::sync::watch;

use super::request_context::RequestContext;

/// Whether the server has begun to shut down, for handlers that would delay its end: long polls and streams.
#[derive(Clone, Debug)]
pub struct Draining(Option<Arc<watch::Receiver<bool>>>);

impl Draining {
    /// Draining begins when the value becomes `true`.
    #[cfg(test)]
    pub(crate) fn new(draining: Arc<watch::Receiver<bool>>) -> Self {
        Self(Some(draining))
    }

    /// Whether the shutdown has begun.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.as_ref().is_some_and(|draining| *draining.borrow())
    }

    /// Waits until the shutdown begins.
    pub async fn started(&self) {
        match &self.0 {
            Some(draining) => {
                let mut draining = watch::Receiver::clone(draining);
                // An error means that the server has ended already.
                let _ = draining.wait_for(|draining| *draining).await;
            }
            None => std::future::pending().await,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Draining {
    type Rejection = Infallible;

    /// Outside [`serve`](crate::server::serve) the shutdown never begins.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let context = parts.extensions.get::<Arc<RequestContext>>();
        Ok(Self(context.map(|context| Arc::clone(&context.draining))))
    }
}
