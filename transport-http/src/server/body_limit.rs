//! The longest body of a request: above the limit a request is answered 413, and not executed.

use axum::extract::DefaultBodyLimit;

use super::limits::ServerLimits;

/// Limits what axum's extractors read of a body to [`ServerLimits::body_bytes_max`].
///
/// A route may have a `DefaultBodyLimit` of its own, which replaces this one. A handler that reads the body itself MUST limit
/// it itself, as the public interface's `Payload` does.
pub(crate) fn body_limit(limits: &ServerLimits) -> DefaultBodyLimit {
    DefaultBodyLimit::max(limits.body_bytes_max)
}
