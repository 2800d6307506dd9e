//! What makes *not executed* certain: a request is either sent or given up, never both.
//!
//! A caller can run out of time at the very moment at which its request is handed to a connection. Both sides then use one
//! [`Claim`]:
//!
//! | | the claim was open | taken | revoked |
//! |---|---|---|---|
//! | sender: [`take`](Claim::take) | sends | never happens: it takes once | does not send |
//! | caller: [`revoke`](Claim::revoke) | *not executed* | *unknown* | *not executed* |

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

/// The right to send a request once: taken by the sender before it sends, or revoked by the caller that gives up. Clones are the
/// same right.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim(Arc<AtomicU8>);

impl Claim {
    /// Called before sending. If it returns false, the request MUST NOT be sent.
    pub(super) fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Called when giving up. True if the request was not sent and never will be.
    pub(super) fn revoke(&self) -> bool {
        match self.0.compare_exchange(OPEN, REVOKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == REVOKED,
        }
    }
}

/// The body of a request, which takes the claim when the connection asks for it.
///
/// The head of a request may have been sent by then. That is harmless, since a server executes no request with an effect before it
/// has the whole body; and without the claim this body ends with an error, which closes the connection.
pub(super) struct Payload {
    /// What is still to be sent.
    bytes: Option<Bytes>,
    claim: Claim,
}

impl Payload {
    /// An empty body is never asked for, so its claim stays open: a request without body counts as not executed.
    pub(super) fn new(bytes: Bytes, claim: Claim) -> Self {
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
