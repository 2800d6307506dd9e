//! Requests are counted under the route that they took, with a page or without.

use axum::http::Method;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::shop::{Visit, one_book};

#[tokio::test]
async fn requests_are_counted_by_route() {
    let recorder = PrometheusBuilder::new().install_recorder().unwrap();
    let visit = Visit::to(one_book()).await;
    let (html, json) = (("accept", "text/html"), ("accept", "application/json"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    visit.browser.send(Method::GET, "/info/1", &[html], None).await;
    visit.browser.send(Method::GET, "/entries", &[html], None).await;
    visit.browser.send(Method::GET, "/topics", &[json], None).await;
    for accept in [html, json] {
        visit.browser.send(Method::POST, "/purchase/1", &[accept, form], Some(String::new())).await;
    }
    let text = recorder.render();
    for labels in [
        r#"method="GET",route="/info/{id}",status="200""#,
        r#"method="GET",route="/entries",status="401""#,
        r#"method="GET",route="/topics",status="200""#,
        r#"method="POST",route="/purchase/{id}",status="400""#,
        r#"method="POST",route="/purchase/{id}",status="201""#,
    ] {
        assert!(text.contains(&format!("bookstore_http_requests_total{{{labels}}}")), "{labels}: {text}");
    }
}
