//! Who gets to decide about something that may be sent once: the sender or the one who stops waiting.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

const OPEN: u8 = 0;
const TAKEN: u8 = 1;
const REVOKED: u8 = 2;

/// Taken by the sender before it sends, or revoked by the one who gives up: never both.
///
/// So "not executed" is said only of what will certainly not be sent any more, and "unknown" only of the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim(Arc<AtomicU8>);

impl Claim {
    /// Before sending: false if it must not be sent any more.
    pub(crate) fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// When giving up: true if it was not sent and never will be.
    pub(crate) fn revoke(&self) -> bool {
        match self.0.compare_exchange(OPEN, REVOKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == REVOKED,
        }
    }
}

/// A body that is handed to the connection once, unless the caller has given up before.
pub(crate) struct Payload {
    bytes: Option<Bytes>,
    claim: Claim,
}

impl Payload {
    pub(crate) fn new(bytes: Bytes, claim: Claim) -> Self {
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), claim }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = self.bytes.take().map(|bytes| {
            // An error cuts the request off before its body.
            if self.claim.take() {
                Ok(Frame::data(bytes))
            } else {
                Err(io::Error::other("given up before it was sent"))
            }
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_taken_or_revoked() {
        let taken = Claim::default();
        assert!(taken.take());
        assert!(!taken.take());
        assert!(!taken.revoke());
        let revoked = Claim::default();
        assert!(revoked.revoke());
        assert!(revoked.revoke());
        assert!(!revoked.take());
    }
}
