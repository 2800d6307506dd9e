//! What a server knows of a request that it works on.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

use super::route_label::RouteLabel;

/// One of the extensions of a request while it is served; shared by what measures, limits and answers it.
#[derive(Debug)]
pub(crate) struct RequestContext {
    started: Instant,
    deadline: Mutex<Instant>,
    body_is_complete: AtomicBool,
    route: OnceLock<RouteLabel>,
    /// Becomes `true` when the server begins to shut down.
    pub(crate) draining: Arc<watch::Receiver<bool>>,
}

impl RequestContext {
    /// The context of a request that begins now.
    pub(crate) fn new(time_max: Duration, draining: Arc<watch::Receiver<bool>>) -> Self {
        let started = Instant::now();
        Self {
            started,
            deadline: Mutex::new(started + time_max),
            body_is_complete: AtomicBool::new(false),
            route: OnceLock::new(),
            draining,
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

    /// Notes which route the request took.
    pub(crate) fn set_route(&self, route: RouteLabel) {
        let _ = self.route.set(route);
    }

    /// The path template of the request's route, such as `/info/{id}`, or `none`. Paths themselves are too many to be labels.
    pub(crate) fn route(&self) -> &str {
        self.route.get().map_or("none", RouteLabel::as_str)
    }
}
