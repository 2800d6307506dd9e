//! Logging in with a token, and out.

use askama::Template;
use axum::{
    Extension,
    extract::{FromRequestParts, OptionalFromRequestParts, State},
    http::{HeaderMap, Method, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bookstore_core::Error;
use std::{convert::Infallible, sync::Arc};

use super::{
    frame::page,
    session::{Secret, Sessions, cookie, secret},
};
use crate::{
    api::{Answer, Rejection, Shared, Shop, extract::Payload, roles},
    error_status,
    pages::{assets, form::Fields, notice::Notice, render::see_other},
    token::Actor,
};

const HOME: &str = "/admin";

#[derive(Template)]
#[template(path = "admin/login.html")]
struct Login {
    notice: Option<Notice>,
    /// Where to go then.
    to: String,
}

#[derive(Template)]
#[template(path = "admin/off.html")]
struct Off;

/// The request has an open session, of somebody whose role suffices for the route. Requests without one are answered with the log-in
/// page.
pub(super) struct SignedIn {
    secret: Secret,
    /// Whose session it is.
    pub(super) actor: Actor,
}

impl SignedIn {
    fn find(parts: &Parts, shop: &Shop) -> Option<Self> {
        let sessions = parts.extensions.get::<Arc<Sessions>>()?;
        let secret = secret(&parts.headers)?;
        let actor = shop.tokens.again(&sessions.actor(secret, shop.clock.now())?)?;
        Some(Self { secret: secret.to_owned(), actor })
    }
}

impl FromRequestParts<Arc<Shop>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Self, Response> {
        let log_in = || log_in_first(shop, parts.method == Method::GET, &parts.uri).into_response();
        let signed_in = Self::find(parts, shop).ok_or_else(log_in)?;
        signed_in.actor.allow(roles::needed(parts)).map_err(|error| Rejection::from(error).into_response())?;
        Ok(signed_in)
    }
}

impl OptionalFromRequestParts<Arc<Shop>> for SignedIn {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shop: &Arc<Shop>) -> Result<Option<Self>, Infallible> {
        Ok(Self::find(parts, shop))
    }
}

/// The answer to a request that needs a session and has none.
fn log_in_first(shop: &Shop, is_get: bool, uri: &Uri) -> Answer {
    if is_get {
        let to = uri.path_and_query().map_or(HOME, |path| path.as_str());
        return log_in_page(shop, None, to);
    }
    let notice = Notice::bad("Nothing was changed: your session has ended. Please log in and do it again.");
    log_in_page(shop, Some(notice), HOME)
}

/// The log-in page, which leads to `to`; a note that admin is off if it is.
fn log_in_page(shop: &Shop, notice: Option<Notice>, to: &str) -> Answer {
    if shop.tokens.is_empty() {
        return page(Rejection::Forbidden("admin is off").status(), &Off);
    }
    let (status, _) = error_status::status(&Error::Unauthorized { message: String::new() });
    page(status, &Login { notice, to: to.to_owned() })
}

/// `GET /admin/login`
pub(super) async fn form(State(shop): Shared, session: Option<SignedIn>) -> Answer {
    if session.is_some() { Ok(see_other(HOME)) } else { log_in_page(&shop, None, HOME) }
}

/// `POST /admin/login`
pub(super) async fn login(
    State(shop): Shared,
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    payload: Payload,
) -> Answer {
    let fields = Fields::of_body(&payload.bytes);
    let to = inside(fields.text("to"));
    if shop.tokens.is_empty() {
        return log_in_page(&shop, None, HOME);
    }
    let Some(actor) = shop.tokens.find(fields.text("token").trim()) else {
        return log_in_page(&shop, Some(Notice::bad("This is no token of this shop. Please try again.")), to);
    };
    let cookie = cookie(&sessions.open(actor, shop.clock.now()), &headers);
    Ok(([(header::SET_COOKIE, cookie)], see_other(to)).into_response())
}

/// `POST /admin/logout`
pub(super) async fn logout(
    Extension(sessions): Extension<Arc<Sessions>>,
    headers: HeaderMap,
    SignedIn { secret, .. }: SignedIn,
) -> Answer {
    sessions.close(&secret);
    Ok(([(header::SET_COOKIE, cookie("", &headers))], see_other("/")).into_response())
}

/// A way back that stays within the admin pages.
fn inside(to: &str) -> &str {
    let path = to.split('?').next().unwrap_or_default();
    let inside = path == HOME || path.strip_prefix(HOME).is_some_and(|rest| rest.starts_with('/'));
    if inside && to.bytes().all(|byte| byte.is_ascii_graphic()) { to } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_inside() {
        for good in ["/admin", "/admin?q=a%20b", "/admin/books/3", "/admin/orders?page_token=x"] {
            assert_eq!(inside(good), good);
        }
        for bad in ["", "/", "//evil.example", "https://evil.example", "/administer", "/admin/\r\nX: y", "/info/1"] {
            assert_eq!(inside(bad), HOME, "{bad}");
        }
    }
}
