//! The file of named tokens: one a line, with its hash instead of the secret.

use bookstore_core::{Error, Result, Timestamp};
use serde::{Deserialize as _, de::IntoDeserializer as _};
use std::{fmt, str::FromStr};

use super::NamedToken;

/// How hashes of today begin; another algorithm would have another name.
const BLAKE3: &str = "blake3:";

/// One line of the file: `NAME ROLE CREATED blake3:HASH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLine {
    /// The token.
    pub token: NamedToken,
    /// When it was made.
    pub created: Timestamp,
}

impl fmt::Display for TokenLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, created } = self;
        write!(f, "{} {} {created} {BLAKE3}{}", token.name(), token.role(), token.hash().to_hex())
    }
}

impl FromStr for TokenLine {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let bad = |what: &str| Error::invalid("token", format!("{what}; a line is NAME ROLE CREATED blake3:HASH"));
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(role), Some(created), Some(hash), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad("there are not four words"));
        };
        let hash = hash.strip_prefix(BLAKE3).and_then(|hex| blake3::Hash::from_hex(hex).ok());
        let hash = hash.ok_or_else(|| bad("the hash is not blake3: and 64 hexadecimal digits"))?;
        let created: std::result::Result<_, serde::de::value::Error> =
            Timestamp::deserialize(created.into_deserializer());
        let created = created.map_err(|_| bad("the time is not one as RFC 3339 has it"))?;
        Ok(Self { token: NamedToken::with_hash(name, role.parse()?, hash)?, created })
    }
}

impl TokenLine {
    /// The most bytes of a file.
    pub const FILE_BYTES_MAX: usize = 1_000_000;
    /// The most tokens in a file.
    pub const TOKENS_MAX: usize = 1000;
}

/// Reads the text of a file of named tokens. Empty lines, and those that begin with `#`, say nothing.
///
/// # Errors
/// [`Error::Invalid`], which names the line: it is malformed, its name is another token's or [`NamedToken::ADMIN`], which belongs to
/// the token that has a file of its own; or there are more than [`TokenLine::TOKENS_MAX`] tokens.
pub fn read_tokens(text: &str) -> Result<Vec<TokenLine>> {
    let mut tokens: Vec<TokenLine> = Vec::new();
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let bad = |why: &dyn fmt::Display| Error::invalid("tokens", format!("line {number}: {why}"));
        let line: TokenLine = line.parse().map_err(|error: Error| bad(&error))?;
        let name = line.token.name();
        if name == NamedToken::ADMIN {
            return Err(bad(&"the name admin belongs to the token of --admin-token-file"));
        }
        if tokens.iter().any(|other| other.token.name() == name) {
            return Err(bad(&format_args!("there are two tokens named {name}")));
        }
        if tokens.len() == TokenLine::TOKENS_MAX {
            return Err(bad(&format_args!("there are more than {} tokens", TokenLine::TOKENS_MAX)));
        }
        tokens.push(line);
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{AccessToken, Role};

    fn line(name: &str) -> String {
        let token = NamedToken::new(name, Role::Stock, &AccessToken::new(&"a".repeat(43)).unwrap()).unwrap();
        TokenLine { token, created: Timestamp(1_700_000_000_000) }.to_string()
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let text = format!("# made by hand\n\n{}\n  {}\r\n", line("till-2"), line("web"));
        let tokens = read_tokens(&text).unwrap();
        assert_eq!(tokens.iter().map(TokenLine::to_string).collect::<Vec<_>>(), [line("till-2"), line("web")]);
        assert!(line("web").starts_with("web stock 2023-11-14T22:13:20.000Z blake3:"), "{}", line("web"));
    }

    #[test]
    fn a_broken_line_is_named() {
        for (broken, why) in [
            ("web stock", "four words"),
            (&line("admin"), "--admin-token-file"),
            (&line("ok"), "two tokens named ok"),
            (&line("web").replace("stock", "owner"), "admin, stock or read"),
            (&line("web").replace("blake3", "sha256"), "blake3"),
            (&line("web").replace("2023-11", "2023-13"), "RFC 3339"),
            (&line("web").replace("web", "WEB"), "a to z"),
        ] {
            let error = read_tokens(&format!("{}\n{broken}", line("ok"))).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn there_is_a_most() {
        let lines = |count: usize| (0..count).map(|n| line(&format!("t{n}")) + "\n").collect::<String>();
        assert_eq!(read_tokens(&lines(TokenLine::TOKENS_MAX)).map(|tokens| tokens.len()), Ok(1000));
        assert!(read_tokens(&lines(TokenLine::TOKENS_MAX + 1)).is_err());
        assert!(lines(TokenLine::TOKENS_MAX).len() < TokenLine::FILE_BYTES_MAX);
    }
}
