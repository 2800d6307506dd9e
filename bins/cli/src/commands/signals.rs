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
    /// None once it is somebody else's.
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: Some(signal(SignalKind::hangup())?),
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Stop {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Stop::InGrace,
            _ = hang_up => Stop::InGrace,
            _ = self.interrupt.recv() => Stop::AtOnce,
        }
    }

    /// From now on SIGHUP does this instead of stopping the program.
    pub(super) fn at_hang_up(&mut self, mut work: impl FnMut() + Send + 'static) {
        let Some(mut hang_up) = self.hang_up.take() else { return };
        tokio::spawn(async move {
            while hang_up.recv().await.is_some() {
                work();
            }
        });
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

    /// There is no such signal here.
    pub(super) fn at_hang_up(&mut self, _work: impl FnMut() + Send + 'static) {}
}

/// Completes at the first signal, which are caught from this call on.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::catch()?;
    Ok(async move {
        signals.next().await;
    })
}
