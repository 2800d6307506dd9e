//! What each role may do, over the API and the admin pages.

use crate::support::{Answer, Running, start_with};
use axum::http::StatusCode;
use bookstore_core::{BookText, CatalogService as _, Cents, NewBook, OrderId};
use bookstore_transport_http::{
    api::ROLES,
    token::{AccessToken, NamedToken, Role, Tokens},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn secret(role: Role) -> String {
    format!("secret-of-{role}-").repeat(4)
}

fn token(role: Role) -> NamedToken {
    NamedToken::new(&format!("jo-{role}"), role, &AccessToken::new(&secret(role)).unwrap()).unwrap()
}

async fn shop() -> (Running, Tokens) {
    let tokens = Tokens::new(Role::ALL.map(token));
    let shop = start_with(tokens.clone()).await;
    let text = BookText { title: "Queues".into(), topic: "t".into(), ..BookText::default() };
    shop.catalog.add_books(vec![NewBook { text, price_cents: Cents::ZERO, stock: 5 }], None).await.unwrap();
    (shop, tokens)
}

/// The path of a route, with an order's id that can be guessed, so that a token is needed.
fn filled(path: &str) -> String {
    let id = if path.contains("orders") { OrderId::from_key("basket 17").unwrap().to_string() } else { "1".into() };
    path.replace("{id}", &id)
}

/// A request with what a route takes, wrong but for the token.
async fn send(shop: &Running, method: &str, path: &str, role: Role) -> Answer {
    let bearer = format!("Bearer {}", secret(role));
    shop.json(method, &filled(path), &[("authorization", &bearer)], "{}").await
}

/// Logs in and returns the cookie.
async fn log_in(shop: &Running, role: Role) -> String {
    let sent = shop.send("POST", "/admin/login", &[FORM], format!("token={}", secret(role))).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{sent:?}");
    sent.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn visit(shop: &Running, method: &str, path: &str, cookie: &str) -> Answer {
    let headers = [FORM, ("accept", "text/html"), ("cookie", cookie)];
    shop.send(method, &filled(path), &headers, "").await
}

fn check(answer: &Answer, role: Role, needed: Role, what: &str) {
    let says = format!("needs a token with the role {needed}");
    let refused = answer.status == StatusCode::FORBIDDEN && String::from_utf8_lossy(&answer.body).contains(&says);
    assert_eq!(refused, role < needed, "{what} as {role}: {answer:?}");
    assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{what} as {role}: {answer:?}");
}

#[tokio::test]
async fn each_role_does_what_the_table_says() {
    let (shop, _) = shop().await;
    // `/events` has no end, and what a token adds to it is in `events`.
    let api = || ROLES.into_iter().filter(|(_, path, _)| !path.starts_with("/admin") && *path != "/events");
    let pages = || ROLES.into_iter().filter(|(_, path, _)| path.starts_with("/admin"));
    for role in Role::ALL {
        for (method, path, needed) in api() {
            let answer = send(&shop, method, path, role).await;
            check(&answer, role, needed, &format!("{method} {path}"));
        }
        let cookie = log_in(&shop, role).await;
        for (method, path, needed) in pages() {
            let answer = visit(&shop, method, path, &cookie).await;
            check(&answer, role, needed, &format!("{method} {path}"));
        }
        assert_eq!(visit(&shop, "GET", "/admin", &cookie).await.status, StatusCode::UNAUTHORIZED, "logged out");
    }
}

#[tokio::test]
async fn a_weak_token_is_forbidden_and_an_unknown_one_unauthorized() {
    let (shop, _) = shop().await;
    let problem = send(&shop, "PATCH", "/books/{id}", Role::Read).await.problem(403, "forbidden");
    assert_eq!(
        (&problem["detail"], &problem["executed"]),
        (&"this needs a token with the role stock; the token jo-read has the role read".into(), &"no".into())
    );
    let unknown = [("authorization", "Bearer 0123456789012345678901234567890123456789")];
    shop.json("PATCH", "/books/1", &unknown, "{}").await.problem(401, "unauthorized");
    let head = shop.send("HEAD", "/orders", &[("authorization", &format!("Bearer {}", secret(Role::Read)))], "").await;
    assert_eq!(head.status, StatusCode::OK);
    for (role, status) in [(Role::Read, 403), (Role::Stock, 200), (Role::Admin, 200)] {
        let token = format!("Bearer {}", secret(role));
        let found = shop.send("GET", "/orders?contact=roe", &[("authorization", &token)], "").await;
        assert_eq!(found.status, status, "{role} looks for a name");
    }
    assert_eq!(shop.stock(1).await, 5);
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_and_its_session_ends() {
    let (shop, tokens) = shop().await;
    let (gone, kept) = (log_in(&shop, Role::Admin).await, log_in(&shop, Role::Stock).await);
    tokens.replace([token(Role::Stock)]);
    send(&shop, "GET", "/orders", Role::Admin).await.problem(401, "unauthorized");
    assert_eq!(visit(&shop, "GET", "/admin", &gone).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(send(&shop, "GET", "/orders", Role::Stock).await.status, StatusCode::OK);
    assert_eq!(visit(&shop, "GET", "/admin/new", &kept).await.status, StatusCode::OK);
    let weaker = NamedToken::new("jo", Role::Read, &AccessToken::new(&secret(Role::Stock)).unwrap()).unwrap();
    tokens.replace([weaker]);
    check(&visit(&shop, "GET", "/admin/new", &kept).await, Role::Read, Role::Stock, "a role that was taken");
}
