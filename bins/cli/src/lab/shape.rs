//! The deployments that are compared.

use serde::{Deserialize, Serialize};

/// A way to deploy the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Everything in one process.
    Monolith,
    /// A frontend, an order server and a catalog server.
    ThreeServers,
    /// Two frontends and two order servers over one catalog server.
    Replicated,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Monolith, Self::ThreeServers, Self::Replicated];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Monolith => "one process",
            Self::ThreeServers => "three servers",
            Self::Replicated => "five servers",
        }
    }

    /// Its servers.
    #[must_use]
    pub fn parts(self) -> &'static str {
        match self {
            Self::Monolith => "the whole shop",
            Self::ThreeServers => "frontend, order server, catalog server",
            Self::Replicated => "two frontends, two order servers, one catalog server",
        }
    }

    /// How many frontends, and how many order servers, run apart from the catalog server.
    pub(super) fn each(self) -> usize {
        match self {
            Self::Monolith => 0,
            Self::ThreeServers => 1,
            Self::Replicated => 2,
        }
    }
}
