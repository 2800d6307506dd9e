//! Delivery of one event after the other, by HTTP.

use async_trait::async_trait;
use bookstore_cli::load::connection::{Connection, TransportError};
use bookstore_core::{Clock as _, SystemClock};
use http_body_util::Full;
use hyper::{
    Request, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use std::{
    fmt,
    time::{Duration, Instant},
};
use tokio::sync::watch;

use super::{Secrets, event::Event, outbox::Receiver};

/// How long one try may take, from connecting to the end of the answer.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);
/// The first and the longest pause after a failed try; it doubles with each one in a row.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));
/// How often the log says at most that a try has failed.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The parts of a receiver's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiverUrl {
    /// `HOST:PORT` to connect to.
    pub(crate) address: String,
    /// The value of `Host`.
    pub(crate) host: HeaderValue,
    /// Path and query.
    pub(crate) path: Uri,
}

/// Delivers events to a URL.
pub(crate) struct HttpReceiver {
    url: ReceiverUrl,
    secrets: Secrets,
    connection: Option<Connection>,
    /// When the log said last that a try has failed.
    logged: Option<Instant>,
    /// Why the event at hand is not delivered.
    trouble: watch::Sender<Option<String>>,
}

impl HttpReceiver {
    pub(crate) fn new(url: ReceiverUrl, secrets: Secrets) -> Self {
        Self { url, secrets, connection: None, logged: None, trouble: watch::Sender::new(None) }
    }

    /// Why the event at hand is not delivered, while it is not.
    pub(crate) fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// One try.
    async fn send(&mut self, event: &Event) -> Result<(), NotDelivered> {
        let sent = tokio::time::timeout(TRY_TIMEOUT, self.exchange(event)).await;
        let status = sent.unwrap_or(Err(NotDelivered::Timeout));
        if status.is_err() {
            // What is left of this exchange must not be taken for the next answer.
            self.connection = None;
        }
        let status = status?;
        if status.is_success() { Ok(()) } else { Err(NotDelivered::Status(status)) }
    }

    async fn exchange(&mut self, event: &Event) -> Result<StatusCode, NotDelivered> {
        let request = self.request(event);
        let open = self.connection.take().filter(Connection::is_open);
        let connection = match open {
            Some(open) => open,
            None => Connection::open(&self.url.address).await.map_err(NotDelivered::Connect)?,
        };
        let answer = self.connection.insert(connection).exchange(request).await;
        Ok(answer.map_err(NotDelivered::Transport)?.head.status)
    }

    fn request(&self, event: &Event) -> Request<Full<bytes::Bytes>> {
        // A receiver that checks it takes a time up to five minutes old, so each try has its own.
        let timestamp_s = SystemClock.now().0.div_euclid(1000);
        let ascii = |text: String| HeaderValue::try_from(text).expect("visible ASCII");
        let mut request = Request::post(self.url.path.clone()).body(Full::new(event.body.clone()));
        let request = request.as_mut().expect("a checked path");
        let headers = request.headers_mut();
        headers.insert(HOST, self.url.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("bookstore/", env!("CARGO_PKG_VERSION"))));
        headers.insert("webhook-id", ascii(event.id.clone()));
        headers.insert("webhook-timestamp", timestamp_s.into());
        headers.insert("webhook-signature", ascii(self.secrets.sign(&event.id, timestamp_s, &event.body)));
        std::mem::take(request)
    }
}

#[async_trait]
impl Receiver for HttpReceiver {
    async fn deliver(&mut self, event: &Event) {
        let (mut pause, mut told) = (PAUSE.0, false);
        while let Err(why) = self.send(event).await {
            metrics::counter!("bookstore_relay_failed_tries_total").increment(1);
            let why = why.to_string();
            if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
                tracing::warn!(id = event.id, "{} is not delivered, and is tried again: {why}", event.kind);
                (self.logged, told) = (Some(Instant::now()), true);
            }
            self.trouble.send_replace(Some(why));
            // Jitter: relays that failed together do not come back together.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
            pause = (pause * 2).min(PAUSE.1);
        }
        metrics::counter!("bookstore_relay_events_total", "type" => event.kind).increment(1);
        self.trouble.send_replace(None);
        if told {
            tracing::info!(id = event.id, "the receiver takes events again");
        }
    }
}

/// Why a try has failed.
#[derive(Debug)]
enum NotDelivered {
    Connect(std::io::Error),
    Transport(TransportError),
    Timeout,
    Status(StatusCode),
}

impl fmt::Display for NotDelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect to the receiver: {error}"),
            Self::Transport(error) => error.fmt(f),
            Self::Timeout => write!(f, "the receiver did not answer within {} seconds", TRY_TIMEOUT.as_secs()),
            Self::Status(StatusCode::GONE) => f.write_str(
                "the receiver answered 410 Gone: it wants no events any more. They are kept all the same; stop this \
                 relay if that is meant",
            ),
            Self::Status(status) if status.is_redirection() => {
                write!(
                    f,
                    "the receiver answered {status}: redirects are not followed, give --to the address that it leads to"
                )
            }
            Self::Status(status) if *status == StatusCode::UNAUTHORIZED || *status == StatusCode::FORBIDDEN => {
                write!(f, "the receiver answered {status}: it may have another secret than --secret-file")
            }
            Self::Status(status) => write!(f, "the receiver answered {status}"),
        }
    }
}
