//! Raw requests to a server: any status is an answer.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;

/// One request below `/v1/`.
#[derive(Clone, Default)]
pub struct Call {
    /// `GET`, `POST`, or any other word.
    pub method: String,
    /// Without `/v1/`; a query may follow.
    pub path: String,
    /// `X-Vault-Token`.
    pub token: Option<String>,
    /// `X-Vault-Namespace`.
    pub namespace: Option<String>,
    /// `X-Vault-Wrap-TTL`, in seconds.
    pub wrap_ttl: Option<u64>,
    /// JSON, or anything else.
    pub body: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Any: a redirect is not followed.
    pub status: u16,
    /// The header of a redirect.
    pub location: Option<String>,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON, null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// What sends all requests: no status is an error, and no redirect is followed.
pub fn agent() -> &'static ureq::Agent {
    static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)));
        config.build().into()
    });
    &AGENT
}

impl Call {
    /// A request without token, namespace and body.
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), ..Self::default() }
    }

    /// Sends it to `address`, e.g. `http://127.0.0.1:8200`.
    pub fn send(&self, address: &str) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(self.method.as_str())
            .uri(format!("{address}/v1/{}", self.path))
            .header("X-Vault-Request", "true");
        let wrap_ttl = self.wrap_ttl.map(|it| it.to_string());
        let headers =
            [("X-Vault-Token", &self.token), ("X-Vault-Namespace", &self.namespace), ("X-Vault-Wrap-TTL", &wrap_ttl)];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let sent = match &self.body {
            None => agent().run(request.body(()).expect("a request")),
            Some(body) => agent().run(request.body(body.clone()).expect("a request")),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path));
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        Answer {
            status: response.status().as_u16(),
            location: location.map(str::to_owned),
            text: response.body_mut().read_to_string().expect("a body"),
        }
    }
}
