//! Tokens from files.

use bookstore::{AccessToken, NamedToken};
use bookstore_transport_http::token::{TokenLine, read_tokens};
use std::{
    fmt::Display,
    fs::File,
    io::{self, Read as _},
    net::SocketAddr,
    path::Path,
};

use super::{
    Misconfigured, Result,
    address::{host, is_loopback},
    wrong,
};
use crate::cli::{AdminArgs, InternalArgs, PublicArgs};

/// The admin token of a command. It is refused if it would be sent in plain text over a network without `--insecure`.
pub(crate) fn admin_token(args: &AdminArgs) -> Result<AccessToken> {
    admin_token_for(args.admin_token_file.as_deref(), &args.shop.server, args.insecure)
}

/// As [`admin_token`], for commands with flags of their own.
pub(crate) fn admin_token_for(file: Option<&Path>, servers: &[String], insecure: bool) -> Result<AccessToken> {
    if let Some(far) = servers.iter().find(|url| !is_loopback(host(url)))
        && !insecure
    {
        return wrong(format!(
            "the admin token would travel to {far} in plain text: reach the shop through a tunnel on this machine, or add \
             --insecure if the network itself is safe"
        ));
    }
    token("--admin-token-file", file)?.ok_or_else(|| {
        Misconfigured(
            "this needs the shop's admin token: give --admin-token-file FILE, the same file as the server's".into(),
        )
    })
}

/// The token of a catalog or order server. Without one it would do for anybody who reaches it what the shop's own servers ask for, so
/// it must not be reached from other machines.
pub(super) fn inner_token(args: &InternalArgs, listen: SocketAddr) -> Result<Option<AccessToken>> {
    let token = token("--server-token-file", args.server_token_file.as_deref())?;
    if token.is_none() && !listen.ip().is_loopback() {
        return wrong(format!(
            "--listen {listen} is open to other machines, and without a token whoever reaches this server may sell, restock \
             and read all orders: give --server-token-file FILE, the same file to all servers of the shop; make one with\n  \
             (umask 077; head -c 32 /dev/urandom | base64 > server.token)"
        ));
    }
    Ok(token)
}

/// What a server's admin requests show: the tokens of both files.
pub(crate) fn tokens(args: &PublicArgs) -> Result<Vec<NamedToken>> {
    let admin = token("--admin-token-file", args.admin_token_file.as_deref())?;
    let mut tokens: Vec<NamedToken> = admin.iter().map(NamedToken::from).collect();
    if let Some(file) = &args.tokens_file {
        tokens.extend(named_tokens(file)?.into_iter().map(|line| line.token));
    }
    Ok(tokens)
}

/// The named tokens in a file.
fn named_tokens(file: &Path) -> Result<Vec<TokenLine>> {
    let name = file.display();
    let bad = |error: &dyn Display| Misconfigured(format!("--tokens-file {name}: {error}"));
    let text = read_at_most(file, TokenLine::FILE_BYTES_MAX).map_err(|error| {
        let how = format!("make it with\n  bookstore token new NAME --role stock --tokens-file {name}");
        bad(&format_args!("{error}; {how}"))
    })?;
    let tokens = read_tokens(&text).map_err(|error| bad(&error))?;
    warn_if_others_can_read(file);
    Ok(tokens)
}

/// A file's text.
pub(crate) fn read_at_most(file: &Path, bytes_max: usize) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(bytes_max as u64 + 1).read_to_string(&mut text)?;
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {bytes_max} bytes"));
    if text.len() > bytes_max { Err(too_long()) } else { Ok(text) }
}

/// The token in a flag's file.
pub(super) fn token(flag: &str, file: Option<&Path>) -> Result<Option<AccessToken>> {
    let Some(file) = file else { return Ok(None) };
    let bad = |error: &dyn Display| {
        let name = file.display();
        Misconfigured(format!(
            "{flag} {name}: {error}; make one with\n  (umask 077; head -c 32 /dev/urandom | base64 > {name})"
        ))
    };
    let text = std::fs::read_to_string(file).map_err(|error| bad(&error))?;
    let token = AccessToken::new(&text).map_err(|error| bad(&error))?;
    warn_if_others_can_read(file);
    Ok(Some(token))
}

#[cfg(unix)]
fn warn_if_others_can_read(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
        tracing::warn!("{0} can be read by other users of this machine; run: chmod 600 {0}", file.display());
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_file: &Path) {}
