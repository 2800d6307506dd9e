//! `bookstore token`: makes, lists and revokes named tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bookstore::{AccessToken, NamedToken, Role};
use bookstore_core::{Clock as _, SystemClock};
use bookstore_transport_http::token::{TokenLine, read_tokens};
use std::{fmt::Display, path::Path, process::ExitCode};

use super::{
    Failure,
    locked_file::LockedFile,
    output::{Columns, print, table},
};
use crate::cli::{TokenCommand, TokensFileArgs};

/// The first line of a file.
const HEADING: &str = "# The bookstore's tokens: NAME ROLE CREATED HASH. Made by `bookstore token new`.\n";

/// Runs the command.
pub(super) fn run(command: &TokenCommand) -> Result<ExitCode, Failure> {
    match command {
        TokenCommand::New { name, role, file } => new(name, (*role).into(), file),
        TokenCommand::List { file } => list(file),
        TokenCommand::Revoke { name, file } => revoke(name, file),
    }
}

/// The file and the tokens in it.
struct Tokens<'a> {
    path: &'a Path,
    file: LockedFile,
    lines: Vec<TokenLine>,
}

impl<'a> Tokens<'a> {
    fn open(args: &'a TokensFileArgs) -> Result<Self, Failure> {
        let path = args.tokens_file.as_path();
        let file = LockedFile::open(path).map_err(|error| failed(path, &error))?;
        let text = file.read(TokenLine::FILE_BYTES_MAX).map_err(|error| failed(path, &error))?;
        let lines = read_tokens(&text.unwrap_or_default()).map_err(|error| failed(path, &error))?;
        Ok(Self { path, file, lines })
    }

    fn write(&self) -> Result<(), Failure> {
        let lines = self.lines.iter().map(|line| format!("{line}\n"));
        let text: String = [HEADING.to_owned()].into_iter().chain(lines).collect();
        // What servers would refuse is not written.
        read_tokens(&text).map_err(|error| failed(self.path, &error))?;
        self.file.replace(&text).map_err(|error| failed(self.path, &error))
    }
}

fn failed(path: &Path, why: &dyn Display) -> Failure {
    Failure::Failed(format!("--tokens-file {}: {why}", path.display()))
}

fn new(name: &str, role: Role, args: &TokensFileArgs) -> Result<ExitCode, Failure> {
    let mut tokens = Tokens::open(args)?;
    if tokens.lines.iter().any(|line| line.token.name() == name) {
        return Err(failed(tokens.path, &format_args!("there is a token named {name} already; revoke it first")));
    }
    let secret = format!("bks_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let token = NamedToken::new(name, role, &AccessToken::new(&secret)?)?;
    tokens.lines.push(TokenLine { token, created: SystemClock.now() });
    tokens.write()?;
    eprintln!("This secret is shown once. Servers accept it from their next start, or SIGHUP, on.");
    print(&secret);
    Ok(ExitCode::SUCCESS)
}

fn list(args: &TokensFileArgs) -> Result<ExitCode, Failure> {
    let tokens = Tokens::open(args)?;
    if tokens.lines.is_empty() {
        print("No tokens.");
        return Ok(ExitCode::SUCCESS);
    }
    const COLUMNS: Columns = Columns { header: &["name", "role", "created"], right: &[], elastic: &[] };
    let row =
        |line: &TokenLine| vec![line.token.name().into(), line.token.role().to_string(), line.created.to_string()];
    print(&table(&COLUMNS, tokens.lines.iter().map(row).collect()));
    Ok(ExitCode::SUCCESS)
}

fn revoke(name: &str, args: &TokensFileArgs) -> Result<ExitCode, Failure> {
    let mut tokens = Tokens::open(args)?;
    let before = tokens.lines.len();
    tokens.lines.retain(|line| line.token.name() != name);
    if tokens.lines.len() == before {
        return Err(failed(tokens.path, &format_args!("there is no token named {name}")));
    }
    tokens.write()?;
    print(&format!("The token {name} is revoked. Servers accept it until their next start, or SIGHUP."));
    Ok(ExitCode::SUCCESS)
}
