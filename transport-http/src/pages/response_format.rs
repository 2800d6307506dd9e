//! Which of the two representations a request asks for.
//!
//! Read by hand: no library of this program reads `Accept`, and headers that are not quite right should still get an answer.

use axum::http::{HeaderMap, header};

/// A representation of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseFormat {
    /// A page: the `Accept` header prefers `text/html`.
    Html,
    /// Everything else, also when there is no `Accept` header or it leaves the choice open.
    Json,
}

/// How closely a media range fits, and how much it is wanted, in thousandths.
type Match = (u8, u16);

impl ResponseFormat {
    /// What these request headers ask for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (mut html, mut json): (Match, Match) = ((0, 0), (0, 0));
        for value in headers.get_all(header::ACCEPT) {
            let Ok(value) = value.to_str() else { continue };
            if value == "application/json" {
                // What nearly every program sends needs no taking apart.
                consider(&mut json, value, 1000, value, "application/*");
                continue;
            }
            for range in value.split(',') {
                let (media, weight) = weigh(range);
                consider(&mut html, media, weight, "text/html", "text/*");
                consider(&mut json, media, weight, "application/json", "application/*");
            }
        }
        if html.1 > json.1 { Self::Html } else { Self::Json }
    }
}

/// The closest range decides, whatever its weight.
fn consider(best: &mut Match, media: &str, weight: u16, exact: &str, family: &str) {
    let closeness = match media {
        _ if media.eq_ignore_ascii_case(exact) => 3,
        _ if media.eq_ignore_ascii_case(family) => 2,
        "*/*" => 1,
        _ => return,
    };
    if closeness > best.0 {
        *best = (closeness, weight);
    }
}

/// A media range without its parameters, and its `q` in thousandths; a `q` that cannot be read counts as 1.
fn weigh(range: &str) -> (&str, u16) {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = q.and_then(|q| q.parse::<f32>().ok()).map_or(1.0, |q| q.clamp(0.0, 1.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1000")]
    let thousandths = (weight * 1000.0) as u16;
    (media, thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, expected: ResponseFormat) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(ResponseFormat::of(&headers), expected, "{accept}");
    }

    #[test]
    fn the_accept_header_decides() {
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ResponseFormat::Html);
        check("TEXT/HTML", ResponseFormat::Html);
        check("text/*", ResponseFormat::Html);
        check("application/json;q=0.5, text/html;q=0.6", ResponseFormat::Html);
        check("*/*", ResponseFormat::Json);
        check("application/json", ResponseFormat::Json);
        check("text/html;q=0.4, application/json;q=0.5", ResponseFormat::Json);
        check("text/html;q=0, */*", ResponseFormat::Json);
        check("text/html, application/json", ResponseFormat::Json);
        check("image/png", ResponseFormat::Json);
        check("text/html;q=nonsense", ResponseFormat::Html);
        check(",;,q=", ResponseFormat::Json);
        let mut twice = HeaderMap::new();
        for accept in ["application/json;q=0.1", "application/json", "text/html;q=0.5"] {
            twice.append(header::ACCEPT, accept.parse().unwrap());
        }
        assert_eq!(ResponseFormat::of(&twice), ResponseFormat::Html, "the first of two equally close ranges decides");
        assert_eq!(ResponseFormat::of(&HeaderMap::new()), ResponseFormat::Json);
    }
}
