//! What the headers of every request must be.

use crate::support::*;
use bookstore_transport_http::{
    internal::{InternalOptions, catalog},
    server::{Hosts, ServerLimits},
};
use serde_json::Value;
use std::net::SocketAddr;

/// The status and the problem of a request with these headers.
async fn send(addr: SocketAddr, first_line: &str, headers: &str) -> (u16, Value) {
    let answer = raw(addr, format!("{first_line}\r\n{headers}connection: close\r\n\r\n").as_bytes()).await;
    let code = status(&answer.replace("HTTP/1.0", "HTTP/1.1"));
    (code, if code < 300 { Value::Null } else { problem(&answer) })
}

async fn catalog_for(hosts: Option<Hosts>) -> Running {
    let limits = ServerLimits { hosts, ..ServerLimits::default() };
    serve(catalog::router(shop(&[5]).await, InternalOptions::default()), limits).await
}

#[tokio::test]
async fn a_request_names_one_host() {
    let server = catalog_for(None).await;
    const GET: &str = "GET /v1/books/1 HTTP/1.1";
    for (headers, expected) in [
        ("host: any.example\r\n", 200),
        ("host: any.example:80\r\n", 200),
        ("host: [2001:db8::1]:80\r\n", 200),
        ("", 400),
        ("host: a\r\nhost: a\r\n", 400),
        ("host: a\r\nhost: b\r\n", 400),
        ("host: \r\n", 400),
        ("host: a b\r\n", 400),
        ("host: a, b\r\n", 400),
        ("host: user@a\r\n", 400),
        ("host: a:http\r\n", 400),
        ("host: http://a\r\n", 400),
    ] {
        let (status, problem) = send(server.addr, GET, headers).await;
        assert_eq!(status, expected, "{headers:?}");
        if status == 400 {
            assert_eq!((&problem["code"], &problem["executed"]), (&"malformed".into(), &"no".into()), "{headers:?}");
        }
    }
    assert_eq!(send(server.addr, "GET /livez HTTP/1.1", "").await.0, 400, "the operator's requests, too");
    assert_eq!(send(server.addr, "GET /livez HTTP/1.0", "").await.0, 200, "HTTP/1.0 has no such header");
    assert_eq!(send(server.addr, "GET http://a/v1/books/1 HTTP/1.1", "host: b\r\n").await.0, 200);
    assert_eq!(send(server.addr, "GET http://u@a/v1/books/1 HTTP/1.1", "host: b\r\n").await.0, 400);
}

#[tokio::test]
async fn a_name_that_another_site_has_pointed_here_is_refused() {
    let hosts = Hosts::local("127.0.0.1".parse().unwrap(), &["shop.example".into()]);
    let server = catalog_for(Some(hosts)).await;
    for path in ["/v1/books/1", "/v1/entries?after=0&limit=10&wait_ms=0", "/livez"] {
        for good in ["localhost:1234", "LOCALHOST", "127.0.0.1", "[::1]:8080", "shop.example"] {
            let (status, _) = send(server.addr, &format!("GET {path} HTTP/1.1"), &format!("host: {good}\r\n")).await;
            assert_eq!(status, 200, "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.2", "shop.example.evil.example:80"] {
            let (status, problem) =
                send(server.addr, &format!("GET {path} HTTP/1.1"), &format!("host: {bad}\r\n")).await;
            assert_eq!((status, &problem["code"]), (421, &"other-host".into()), "{bad}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("localhost, 127.0.0.1, [::1], shop.example; --host adds a name"), "{detail}");
            let (status, _) =
                send(server.addr, &format!("GET http://{bad}{path} HTTP/1.1"), "host: localhost\r\n").await;
            assert_eq!(status, 421, "the target's authority counts: {bad}");
        }
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let server = catalog_for(None).await;
    for (encoding, expected) in
        [("identity", 200), ("Identity", 200), ("gzip", 415), ("identity, gzip", 415), ("", 415)]
    {
        let headers = format!("content-encoding: {encoding}\r\nconnection: close\r\n");
        let answer =
            raw(server.addr, post("/v1/calls", "[]").replace("connection: close\r\n", &headers).as_bytes()).await;
        assert_eq!(status(&answer), expected, "{encoding:?}");
        if expected == 415 {
            let problem = problem(&answer);
            assert_eq!((&problem["code"], &problem["executed"]), (&"unsupported-media-type".into(), &"no".into()));
        }
    }
}
