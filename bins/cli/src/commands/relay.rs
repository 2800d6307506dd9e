//! `bookstore relay`: sends what happens in the shop to a receiver, as webhooks.

use bookstore_core::{
    CatalogService, Entries, Error, Seq,
    follow::{Follower, Pinned},
};
use bookstore_transport_http::{
    api::RemoteShop,
    internal::catalog::RemoteCatalog,
    server::{self, Health, Readiness, ServerLimits},
};
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::Instant};

use super::{Failure, metrics, output::print, signals::stop_signal};
use crate::{
    cli::{BeginArg, RelayArgs},
    config::{self, Source},
    relay::{HttpReceiver, Outbox, Place, PlaceFile},
};

/// How often the ledger's end is looked at.
const LAG_EVERY: Duration = Duration::from_secs(2);
/// How often the log says how far it is.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Runs the command until it is stopped.
pub(super) async fn run(args: &RelayArgs) -> Result<ExitCode, Failure> {
    let config::Relay { source, to, secrets, types, metrics_listen } = config::relay(args)?;
    let catalog: Arc<dyn CatalogService> = match source {
        Source::Shop(client) => Arc::new(RemoteShop::new(client)),
        Source::Catalog(client) => Arc::new(RemoteCatalog::new(client)),
    };
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            Failure::Failed(format!("--state {}: another relay uses it", args.state.display()))
        }
        _ => Failure::Failed(format!("--state {}: {error}", args.state.display())),
    };
    let (file, place) = PlaceFile::open(&args.state).map_err(failed)?;
    let (stop, collected) = (stop_signal(), metrics::collect());
    let stop = stop.map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))?;
    let collected = collected.map_err(|error| Failure::Failed(format!("cannot collect metrics: {error}")))?;
    let place = begin(catalog.as_ref(), place, args.begin).await?;

    let receiver = HttpReceiver::new(to, secrets);
    let trouble = receiver.trouble();
    tracing::info!(to = args.to, after = place.delivered.0, "sending events");
    let outbox = Arc::new(Outbox::new(Arc::clone(&catalog), Box::new(receiver), types, (file, place)));
    let follower = Follower::start(Arc::clone(&catalog), Arc::clone(&outbox)).await?;
    if let Some(listen) = metrics_listen {
        let ready = ready(trouble, follower.refused());
        serve(listen, Health { ready, metrics: Some(collected.0) }).await?;
    }
    tokio::select! {
        () = stop => {}
        () = watch_end(catalog.as_ref(), &outbox, follower.pinned()) => {}
        () = tell_refusals(follower.refused()) => {}
    }
    drop(follower);
    outbox.save().await?;
    Ok(ExitCode::SUCCESS)
}

/// Where to go on. The shop is asked for something first, so that a wrong token or address is noticed now.
async fn begin(catalog: &dyn CatalogService, kept: Option<Place>, begin: BeginArg) -> Result<Place, Failure> {
    let end = match end_of(catalog).await {
        Err(error @ (Error::Overloaded { .. } | Error::Unavailable { .. } | Error::DeadlineExpired { .. })) => {
            Err(error)
        }
        Err(error) => {
            let hint = Some("The relay reads the ledger's entries: its token needs the role read.".into());
            return Err(Failure::Answer { error, hint });
        }
        end => end,
    };
    match (kept, begin, end) {
        (Some(place), ..) => Ok(place),
        (None, BeginArg::Start, _) => Ok(Place::default()),
        (None, BeginArg::Now, Ok(end)) => Ok(Place::at(end.identity, end.head, end.after)),
        (None, BeginArg::Now, Err(error)) => {
            let hint = Some("To begin with what happens now, the shop must be running.".into());
            Err(Failure::Answer { error, hint })
        }
    }
}

/// The end of the ledger.
async fn end_of(catalog: &dyn CatalogService) -> bookstore_core::Result<Entries> {
    catalog.entries(Seq(u64::MAX), 1, Duration::ZERO).await
}

/// Measures, for ever, how many entries the receiver has yet to get. It also has the follower compare at once when the ledger is seen
/// under a newer timeline: its own poll may wait for an entry of that.
async fn watch_end(catalog: &dyn CatalogService, outbox: &Outbox, pinned: Pinned) {
    let mut logged = (Instant::now(), outbox.delivered());
    loop {
        if let Ok(end) = end_of(catalog).await {
            // What is newer is asked for with this, and not an error here.
            let _ = pinned.check(&end.identity);
            let delivered = outbox.delivered();
            let lag = end.head.0.saturating_sub(delivered.0);
            ::metrics::gauge!("bookstore_relay_lag_entries").set(lag as f64);
            if logged.0.elapsed() >= LOG_EVERY && (lag > 0 || delivered != logged.1) {
                tracing::info!(delivered = delivered.0, lag, "sending events");
                logged = (Instant::now(), delivered);
            }
        }
        tokio::time::sleep(LAG_EVERY).await;
    }
}

/// Tells the operator, for ever, why nothing is sent, each time that begins.
async fn tell_refusals(mut refused: watch::Receiver<Option<String>>) {
    while refused.changed().await.is_ok() {
        if let Some(why) = &*refused.borrow_and_update() {
            tracing::error!("nothing is sent: {why}");
        }
    }
}

/// Ready while events are delivered as they come.
fn ready(trouble: watch::Receiver<Option<String>>, refused: watch::Receiver<Option<String>>) -> server::ReadyCheck {
    Arc::new(move || match refused.borrow().clone().or_else(|| trouble.borrow().clone()) {
        Some(why) => Readiness::NotReady(why),
        None => Readiness::Ready,
    })
}

async fn serve(listen: SocketAddr, health: Health) -> Result<(), Failure> {
    let failed = |error| Failure::Failed(format!("cannot listen on {listen}: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    print(&format!("relay listening on http://{address}"));
    let (routes, limits) = (server::health_routes(health), ServerLimits::default());
    tokio::spawn(server::serve(server::tcp(listener), routes, limits, std::future::pending::<()>()));
    Ok(())
}
