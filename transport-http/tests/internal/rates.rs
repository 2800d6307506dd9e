//! How often one address may change something.

use crate::support::*;
use axum::{Router, routing};
use bookstore_transport_http::server::{RateLimit, ServerLimits};

/// A server whose peer, loopback, is a proxy or is not.
async fn server(is_proxy: bool) -> Running {
    let router = Router::new().route("/", routing::get(|| async { "read" }).post(|| async { "changed" }));
    let shared_peers = if is_proxy { vec!["127.0.0.1".parse().unwrap()] } else { Vec::new() };
    let changes_per_peer = Some(RateLimit { per_minute: 1, burst: 3 });
    serve(router, ServerLimits { changes_per_peer, shared_peers, ..ServerLimits::default() }).await
}

async fn send(server: &Running, method: &str, client: &str) -> String {
    let request = format!("{method} / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\nconnection: close\r\n\r\n");
    raw(server.addr, request.as_bytes()).await
}

#[tokio::test]
async fn a_client_behind_a_proxy_changes_only_so_much() {
    let server = server(true).await;
    for _ in 0..3 {
        assert_eq!(status(&send(&server, "POST", "192.0.2.1").await), 200);
    }
    let answer = send(&server, "POST", "203.0.113.5, 192.0.2.1").await;
    let refused = problem(&answer);
    assert_eq!(
        (&refused["status"], &refused["code"], &refused["executed"]),
        (&429.into(), &"too-many-requests".into(), &"no".into())
    );
    let after = answer.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=60).contains(&after.parse::<u64>().unwrap()), "{answer}");
    assert!(answer.contains("ratelimit-policy: \"changes\";q=1;w=60\r\n"), "{answer}");
    assert!(answer.contains(&format!("ratelimit: \"changes\";r=0;t={after}\r\n")), "{answer}");
    assert_eq!(status(&send(&server, "GET", "192.0.2.1").await), 200, "reading is not limited");
    assert_eq!(status(&send(&server, "POST", "192.0.2.2").await), 200, "others are not");
    assert_eq!(server.requests(), 5, "what is refused reaches no handler");
}

#[tokio::test]
async fn this_machine_may_change_what_it_likes() {
    let server = server(false).await;
    for _ in 0..10 {
        assert_eq!(status(&send(&server, "POST", "192.0.2.1").await), 200);
    }
}
