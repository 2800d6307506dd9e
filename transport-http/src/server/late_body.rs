//! A body that its request's handler has to wait for.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

use super::{
    admission::{BodyPlace, NotAdmitted},
    connection_state::ConnectionState,
};

/// A body that did not arrive with its headers: it has a place among those that are waited for, and a least rate.
#[derive(Debug)]
pub(crate) struct LateBody {
    _place: BodyPlace,
    bytes_per_second_min: u32,
    /// The latest moment at which the next bytes arrive in time.
    due: Instant,
    timer: Pin<Box<Sleep>>,
}

impl LateBody {
    /// A body that is waited for from now on, or why it is not.
    pub(crate) fn wait(connection: &Arc<ConnectionState>) -> Result<Self, NotAdmitted> {
        let place = BodyPlace::take(connection).ok_or(NotAdmitted::TooManyBodies)?;
        let due = Instant::now() + connection.admission.body_grace;
        let bytes_per_second_min = connection.admission.body_bytes_per_second_min;
        Ok(Self { _place: place, bytes_per_second_min, due, timer: Box::pin(tokio::time::sleep_until(due)) })
    }

    /// Bytes have arrived: the more, the longer the next ones may take.
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.due += Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second_min));
    }

    /// Resolves when the body is too slow.
    pub(crate) fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<NotAdmitted> {
        loop {
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= self.due {
                return Poll::Ready(NotAdmitted::BodyTooSlow { bytes_per_second_min: self.bytes_per_second_min });
            }
            // The timer is set anew only when it has run out: bytes may arrive one by one.
            let due = self.due;
            self.timer.as_mut().reset(due);
        }
    }
}
