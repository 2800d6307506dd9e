//! The longest body of a request: above the limit a request is answered 413, and not executed.

use axum::{
    body::HttpBody,
    extract::{DefaultBodyLimit, Request},
};

use super::limits::ServerLimits;

/// Bytes that axum's extractors read if no limit is set.
const AXUM_BYTES_MAX: usize = 2_097_152;

/// Limits what axum's extractors read of a body to [`ServerLimits::body_bytes_max`].
///
/// A route may have a `DefaultBodyLimit` of its own, which replaces this one. A handler that reads the body itself MUST limit
/// it itself, as the public interface's `Payload` does.
#[derive(Debug)]
pub(crate) struct BodyLimit {
    bytes_max: usize,
    limit: DefaultBodyLimit,
}

impl BodyLimit {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        Self { bytes_max: limits.body_bytes_max, limit: DefaultBodyLimit::max(limits.body_bytes_max) }
    }

    /// Limits a request's body, unless its announced length is within the limit.
    pub(crate) fn apply(&self, request: &mut Request) {
        let announced = request.body().size_hint().upper();
        if announced.is_none_or(|bytes| bytes > self.bytes_max.min(AXUM_BYTES_MAX) as u64) {
            self.limit.apply(request);
        }
    }
}
