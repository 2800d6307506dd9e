//! The simulated machines, the links between them, and their common time.

use std::{collections::BTreeSet, fmt, sync::Mutex, time::Duration};

/// The simulated machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Frontend,
    Order1,
    Order2,
    Catalog,
    Buyers,
    Staff,
    /// Where a copy is promoted, or a second server is started on the catalog's file.
    Spare,
}

impl Host {
    pub(crate) const SERVERS: [Self; 4] = [Self::Frontend, Self::Order1, Self::Order2, Self::Catalog];
    pub(crate) const ALL: [Self; 6] =
        [Self::Frontend, Self::Order1, Self::Order2, Self::Catalog, Self::Buyers, Self::Staff];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Order1 => "order-1",
            Self::Order2 => "order-2",
            Self::Catalog => "catalog",
            Self::Buyers => "buyers",
            Self::Staff => "staff",
            Self::Spare => "spare",
        }
    }

    pub(crate) fn url(self) -> String {
        format!("http://{}", self.name())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which links are cut.
#[derive(Debug, Default)]
pub(crate) struct CutLinks(Mutex<BTreeSet<(Host, Host)>>);

impl CutLinks {
    /// Cuts a link in one direction, or repairs it.
    pub(crate) fn set_cut(&self, from: Host, to: Host, cut: bool) {
        let mut links = self.0.lock().expect("no code panics while it is locked");
        if cut {
            links.insert((from, to));
        } else {
            links.remove(&(from, to));
        }
    }

    /// Whether the link between two machines is cut, in either direction.
    pub(crate) fn is_cut(&self, from: Host, to: &str) -> bool {
        let links = self.0.lock().expect("no code panics while it is locked");
        links.iter().any(|(a, b)| (*a == from && b.name() == to) || (*b == from && a.name() == to))
    }
}

/// Simulated time since the run began, on a simulated host.
pub(crate) fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}
