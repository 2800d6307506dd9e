//! What the holder of a token may do.

use bookstore_core::Error;
use std::{fmt, str::FromStr};

/// What a token opens; each role may do what those before it may. `api::ROLES` says which route needs which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads orders and entries.
    Read,
    /// Also changes prices and stock, and adds books.
    Stock,
    /// Everything.
    Admin,
}

impl Role {
    /// All roles, weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Stock, Self::Admin];

    /// Its name in files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Stock => "stock",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| Error::invalid("role", "must be admin, stock or read"))
    }
}
