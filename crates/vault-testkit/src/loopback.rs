//! Single requests to servers of this machine, over HTTP without TLS. No redirect is followed and no status is an error.

use crate::http::agent;

/// What is sent: a GET, or a POST where there is a body.
pub(crate) struct Request<'a> {
    pub url: &'a str,
    /// The header of this name; empty for none.
    pub cookies: &'a str,
    /// Type and content.
    pub body: Option<(&'a str, String)>,
}

/// What came back.
pub(crate) struct Page {
    pub status: u16,
    pub location: Option<String>,
    /// Each `Set-Cookie`.
    pub cookies: Vec<String>,
    pub text: String,
}

/// Sends one request; panics where nothing answers, and where the URL leads off this machine.
pub(crate) fn send(request: &Request) -> Page {
    let url = request.url;
    assert!(["http://127.0.0.1:", "http://localhost:"].iter().any(|it| url.starts_with(it)), "no loopback URL: {url}");
    let mut builder = ureq::http::Request::builder().uri(url);
    if !request.cookies.is_empty() {
        builder = builder.header("Cookie", request.cookies);
    }
    let sent = match &request.body {
        None => agent().run(builder.body(()).expect("a request")),
        Some((kind, body)) => {
            let builder = builder.method("POST").header("Content-Type", *kind);
            agent().run(builder.body(body.clone()).expect("a request"))
        }
    };
    let mut response = sent.unwrap_or_else(|error| panic!("{url}: {error}"));
    let texts = |name: &str| {
        let values = response.headers().get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (location, cookies) = (texts("Location").pop(), texts("Set-Cookie"));
    let text = response.body_mut().read_to_string().expect("a body");
    Page { status: response.status().as_u16(), location, cookies, text }
}
