//! A server's metrics, as Prometheus reads them at `/metrics`.

use bookstore::deploy::Metrics;
use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use std::{sync::Arc, time::Duration};

/// Buckets of durations, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 2.0, 10.0];
/// Buckets of numbers of calls and commands.
const COUNT_BUCKETS: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];
/// How often samples are put into their buckets, so that they do not pile up when nothing reads the metrics: at 100,000 requests
/// a second, a second's samples take a megabyte.
const UPKEEP: Duration = Duration::from_secs(1);

/// Collects this process's metrics from now on.
pub(super) fn collect() -> Result<Metrics, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&COUNT_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)?;
    let handle = builder.install_recorder()?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Metrics(Arc::new(move || handle.render())))
}

/// Describes the metrics of all crates. A server shows those that it has.
fn describe() {
    counter!("bookstore_http_requests_total", "Requests answered, by route, method and status");
    counter!("bookstore_http_connections_refused_total", "Connections refused because there were too many");
    counter!("bookstore_http_connections_evicted_total", "Idle connections closed to make room for new ones");
    histogram!("bookstore_http_request_duration_seconds", "From a request's headers to the end of its answer");

    gauge!(
        "bookstore_tokens_file_broken",
        "1 from a SIGHUP at which --tokens-file could not be read until one at which it can; else 0"
    );
    gauge!("bookstore_ledger_writable", "1, or 0 from a failure of the ledger's store until it is open again");
    histogram!("bookstore_batch_commands", "Commands that the ledger's writer took at once");

    gauge!("bookstore_copy_lag_entries", "Entries of the ledger that this order server's copy lacks");
    gauge!(
        "bookstore_copy_differs",
        "1 while the ledger has another history than the copy, so that nothing is sold; else 0"
    );

    histogram!("bookstore_client_batch_calls", "Calls sent to another server in one request, by path");
    counter!("bookstore_client_retries_total", "Calls to another server that were sent again");

    counter!("bookstore_cache_hits_total", "Reads of a book that the cache answered as fresh");
    counter!("bookstore_cache_misses_total", "Reads of a book that was not in the cache");
    counter!(
        "bookstore_cache_bypasses_total",
        "Reads of a book that was in the cache, but could not be shown as fresh"
    );
    counter!(
        "bookstore_cache_served_stale_total",
        "Reads of a book that the cache answered because the catalog was away"
    );
    counter!("bookstore_cache_resets_total", "How often the cache forgot everything and started over");
    counter!("bookstore_cache_entries_followed_total", "Entries of the ledger that brought the cache forward");
    gauge!("bookstore_cache_books", "Books in the cache");
    histogram!("bookstore_cache_staleness_seconds", "How far behind the catalog an answer from the cache was, at most");
}
