//! How a server begins to end: it announces that it will stop, and goes on for a while.

use futures_util::future::{BoxFuture, FutureExt as _};
use std::{fmt, future::Future};

/// The time between the announcement of a shutdown and its beginning; what the `shutdown` of [`serve`](super::serve) resolves to.
///
/// Meanwhile the server still accepts connections and answers. `/readyz` says 503, so that load balancers send nobody any more, and
/// every answer carries `Connection: close`, so that clients leave after an answer instead of being cut off before one.
pub struct Grace(BoxFuture<'static, ()>);

impl Grace {
    /// The shutdown begins when this future resolves.
    pub fn until(over: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(over.boxed())
    }

    pub(crate) async fn over(self) {
        self.0.await;
    }
}

impl From<()> for Grace {
    /// None: the shutdown begins at once.
    fn from((): ()) -> Self {
        Self(std::future::ready(()).boxed())
    }
}

impl fmt::Debug for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grace(…)")
    }
}
