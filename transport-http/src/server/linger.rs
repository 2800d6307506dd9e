//! Lingering close: reading the rest of a body that no handler wants.
//!
//! A server that answers before it has the whole request, and closes, resets a client that is still sending, and the answer is
//! lost with the connection. So the rest is read and thrown away for a while, as nginx does (`lingering_close`). If all of it
//! arrives, the connection goes on.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use std::time::Duration;
use tokio::{runtime::Handle, time::timeout};

/// How long the rest may take to arrive.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The most bytes that are thrown away: 64 MiB.
const BYTES_MAX: usize = 64 << 20;

/// Throws the rest of a body away as it arrives, on a task of its own. The connection waits for it.
pub(crate) fn discard<B>(mut rest: B)
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(timeout(TIME_MAX, async move {
        let mut left = BYTES_MAX;
        while let Some(Ok(frame)) = rest.frame().await {
            let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
            left = less;
        }
    }));
}
