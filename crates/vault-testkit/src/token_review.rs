//! Plays the part of the Kubernetes API that a real server's Kubernetes auth asks to review tokens. It takes
//! every JWT for good but a forged one.

use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener};

use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::jwt::{self, FORGED};

/// Starts it for the rest of the process; returns its URL.
pub(crate) fn start() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    let address = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime starts").block_on(serve(listener));
    });
    format!("http://{address}")
}

async fn serve(listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("inside a runtime");
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(connection);
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status(&review["spec"]),
    });
    let mut response = Response::new(Full::new(Bytes::from(review.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn status(spec: &Value) -> Value {
    match jwt::decode(spec["token"].as_str().unwrap_or_default()) {
        Some((_, claims, signature)) if signature != FORGED => {
            let account = &claims["kubernetes.io"]["serviceaccount"];
            let user = json!({"username": claims["sub"], "uid": account["uid"]});
            json!({"authenticated": true, "user": user, "audiences": spec["audiences"]})
        }
        _ => json!({"authenticated": false, "error": "not a token of this cluster"}),
    }
}
