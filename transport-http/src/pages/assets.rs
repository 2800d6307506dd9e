//! The few files that pages load, built into the program.

use axum::{
    extract::{Path, RawQuery},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::api::Rejection;

/// A file, and the hash of its content: new content has a new address.
pub(crate) struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
    hash: u64,
}

pub(crate) const CSS: Asset = Asset::new("shop.css", "text/css; charset=utf-8", include_str!("../../assets/shop.css"));
pub(crate) const JS: Asset =
    Asset::new("shop.js", "text/javascript; charset=utf-8", include_str!("../../assets/shop.js"));
pub(crate) const ICON: Asset = Asset::new("icon.svg", "image/svg+xml", include_str!("../../assets/icon.svg"));

const ALL: [Asset; 3] = [CSS, JS, ICON];

impl Asset {
    const fn new(name: &'static str, media_type: &'static str, content: &'static str) -> Self {
        Self { name, media_type, content, hash: hash(content.as_bytes()) }
    }

    /// The address from which pages load it.
    pub(crate) fn url(&self) -> String {
        format!("/assets/{}?v={:016x}", self.name, self.hash)
    }

    /// The page that asks may be of another version of this program: it gets this content, but not for ever.
    fn cache_control(&self, query: Option<&str>) -> HeaderValue {
        let current = query.is_some_and(|query| query == format!("v={:016x}", self.hash));
        HeaderValue::from_static(if current { "public, max-age=31536000, immutable" } else { "no-cache" })
    }
}

/// FNV-1a with 64 bits, by hand since it must be `const`: tells versions apart, and is no protection against forgery.
pub(crate) const fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// `GET /assets/{name}`
pub(crate) async fn get(Path(name): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(asset) = ALL.iter().find(|asset| asset.name == name) else {
        return Rejection::NoSuchPath.into_response();
    };
    let tag = format!("\"{:016x}\"", asset.hash);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tags| tags.as_bytes() == tag.as_bytes());
    let (status, body) = if known { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, asset.content) };
    let mut response = (status, [(header::ETAG, tag)], body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(header::CACHE_CONTROL, asset.cache_control(query.as_deref()));
    response
}
