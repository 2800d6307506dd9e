//! The names that a server answers to.

use std::{fmt, net::IpAddr, sync::Arc};

/// The names that a server answers to, without ports; see [`ServerLimits::hosts`](super::ServerLimits::hosts).
///
/// A page of another site can make its own name mean 127.0.0.1 (DNS rebinding), and then a browser lets it read what a server on
/// loopback answers. Its requests still carry that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Arc<[String]>);

impl Hosts {
    /// `localhost`, `127.0.0.1`, `[::1]`, the `address` that the server listens on, and more `names`.
    #[must_use]
    pub fn local(address: IpAddr, names: &[String]) -> Self {
        let address = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into();
        for name in std::iter::once(&address).chain(names) {
            if !hosts.iter().any(|host| host.eq_ignore_ascii_case(name)) {
                hosts.push(name.clone());
            }
        }
        Self(hosts.into())
    }

    pub(crate) fn contain(&self, host: &[u8]) -> bool {
        self.0.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// The host of an authority without its port, or `None` if this is no authority of an `http` address: `HOST` or `HOST:PORT`.
pub(crate) fn host_of(authority: &[u8]) -> Option<&[u8]> {
    let end = if authority.first() == Some(&b'[') {
        authority.iter().position(|byte| *byte == b']')? + 1
    } else {
        authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(end);
    let is_host = match host.strip_prefix(b"[") {
        Some(literal) => is_ipv6(literal.strip_suffix(b"]")?),
        None => !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(byte)),
    };
    let is_port = port.is_empty() || (port[0] == b':' && port.len() <= 6 && port[1..].iter().all(u8::is_ascii_digit));
    (is_host && is_port).then_some(host)
}

fn is_ipv6(literal: &[u8]) -> bool {
    std::str::from_utf8(literal).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for (good, host) in [
            ("localhost", "localhost"),
            ("Shop.Example:8080", "Shop.Example"),
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:65535", "[::1]"),
            ("shop:", "shop"),
            ("order_1:80", "order_1"),
        ] {
            assert_eq!(host_of(good.as_bytes()), Some(host.as_bytes()), "{good}");
        }
        for bad in
            ["", ":80", "a b", "a/b", "user@shop", "shop:80:80", "shop:http", "[::1", "[x]", "::1", "a,b", "[::1]x"]
        {
            assert_eq!(host_of(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn names_are_compared_without_case_and_named_once() {
        let hosts = Hosts::local("127.0.0.1".parse().unwrap(), &["Shop.Example".into(), "LOCALHOST".into()]);
        assert!(hosts.contain(b"shop.example") && hosts.contain(b"localhost") && !hosts.contain(b"evil.example"));
        assert_eq!(hosts.to_string(), "localhost, 127.0.0.1, [::1], Shop.Example");
    }
}
