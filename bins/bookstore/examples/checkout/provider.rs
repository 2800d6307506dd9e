//! A client of the payment provider. A reply may be lost, so every call is one that may be sent again.

use bookstore::core::OrderId;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Method, Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use std::{error::Error, time::Duration};

/// The state of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payment {
    Authorised,
    Captured,
    Declined,
    Voided,
}

pub(crate) struct Provider {
    client: Client<HttpConnector, Empty<Bytes>>,
    address: String,
}

const TIMEOUT: Duration = Duration::from_secs(5);

impl Provider {
    pub(crate) fn new(address: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), address: address.to_owned() }
    }

    pub(crate) async fn authorise(&self, id: OrderId, cents: u64) -> Result<Payment, Box<dyn Error + Send + Sync>> {
        self.post(format!("{id}/authorise?cents={cents}")).await
    }

    pub(crate) async fn capture(&self, id: OrderId) -> Result<Payment, Box<dyn Error + Send + Sync>> {
        self.post(format!("{id}/capture")).await
    }

    pub(crate) async fn void(&self, id: OrderId) -> Result<Payment, Box<dyn Error + Send + Sync>> {
        self.post(format!("{id}/void")).await
    }

    async fn post(&self, path: String) -> Result<Payment, Box<dyn Error + Send + Sync>> {
        let uri = format!("http://{}/payments/{path}", self.address);
        let request = Request::builder().method(Method::POST).uri(uri).body(Empty::new())?;
        let reply = async {
            let reply = self.client.request(request).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(reply.into_body().collect().await?.to_bytes())
        };
        Ok(serde_json::from_slice(&tokio::time::timeout(TIMEOUT, reply).await??)?)
    }
}
