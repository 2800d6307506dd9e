//! A browser without JavaScript: follows redirects, keeps cookies, reads links and forms, and sends forms back.

use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{collections::BTreeMap, net::SocketAddr, sync::Mutex};

/// What a real browser says that it accepts.
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

pub(crate) struct Browser {
    origin: String,
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// An answer, and where it came from after all redirects.
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) html: String,
}

/// A form as it stands on a page, with what is filled in.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) method: Method,
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { origin: format!("http://{addr}"), client, cookies: Mutex::default() }
    }

    /// Opens an address of the shop.
    pub(crate) async fn open(&self, url: &str) -> Page {
        self.follow(Method::GET, url.to_owned(), None).await
    }

    /// Presses a form's button.
    pub(crate) async fn submit(&self, form: &Form) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        if form.method == Method::GET {
            return self.open(&format!("{}?{body}", form.action)).await;
        }
        self.follow(Method::POST, form.action.clone(), Some(body)).await
    }

    /// One request, redirects not followed.
    pub(crate) async fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: Option<String>) -> Page {
        let mut request = Request::builder().method(method).uri(format!("{}{url}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies: Vec<_> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = request.body(Full::from(body.unwrap_or_default())).unwrap();
        let response = self.client.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        self.keep_cookies(&head.headers);
        let html = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { url: url.to_owned(), status: head.status, headers: head.headers, html }
    }

    async fn follow(&self, method: Method, url: String, body: Option<String>) -> Page {
        let mut headers = vec![("accept", ACCEPT), ("sec-fetch-site", "same-origin")];
        if body.is_some() {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
            headers.push(("origin", &self.origin));
        }
        let mut page = self.send(method, &url, &headers, body).await;
        for _ in 0..5 {
            if page.status != StatusCode::SEE_OTHER {
                return page;
            }
            let to = page.headers[header::LOCATION].to_str().unwrap().to_owned();
            page = self.send(Method::GET, &to, &headers[..2], None).await;
        }
        panic!("redirected too often: {url}");
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if attributes.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Page {
    /// The one form that posts to, or asks, this address.
    #[track_caller]
    pub(crate) fn form(&self, action: &str) -> Form {
        let mut forms: Vec<Form> = self.forms().into_iter().filter(|form| form.action == action).collect();
        assert_eq!(forms.len(), 1, "forms for {action} on {}: {}", self.url, self.html);
        forms.remove(0)
    }

    pub(crate) fn forms(&self) -> Vec<Form> {
        let inner = self.html.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        inner.map(read_form).collect()
    }

    /// Every address that the page links to.
    pub(crate) fn links(&self) -> Vec<String> {
        tags(&self.html, "a").filter_map(|tag| attribute(tag, "href")).collect()
    }

    /// The link with this text.
    #[track_caller]
    pub(crate) fn link(&self, text: &str) -> String {
        let end = self.html.find(&format!(">{text}</a>")).unwrap_or_else(|| panic!("no link {text:?}: {}", self.html));
        let start = self.html[..end].rfind("<a ").unwrap();
        attribute(&self.html[start..=end], "href").unwrap()
    }

    #[track_caller]
    pub(crate) fn check(&self, status: StatusCode, texts: &[&str]) {
        assert_eq!(self.status, status, "{}: {}", self.url, self.html);
        for text in texts {
            assert!(self.html.contains(text), "{} does not say {text:?}: {}", self.url, self.html);
        }
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        self.html.contains(text)
    }
}

impl Form {
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(known, _)| known == name);
        &field.unwrap_or_else(|| panic!("no field {name} in {self:?}")).1
    }

    /// Types into a field that the form has.
    #[track_caller]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let field = self.fields.iter_mut().find(|(known, _)| known == name);
        field.unwrap_or_else(|| panic!("no field {name}")).1 = value.to_owned();
        self
    }
}

fn read_form(html: &str) -> Form {
    let (opening, _) = html.split_once('>').unwrap();
    let method = match attribute(opening, "method").as_deref() {
        Some("post") => Method::POST,
        None => Method::GET,
        other => panic!("method {other:?}"),
    };
    let input = |tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()));
    let mut fields: Vec<_> = tags(html, "input").filter_map(input).collect();
    for rest in html.split("<textarea").skip(1) {
        let (opening, rest) = rest.split_once('>').unwrap();
        fields.push((attribute(opening, "name").unwrap(), unescape(rest.split("</textarea>").next().unwrap())));
    }
    Form { method, action: attribute(opening, "action").unwrap(), fields }
}

/// The opening tags of this name, without brackets.
pub(crate) fn tags<'a>(html: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    html.split('<').filter_map(move |tag| {
        let rest = tag.strip_prefix(name)?;
        rest.starts_with([' ', '>']).then(|| rest.split('>').next().unwrap())
    })
}

pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(unescape)
}

pub(crate) fn unescape(text: &str) -> String {
    let quotes = text.replace("&#34;", "\"").replace("&#39;", "'");
    quotes.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
}
