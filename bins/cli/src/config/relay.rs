//! Checks `bookstore relay`.

use bookstore_transport_http::{client::Client, client::ClientOptions};
use hyper::{Uri, header::HeaderValue};
use std::net::SocketAddr;

use super::{
    Misconfigured, Result,
    address::{host, is_loopback, listen, servers},
    token::{admin_token_for, token},
    wrong,
};
use crate::{
    cli::RelayArgs,
    locked_file::read_at_most,
    relay::{ReceiverUrl, Secrets, Types},
};

/// The most bytes of a file with secrets.
const SECRET_FILE_BYTES_MAX: usize = 1024;

/// A relay that can be started.
#[derive(Debug)]
pub(crate) struct Relay {
    /// What the ledger is read with.
    pub(crate) source: Source,
    /// Where events go.
    pub(crate) to: ReceiverUrl,
    /// What they are signed with.
    pub(crate) secrets: Secrets,
    /// Which of them are sent.
    pub(crate) types: Types,
    /// Where metrics are served.
    pub(crate) metrics_listen: Option<SocketAddr>,
}

/// Where the ledger is read.
#[derive(Debug)]
pub(crate) enum Source {
    /// From the public interface.
    Shop(Client),
    /// From a catalog server.
    Catalog(Client),
}

/// Checks the flags.
pub(crate) fn relay(args: &RelayArgs) -> Result<Relay> {
    let metrics_listen = args.metrics_listen.as_deref().map(|text| listen(text, args.insecure)).transpose()?;
    Ok(Relay {
        to: receiver(&args.to, args.insecure)?,
        secrets: secrets(args)?,
        types: Types::new(&args.types).map_err(|why| Misconfigured(format!("--types {why}")))?,
        source: source(args)?,
        metrics_listen,
    })
}

fn source(args: &RelayArgs) -> Result<Source> {
    let client = |flag, urls: &[String], token| {
        let options = ClientOptions { token, ..ClientOptions::default() };
        Client::http(urls, options).map_err(|error| Misconfigured(format!("{flag}: {error}")))
    };
    if args.catalog.is_empty() {
        let urls = servers("--from", &args.from)?;
        let token = admin_token_for(args.admin_token_file.as_deref(), &urls, args.insecure)?;
        return Ok(Source::Shop(client("--from", &urls, Some(token))?));
    }
    let urls = servers("--catalog", &args.catalog)?;
    if let Some(far) = urls.iter().find(|url| !is_loopback(host(url)) && !args.insecure) {
        return wrong(format!("--catalog {far} is on another machine, and servers speak plain text: {TUNNEL}"));
    }
    let token = token("--server-token-file", args.server_token_file.as_deref())?;
    Ok(Source::Catalog(client("--catalog", &urls, token)?))
}

const TUNNEL: &str = "reach it through a tunnel on this machine, or add --insecure if the network itself is safe";

fn secrets(args: &RelayArgs) -> Result<Secrets> {
    let name = args.secret_file.display();
    let bad = |why: &dyn std::fmt::Display| {
        Misconfigured(format!(
            "--secret-file {name}: {why}; make one with\n  \
             (umask 077; echo \"whsec_$(head -c 32 /dev/urandom | base64)\" > {name})"
        ))
    };
    let text = read_at_most(&args.secret_file, SECRET_FILE_BYTES_MAX).map_err(|error| bad(&error))?;
    super::token::warn_if_others_can_read(&args.secret_file);
    Secrets::read(&text).map_err(|why| bad(&why))
}

/// Checks `--to`.
fn receiver(url: &str, insecure: bool) -> Result<ReceiverUrl> {
    if url.starts_with("https://") {
        return wrong(format!(
            "--to {url}: this program speaks no TLS itself; give an http:// address on this machine of a tunnel or proxy \
             that does, such as stunnel or nginx"
        ));
    }
    let example = || Misconfigured(format!("--to {url:?} is not a receiver's URL; try http://127.0.0.1:9000/hooks"));
    let parsed: Uri = url.parse().map_err(|_| example())?;
    let (Some("http"), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else { return Err(example()) };
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(example());
    }
    if !is_loopback(authority.host()) && !insecure {
        return wrong(format!("--to {url} is on another machine, and events travel in plain text: {TUNNEL}"));
    }
    let path = parsed.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(|_| example())?;
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| example())?;
    Ok(ReceiverUrl { address, host, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_has_a_port_and_a_path() {
        for (url, address, path) in [
            ("http://127.0.0.1:9000/hooks?shop=1", "127.0.0.1:9000", "/hooks?shop=1"),
            ("http://localhost", "localhost:80", "/"),
            ("http://[::1]:81/", "[::1]:81", "/"),
        ] {
            let receiver = receiver(url, false).unwrap();
            assert_eq!((receiver.address.as_str(), receiver.path.to_string().as_str()), (address, path));
        }
        for (url, says) in [
            ("https://127.0.0.1/", "no TLS"),
            ("http://shop.example/", "--insecure"),
            ("127.0.0.1:9000", "not a receiver's URL"),
            ("ftp://127.0.0.1/", "not a receiver's URL"),
            ("http://jo:secret@127.0.0.1/", "not a receiver's URL"),
        ] {
            let error = receiver(url, false).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(receiver("http://shop.example/", true).is_ok());
    }
}
