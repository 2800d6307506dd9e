//! The suite that every store and transport passes, over whole deployments of real processes.

use crate::support::{ADMIN_TOKEN, Dir, SERVER_TOKEN, Server, admin};
use bookstore::{AccessToken, Bookstore};
use bookstore_core::conformance::{Deployment, run_all};

fn deployment(shop: &Bookstore, servers: Vec<Server>, dir: Dir) -> Deployment {
    let deployment = Deployment::new(shop.catalog().clone(), shop.order_service().clone());
    deployment.keep(servers).keep(dir)
}

fn monolith() -> Deployment {
    let dir = Dir::new();
    let server = dir.serve(&["monolith", "--no-sample", "--admin-token-file", "admin.token"]);
    deployment(&server.shop(), vec![server], dir)
}

/// A catalog server, two order servers and a frontend.
fn spread() -> (Dir, Vec<Server>) {
    let dir = Dir::new();
    let token = ["--server-token-file", "server.token"];
    let catalog = dir.serve(&[&["catalog"], &token[..]].concat());
    let order = |store| dir.serve(&[&["order", "--catalog", &catalog.url, "--store", store], &token[..]].concat());
    let orders = [order("sqlite:one.db"), order("sqlite:two.db")];
    let both = format!("{},{}", orders[0].url, orders[1].url);
    let args = ["frontend", "--catalog", &catalog.url, "--order", &both, "--admin-token-file", "admin.token"];
    let frontend = dir.serve(&[&args[..], &token[..]].concat());
    orders.iter().for_each(Server::ready);
    frontend.ready();
    let [one, two] = orders;
    (dir, vec![frontend, one, two, catalog])
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    run_all("embedded", async |_| {
        let dir = Dir::new();
        let shop = Bookstore::open(&format!("sqlite:{}", dir.path("shop.db").display())).await.unwrap();
        deployment(&shop, Vec::new(), dir)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monolith_over_the_public_interface() {
    assert!(ADMIN_TOKEN.len() >= AccessToken::LENGTH_MIN);
    run_all("monolith, public", async |_| monolith()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_the_public_interface_with_every_call_sent_twice() {
    run_all("servers, public, repeated", async |_| {
        let (dir, servers) = spread();
        deployment(&admin(&servers[0].url), servers, dir).repeated()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_the_inner_interfaces() {
    run_all("servers, inner", async |_| {
        let (dir, servers) = spread();
        let orders = format!("{},{}", servers[1].url, servers[2].url);
        let token = Some(AccessToken::new(SERVER_TOKEN).unwrap());
        let shop = Bookstore::connect_servers(&servers[3].url, &orders, token).unwrap();
        deployment(&shop, servers, dir)
    })
    .await;
}
