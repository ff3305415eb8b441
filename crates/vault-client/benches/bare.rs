//! `bare MOUNT PATH READS THREADS` sends what `reads` sends, by ureq and rustls alone: no failure is judged, no token is
//! kept alive, nothing is wiped.

use std::env::var;
use std::sync::Arc;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [mount, path, reads, threads] = &arguments[..] else {
        panic!("usage: bare MOUNT PATH READS THREADS");
    };
    let [reads, threads] = [reads, threads].map(|it| it.parse::<usize>().expect("a number"));
    let (agent, address) = (agent(threads), var("VAULT_ADDR").expect("VAULT_ADDR"));
    let url = |path: &str| format!("{address}/v1/{path}");

    let jwt = std::fs::read_to_string(var("VAULT_K8S_TOKEN_PATH").expect("VAULT_K8S_TOKEN_PATH")).expect("a JWT");
    let body = json!({"role": var("VAULT_ROLE").expect("VAULT_ROLE"), "jwt": jwt.trim()}).to_string();
    let login = agent.post(url("auth/kubernetes/login")).header("content-type", "application/json").send(body);
    let login = parsed(login);
    let token = login["auth"]["client_token"].as_str().expect("a token");
    let read = || {
        for _ in 0..reads / threads {
            let request = agent.get(url(&format!("{mount}/data/{path}")));
            let request = request.header("x-vault-request", "true").header("x-vault-token", token);
            assert!(parsed(request.call())["data"]["data"]["API_KEY"].is_string());
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(read)));
        read();
    });
    agent.post(url("auth/token/revoke-self")).header("x-vault-token", token).send_empty().expect("a revoke");
}

fn agent(connections: usize) -> Agent {
    let ca = std::fs::read(var("VAULT_CACERT").expect("VAULT_CACERT")).expect("a CA");
    let ca = Certificate::from_pem(&ca).expect("a certificate");
    let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::Specific(Arc::new(vec![ca])));
    let config = Agent::config_builder().tls_config(tls.build()).no_delay(true);
    config.max_idle_connections(connections).max_idle_connections_per_host(connections).build().new_agent()
}

fn parsed(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let body = answer.expect("an answer").body_mut().read_to_vec().expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}
