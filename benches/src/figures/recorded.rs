//! The shop's own answers, recorded for the bare server to give.

use bookstore_benches::{
    Result,
    load_generator::workload::{get, purchase},
    server_process::Server,
};
use bookstore_cli::load::connection::{Answer, Connection};
use hyper::header::{self, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// What the shop had answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answers {
    pub(crate) purchase: Recorded,
    /// Of every book, from the first one on.
    pub(crate) info: Vec<Recorded>,
}

/// An answer without the headers that hyper writes itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

const WRITTEN_BY_HYPER: [HeaderName; 3] = [header::CONNECTION, header::CONTENT_LENGTH, header::DATE];

impl Recorded {
    fn new(answer: &Answer) -> Result<Self> {
        let kept = answer.head.headers.iter().filter(|(name, _)| !WRITTEN_BY_HYPER.contains(name));
        let headers = kept.map(|(name, value)| Ok((name.to_string(), value.to_str()?.to_owned())));
        Ok(Self {
            status: answer.head.status.as_u16(),
            headers: headers.collect::<Result<_>>()?,
            body: str::from_utf8(&answer.body)?.to_owned(),
        })
    }
}

/// Writes the shop's answers to a purchase, and to a lookup of each of its books, to a file.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn record(shop: &Server, books: u64, file: &Path) -> Result<()> {
    let address = shop.address.to_string();
    let host = HeaderValue::from_str(&address)?;
    let mut connection = Connection::open(&address).await?;
    let purchase = Recorded::new(&connection.exchange(purchase("/purchase/1", &host)).await?)?;
    let mut info = Vec::new();
    for book in 1..=books {
        info.push(Recorded::new(&connection.exchange(get(&format!("/info/{book}"), &host)).await?)?);
    }
    Ok(fs::write(file, serde_json::to_string(&Answers { purchase, info })?)?)
}
