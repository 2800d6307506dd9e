//! Reads what the servers and clients log: attempts fail and are made again inside a client, and only its log shows how.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{coverage::Seen, hosts::now, world::Shared};

/// Counts failed attempts; with a printed trace, it also prints what is logged.
pub(crate) struct Logs {
    world: Shared,
    print: bool,
    spans: AtomicU64,
}

impl Logs {
    pub(crate) fn new(world: &Shared, print: bool) -> Self {
        Self { world: world.clone(), print, spans: AtomicU64::new(1) }
    }
}

const ATTEMPTS: &str = "bookstore_transport_http::client";

impl Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        target == ATTEMPTS || (self.print && target.starts_with("bookstore") && *metadata.level() <= Level::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = LogFields::default();
        event.record(&mut fields);
        if self.print {
            println!("{:>7} ms  log: {}{}", now().as_millis(), fields.message, fields.fields);
        }
        if fields.message != "an attempt failed" {
            return;
        }
        let seen = match fields.error.as_str() {
            _ if !fields.sent => Seen::AttemptNotSent,
            error if error.starts_with("a server did not answer in time") => Seen::AttemptTimeout,
            _ => Seen::AttemptLost,
        };
        self.world.coverage.saw(seen);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The fields of one line.
#[derive(Default)]
struct LogFields {
    message: String,
    error: String,
    sent: bool,
    fields: String,
}

impl Visit for LogFields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.sent |= field.name() == "sent" && value;
        self.record_debug(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => {
                if name == "error" {
                    self.error = format!("{value:?}");
                }
                self.fields.push_str(&format!(" {name}={value:?}"));
            }
        }
    }
}
