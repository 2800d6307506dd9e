//! A payment provider to try a checkout with: `cargo run --example payments -- DIRECTORY [SEED]`
//!
//! Its log is durable, and says in the end who was charged. With a seed it behaves as providers do on a bad day: replies are lost after the
//! work was done, come late, or the work is done twice; some authorisations take longer than a hold; some payments are declined.

use axum::{
    Json, Router,
    extract::{Path as InPath, Query, State},
    http::StatusCode,
    routing::post,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    env,
    error::Error,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Payment {
    Authorised,
    Captured,
    Declined,
    Voided,
}

struct Provider {
    log: File,
    payments: HashMap<String, Payment>,
    rng: Option<StdRng>,
}

type Shared = State<Arc<Mutex<Provider>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let directory = PathBuf::from(args.first().ok_or("usage: payments DIRECTORY [SEED]")?);
    let seed: Option<u64> = args.get(1).map(|seed| seed.parse()).transpose()?;
    let provider = Provider::open(&directory.join("payments.jsonl"), seed)?;
    let routes = Router::new()
        .route("/payments/{id}/authorise", post(authorise))
        .route("/payments/{id}/capture", post(capture))
        .route("/payments/{id}/void", post(void))
        .with_state(Arc::new(Mutex::new(provider)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

impl Provider {
    fn open(path: &Path, seed: Option<u64>) -> io::Result<Self> {
        let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
        let lines = text.lines().filter_map(|line| serde_json::from_str::<(String, Payment)>(line).ok());
        let payments = lines.collect();
        let log = File::options().create(true).append(true).open(path)?;
        Ok(Self { log, payments, rng: seed.map(StdRng::seed_from_u64) })
    }

    /// Moves a payment on, durably. A captured, declined or voided one stays what it is.
    fn become_(&mut self, id: &str, next: Payment) -> io::Result<Payment> {
        let now = self.payments.get(id).copied();
        let next = match (now, next) {
            (Some(Payment::Authorised), Payment::Captured | Payment::Voided) | (None, _) => next,
            (Some(now), _) => return Ok(now),
        };
        if (now, next) == (None, Payment::Captured) {
            return Err(io::Error::other("nothing was authorised"));
        }
        writeln!(self.log, "{}", serde_json::to_string(&(id, next))?)?;
        self.log.sync_data()?;
        self.payments.insert(id.to_owned(), next);
        Ok(next)
    }

    fn chance(&mut self, of: f64) -> bool {
        self.rng.as_mut().is_some_and(|rng| rng.random_bool(of))
    }
}

fn lock(provider: &Mutex<Provider>) -> MutexGuard<'_, Provider> {
    provider.lock().expect("no code panics while it is locked")
}

#[derive(Deserialize)]
struct Amount {
    cents: u64,
}

async fn authorise(
    State(provider): Shared,
    InPath(id): InPath<String>,
    Query(Amount { cents }): Query<Amount>,
) -> Result<Json<Payment>, StatusCode> {
    let (slow, declined) = {
        let mut provider = lock(&provider);
        (provider.chance(0.1), cents == 0 || provider.chance(0.1))
    };
    if slow {
        // Longer than the holds of the test.
        tokio::time::sleep(Duration::from_millis(1700)).await;
    }
    let next = if declined { Payment::Declined } else { Payment::Authorised };
    reply(&provider, &id, next).await
}

async fn capture(State(provider): Shared, InPath(id): InPath<String>) -> Result<Json<Payment>, StatusCode> {
    reply(&provider, &id, Payment::Captured).await
}

async fn void(State(provider): Shared, InPath(id): InPath<String>) -> Result<Json<Payment>, StatusCode> {
    reply(&provider, &id, Payment::Voided).await
}

/// Does the work, and replies, or not.
async fn reply(provider: &Mutex<Provider>, id: &str, next: Payment) -> Result<Json<Payment>, StatusCode> {
    let (before, twice, after, late) = {
        let mut provider = lock(provider);
        (provider.chance(0.05), provider.chance(0.1), provider.chance(0.15), provider.chance(0.1))
    };
    if before {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let mut done = Err(io::Error::other("not done"));
    for _ in 0..=usize::from(twice) {
        done = lock(provider).become_(id, next);
    }
    if late {
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    if after {
        // The work is done, and nobody hears of it.
        return Err(StatusCode::GATEWAY_TIMEOUT);
    }
    done.map(Json).map_err(|_| StatusCode::CONFLICT)
}
