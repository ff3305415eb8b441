use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tower::ServiceExt as _;
use vault_testkit::chromium::Chromium;

use super::*;

#[tokio::test]
async fn each_file_has_its_type_and_the_headers_that_keep_the_page_alone() {
    for (path, media, start) in [
        ("/openapi.json", JSON, r#"{"openapi":"3.1.0""#),
        ("/docs", HTML, "<!doctype html>"),
        ("/docs/page.css", CSS, ":root"),
        ("/docs/page.js", JAVASCRIPT, "// Shows"),
        ("/docs/icon.svg", SVG, "<svg"),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (head, body) = router::<()>().oneshot(request).await.unwrap().into_parts();
        let headers: BTreeMap<_, _> = head.headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let text = |name| headers.get(name).map(|it| it.to_str().unwrap());
        let found = ["content-type", "content-security-policy", "x-content-type-options", "cache-control"].map(text);
        let expected = [media, "default-src 'self'", "nosniff", "no-cache"].map(Some);
        assert_eq!((head.status, found), (StatusCode::OK, expected), "{path}");
        let body = body.collect().await.unwrap().to_bytes();
        assert!(str::from_utf8(&body).unwrap().starts_with(start), "{path}");
    }
}

#[test]
fn the_page_names_no_other_host() {
    for text in [PAGE, include_str!("../../../assets/page.css"), include_str!("../../../assets/page.js")] {
        let foreign =
            text.lines().find(|line| line.contains("http:") || line.contains("src=\"http") || line.contains(" url("));
        assert_eq!(foreign, None);
    }
}

/// Tells the test of every fault, and when the page is there.
const WATCH: &str = "
    const faults = [];
    const tell = () => { document.documentElement.dataset.faults = JSON.stringify(faults); };
    const note = (fault) => { faults.push(fault); tell(); };
    addEventListener('error', (event) => note(event.message ?? event.target.outerHTML), true);
    addEventListener('unhandledrejection', (event) => note(String(event.reason)));
    document.addEventListener('securitypolicyviolation', (event) => note(event.violatedDirective));
    console.error = (...words) => note(words.join(' '));
    new MutationObserver((_, observer) => {
        const isShown = document.getElementById('schemas') || faults.length > 0;
        if (!isShown) return;
        observer.disconnect();
        tell();
        fetch('shown');
    }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
";

/// The page with what watches it. Its last picture comes when the page has told that it is there, or gives up: the
/// browser hands the document out when the picture has come.
fn watched() -> Router {
    let shown = Arc::new(Notify::new());
    let told = Arc::clone(&shown);
    let waits = async move || {
        let _ = tokio::time::timeout(Duration::from_secs(20), shown.notified()).await;
        file(SVG, include_str!("../../../assets/icon.svg"))
    };
    let page = PAGE.replacen("<head>", "<head><script src=\"watch.js\"></script>", 1);
    let page = page.replacen("</body>", "<img src=\"last.svg\" alt=\"\"></body>", 1);
    let page: &'static str = page.leak();
    router()
        .route("/watched", get(async move || file(HTML, page)))
        .route("/watch.js", get(async || file(JAVASCRIPT, WATCH)))
        .route("/last.svg", get(waits))
        .route("/shown", get(async move || told.notify_one()))
}

#[test]
fn a_browser_shows_each_operation_and_each_problem_without_a_fault() {
    let Some(chromium) = Chromium::find() else { return };
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async { axum::serve(listener, watched()).await });
    let page = chromium.dump_dom(&format!("http://{address}/watched"));
    assert!(page.contains("data-faults=\"[]\""), "{page}");
    let document: Value = serde_json::from_str(openapi::document()).unwrap();
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let shown = format!("data-operation=\"{} {path}\"", method.to_uppercase());
            let (id, summary) = (&operation["operationId"], operation["summary"].as_str().unwrap());
            assert!(page.contains(&shown) && page.contains(summary), "{shown}");
            assert!(page.contains(&format!("href=\"#{}\"", id.as_str().unwrap())), "{id}");
            count += 1;
        }
    }
    for problem in document["x-problems"].as_array().unwrap() {
        assert!(page.contains(problem["remedy"].as_str().unwrap()), "{problem}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    assert_eq!(count, 12);
}
