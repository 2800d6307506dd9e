//! The suite that every store and transport passes, over whole deployments of real processes.

use crate::support::{Dir, SERVER_TOKEN, Server};
use bookstore::{AccessToken, Bookstore};
use bookstore_core::conformance::{Deployment, run_all};
use std::any::Any;

fn deployment(shop: &Bookstore, servers: impl Any + Send + Sync, dir: Dir) -> Deployment {
    let deployment = Deployment::new(shop.catalog().clone(), shop.order_service().clone());
    deployment.keep(servers).keep(dir)
}

fn monolith() -> Deployment {
    let dir = Dir::new();
    let server = dir.serve(&[
        "monolith",
        "--no-sample",
        "--public-holds",
        "--contact",
        "optional",
        "--admin-token-file",
        "admin.token",
    ]);
    deployment(&server.shop(), server, dir)
}

/// A catalog server, an order server and a frontend. One order server: through another one, a cancellation shows only
/// when its copy has followed.
fn spread() -> (Dir, [Server; 3]) {
    let dir = Dir::new();
    let token = ["--server-token-file", "server.token"];
    let catalog = dir.serve(&[&["catalog", "--contact", "optional"], &token[..]].concat());
    let order = dir.serve(&[&["order", "--catalog", &catalog.url], &token[..]].concat());
    let args = ["frontend", "--catalog", &catalog.url, "--order", &order.url, "--public-holds"];
    let token = [&token[..], &["--admin-token-file", "admin.token"]].concat();
    let frontend = dir.serve(&[&args[..], &token[..]].concat());
    order.ready();
    frontend.ready();
    (dir, [catalog, order, frontend])
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    run_all("embedded", async |_| {
        let dir = Dir::new();
        let shop = Bookstore::open(&format!("sqlite:{}", dir.path("shop.db").display())).await.unwrap();
        deployment(&shop, (), dir)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monolith_over_the_public_interface() {
    run_all("monolith, public", async |_| monolith()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_the_public_interface_with_every_call_sent_twice() {
    run_all("servers, public, repeated", async |_| {
        let (dir, servers) = spread();
        deployment(&servers[2].shop(), servers, dir).repeated()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_the_inner_interfaces() {
    run_all("servers, inner", async |_| {
        let (dir, servers) = spread();
        let token = Some(AccessToken::new(SERVER_TOKEN).unwrap());
        let shop = Bookstore::connect_servers(&servers[0].url, &servers[1].url, token).unwrap();
        deployment(&shop, servers, dir)
    })
    .await;
}
