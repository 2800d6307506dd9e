//! Signals that stop a program in order.

use std::{future::Future, io};

/// How a program was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// By a service manager, or because its terminal was closed (SIGTERM, SIGHUP): others may still send it work.
    InGrace,
    /// By the person at the keyboard (SIGINT), or by the program that started it: nobody is to be waited for.
    AtOnce,
}

/// The signals that stop a program, caught as long as this exists.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::InGrace,
            _ = self.hang_up.recv() => Stop::InGrace,
            _ = self.interrupt.recv() => Stop::AtOnce,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next Ctrl-C.
    pub(super) async fn next(&mut self) -> Stop {
        drop(tokio::signal::ctrl_c().await);
        Stop::AtOnce
    }
}

/// Completes at the first signal, which are caught from this call on.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::catch()?;
    Ok(async move {
        signals.next().await;
    })
}
