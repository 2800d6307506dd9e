//! Which request needs a token, and with which role: the one place that says so.

use axum::{extract::MatchedPath, http::Method, http::request::Parts};

use crate::token::Role;

/// The weakest role for each method and path that needs a token: the API's, and the admin pages', which ask for one at the log-in.
/// `docs/operating.md` has the same table.
///
/// Some requests need a token only for some orders or events: an order whose id may be guessed is read and cancelled with one, an order
/// that the shop holds is confirmed and extended with one, a contact is changed with one once its order is closed, and `/events` begins
/// further back.
pub const ROLES: [(&str, &str, Role); 24] = [
    ("GET", "/orders", Role::Read),
    ("GET", "/orders/{id}", Role::Read),
    ("POST", "/orders/{id}/cancel", Role::Admin),
    ("POST", "/orders/{id}/confirm", Role::Stock),
    ("POST", "/orders/{id}/extend", Role::Stock),
    ("POST", "/orders/{id}/fulfil", Role::Stock),
    ("POST", "/orders/{id}/return", Role::Stock),
    ("GET", "/orders/{id}/contact", Role::Stock),
    ("PUT", "/orders/{id}/contact", Role::Stock),
    ("DELETE", "/orders/{id}/contact", Role::Stock),
    ("GET", "/entries", Role::Read),
    ("GET", "/events", Role::Read),
    ("PATCH", "/books/{id}", Role::Stock),
    ("POST", "/books", Role::Stock),
    ("GET", "/admin", Role::Read),
    ("GET", "/admin/orders", Role::Read),
    ("GET", "/admin/orders/{id}", Role::Read),
    ("POST", "/admin/orders/{id}/cancel", Role::Admin),
    ("GET", "/admin/books/{id}", Role::Read),
    ("GET", "/admin/new", Role::Stock),
    ("POST", "/admin/books", Role::Stock),
    ("POST", "/admin/books/{id}/restock", Role::Stock),
    ("POST", "/admin/books/{id}/price", Role::Stock),
    ("POST", "/admin/logout", Role::Read),
];

/// The role that a request needs. A route that is not in [`ROLES`] needs the strongest.
pub(crate) fn needed(parts: &Parts) -> Role {
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    of_route(method.as_str(), path.unwrap_or_default())
}

/// The role that a route needs.
pub(crate) fn of_route(method: &str, path: &str) -> Role {
    let row = ROLES.into_iter().find(|(of, route, _)| (*of, *route) == (method, path));
    row.map_or(Role::Admin, |(_, _, role)| role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_reads_the_same_table() {
        let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md"));
        for (method, path, role) in ROLES {
            let row = format!("| `{method} {path}` | `{role}` |");
            assert!(page.contains(&row), "docs/operating.md lacks the row {row}");
        }
        let rows = page.lines().filter(|line| Role::ALL.iter().any(|role| line.ends_with(&format!(" | `{role}` |"))));
        assert_eq!(rows.count(), ROLES.len(), "docs/operating.md has a row that is not in the code");
    }

    #[test]
    fn what_is_not_in_the_table_needs_the_strongest_role() {
        assert_eq!(of_route("DELETE", "/books/{id}"), Role::Admin);
        assert_eq!(of_route("GET", "/books"), Role::Admin);
    }
}
