//! Addresses to listen on, and addresses of other servers.

use bookstore_transport_http::server::Hosts;
use hyper::http::uri::Authority;
use std::net::{IpAddr, SocketAddr};

use super::{Result, wrong};

/// Checks `--listen`.
pub(super) fn listen(text: &str, insecure: bool) -> Result<SocketAddr> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(addr) = numeric.as_deref().unwrap_or(text).parse::<SocketAddr>() else {
        return wrong(format!("--listen {text:?} is not ADDRESS:PORT; try 127.0.0.1:8080, or [::1]:8080 for IPv6"));
    };
    if !addr.ip().is_loopback() && !insecure {
        return wrong(format!(
            "--listen {addr} is open to other machines, and this server speaks plain text: listen on 127.0.0.1:{} behind \
             a proxy that speaks TLS, or add --insecure if the network itself is safe",
            addr.port()
        ));
    }
    Ok(addr)
}

/// Checks `--host`. On loopback only these names, `localhost` and the address are answered to: a page of another site can make its own
/// name mean 127.0.0.1.
pub(super) fn hosts(names: &[String], listen: IpAddr) -> Result<Option<Hosts>> {
    for name in names {
        let is_host = |authority: &Authority| authority.as_str() == authority.host() && !name.is_empty();
        if !name.parse::<Authority>().is_ok_and(|authority| is_host(&authority)) {
            return wrong(format!("--host {name:?} is not a name or an address without a port; try shop.example"));
        }
    }
    let limited = listen.is_loopback() || !names.is_empty();
    Ok(limited.then(|| Hosts::local(listen, names)))
}

/// Checks the addresses of a server that this one depends on.
pub(super) fn servers_behind(flag: &str, urls: &[String], own: SocketAddr, insecure: bool) -> Result<Vec<String>> {
    let urls = servers(flag, urls)?;
    for url in &urls {
        let host = host(url);
        if !is_loopback(host) && !insecure {
            return wrong(format!(
                "{flag} {url} is on another machine, and servers speak plain text: reach it through a tunnel on this \
                 machine, or add --insecure if the network itself is safe"
            ));
        }
        if own.port() != 0 && url.strip_prefix("http://") == Some(own.to_string().as_str()) {
            return wrong(format!("{flag} {url} is this server's own --listen address; give the other server's"));
        }
    }
    Ok(urls)
}

/// Checks the addresses of servers: `http://HOST[:PORT]`, without a path.
pub(crate) fn servers(flag: &str, urls: &[String]) -> Result<Vec<String>> {
    let checked = urls.iter().map(|url| server(flag, url)).collect::<Result<Vec<_>>>()?;
    for (i, url) in checked.iter().enumerate() {
        if checked[..i].contains(url) {
            return wrong(format!("{flag} names {url} twice"));
        }
    }
    Ok(checked)
}

fn server(flag: &str, url: &str) -> Result<String> {
    let trimmed = url.trim().trim_end_matches('/');
    if trimmed.starts_with("https://") {
        return wrong(format!(
            "{flag} {url}: this program speaks no TLS itself; give an http:// address, of a tunnel for example"
        ));
    }
    let example = format!("{flag} {url:?} is not a server's address; try http://127.0.0.1:8080");
    let Some(authority) = trimmed.strip_prefix("http://") else { return wrong(example) };
    let parsed = authority.parse::<Authority>();
    match parsed {
        Ok(parsed) if !parsed.host().is_empty() && !authority.contains(['/', '@', '?', '#']) => Ok(trimmed.to_owned()),
        _ => wrong(example),
    }
}

pub(super) fn host(url: &str) -> &str {
    let authority = url.strip_prefix("http://").unwrap_or(url);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
