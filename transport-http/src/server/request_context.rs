//! What a server knows of a request that it works on.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

use super::{admission::NotAdmitted, connection_state::ConnectionState, route_label::RouteLabel};

/// One of the extensions of a request while it is served; shared by what measures, limits and answers it.
#[derive(Debug)]
pub(crate) struct RequestContext {
    started: Instant,
    deadline: Mutex<Instant>,
    body_is_complete: AtomicBool,
    /// Whether the request is one of [`ServerLimits::in_flight_max`](super::ServerLimits::in_flight_max).
    has_place: AtomicBool,
    /// Why the request is refused though its handler was called: of its body.
    refusal: OnceLock<NotAdmitted>,
    route: OnceLock<RouteLabel>,
    /// Becomes `true` when the server begins to shut down.
    pub(crate) draining: Arc<watch::Receiver<bool>>,
    pub(super) connection: Arc<ConnectionState>,
}

impl RequestContext {
    /// The context of a request that begins now.
    pub(super) fn new(
        time_max: Duration,
        draining: Arc<watch::Receiver<bool>>,
        connection: Arc<ConnectionState>,
    ) -> Self {
        let started = Instant::now();
        Self {
            started,
            deadline: Mutex::new(started + time_max),
            body_is_complete: AtomicBool::new(false),
            has_place: AtomicBool::new(false),
            refusal: OnceLock::new(),
            route: OnceLock::new(),
            draining,
            connection,
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Until when the request must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn extend_deadline(&self, by: Duration) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// Notes that the whole body has arrived: from now on the request may have an effect.
    pub(crate) fn complete_body(&self) {
        self.body_is_complete.store(true, Ordering::Release);
    }

    pub(crate) fn body_is_complete(&self) -> bool {
        self.body_is_complete.load(Ordering::Acquire)
    }

    /// Takes a place among the requests that are worked on, if one is free.
    pub(super) fn take_place(&self) -> bool {
        let taken = self.connection.admission.take_place();
        self.has_place.store(taken, Ordering::Relaxed);
        taken
    }

    /// Frees the request's place; `false` if it had none.
    pub(super) fn free_place(&self) -> bool {
        let had_place = self.has_place.swap(false, Ordering::Relaxed);
        if had_place {
            self.connection.admission.free_place();
        }
        had_place
    }

    /// Refuses the request, whose handler waits for its body.
    pub(super) fn refuse(&self, why: NotAdmitted) {
        let _ = self.refusal.set(why);
    }

    /// Why the request is refused, whatever its handler answers.
    pub(super) fn refusal(&self) -> Option<NotAdmitted> {
        self.refusal.get().cloned()
    }

    /// Notes which route the request took.
    pub(crate) fn set_route(&self, route: RouteLabel) {
        let _ = self.route.set(route);
    }

    /// The path template of the request's route, such as `/info/{id}`, or `none`. Paths themselves are too many to be labels.
    pub(crate) fn route(&self) -> &str {
        self.route.get().map_or("none", RouteLabel::as_str)
    }
}
