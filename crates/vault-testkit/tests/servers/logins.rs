//! Logins at a real server, prepared as tests prepare them.

use serde_json::{Value, json};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use vault_testkit::certs::{Pair, certs};
use vault_testkit::http::{Answer, Call};
use vault_testkit::jwt::Signer;
use vault_testkit::openid::{Fault, OpenIdProvider, Settings};
use vault_testkit::server::{Keys, Kind, Listener, Lockout, on};
use vault_testkit::unique;

/// Status, and the policies that the token has or the errors that are given.
pub(crate) fn outcome(answer: &Answer) -> (u16, Value) {
    let json = answer.json();
    let said = if answer.status == 200 { &json["auth"]["policies"] } else { &json["errors"] };
    (answer.status, said.clone())
}

fn granted(policy: &str) -> (u16, Value) {
    (200, json!(["default", policy]))
}

fn refused(text: &str) -> (u16, Value) {
    (400, json!([text]))
}

fn data(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["data"].clone())
}

#[test]
fn approle_takes_a_secret_id_as_often_as_it_may_and_only_from_where_it_may() {
    on(Kind::OpenBao, "approle_takes_a_secret_id", |server| {
        let mount = &format!("{}-approle", unique());
        server.enable_auth("", mount, "approle");
        let policy = format!("p-{mount}");
        let role_id = server.write_approle("", mount, "app", &policy, &json!({"token_ttl": "5m"}));
        let login = |secret_id: &str| {
            let body = json!({"role_id": role_id, "secret_id": secret_id});
            outcome(&server.login("", mount, &body))
        };
        let once = server.create_secret_id("", mount, "app", &json!({"num_uses": 1, "ttl": "1h"}));
        let elsewhere = server.create_secret_id("", mount, "app", &json!({"cidr_list": ["10.0.0.0/8"]}));
        assert_eq!(login(&once), granted(&policy));
        assert_eq!(login(&once), refused("invalid role or secret ID"));
        let restricted = "source address \"127.0.0.1\" unauthorized through CIDR restrictions on the secret ID";
        assert_eq!(login(&elsewhere), refused(restricted));
    });
}

#[test]
fn approle_locks_a_role_id_out_where_it_is_told_to() {
    on(Kind::OpenBao, "approle_locks_a_role_id_out", |server| {
        // So many wrong secret IDs, and then the right one.
        let statuses = |lockout: Lockout, wrong: usize| {
            let mount = unique();
            server.enable_auth("", &mount, "approle");
            server.set_lockout("", &mount, lockout);
            let role_id = server.write_approle("", &mount, "app", "default", &json!({}));
            let good = server.create_secret_id("", &mount, "app", &json!({}));
            let sent = std::iter::repeat_n("wrong", wrong).chain([good.as_str()]);
            let status = |it: &str| server.login("", &mount, &json!({"role_id": role_id, "secret_id": it})).status;
            sent.map(status).collect::<Vec<_>>()
        };
        assert_eq!(statuses(Lockout::After(2), 3), [400, 400, 403, 403]);
        assert_eq!(statuses(Lockout::Off, 7), [400, 400, 400, 400, 400, 400, 400, 200]);
    });
}

#[test]
fn a_wrapped_secret_id_is_looked_up_and_unwrapped_once() {
    on(Kind::OpenBao, "a_wrapped_secret_id", |server| {
        let namespace = &unique();
        server.create_empty_namespace(namespace);
        server.enable_auth(namespace, "approle", "approle");
        let role_id = server.write_approle(namespace, "approle", "app", "p", &json!({}));
        let token = server.wrapped_secret_id(namespace, "approle", "app", &json!({"num_uses": 1}), 300);
        let lookup = || server.anonymous("", "POST", "sys/wrapping/lookup", &json!({"token": token}));
        let unwrap = || server.send(&Call { token: Some(token.clone()), ..Call::new("POST", "sys/wrapping/unwrap") });
        for _ in 0..2 {
            let (status, found) = data(&lookup());
            let expected = (200, &json!("auth/approle/role/app/secret-id"), &json!(300));
            assert_eq!((status, &found["creation_path"], &found["creation_ttl"]), expected);
        }
        let secret_id = &unwrap().json()["data"]["secret_id"];
        let login = server.login(namespace, "approle", &json!({"role_id": role_id, "secret_id": secret_id}));
        assert_eq!(outcome(&login), granted("p"));
        let spent = refused("wrapping token is not valid or does not exist");
        assert_eq!((outcome(&lookup()), outcome(&unwrap())), (spent.clone(), spent));
    });
}

#[test]
fn wrapped_tokens_and_wrapped_jwts_unwrap_to_what_logs_in() {
    on(Kind::OpenBao, "wrapped_tokens_and_wrapped_jwts", |server| {
        let (name, mount) = (&unique(), &unique());
        let unwrap = |token: String| {
            server.send(&Call { token: Some(token), ..Call::new("POST", "sys/wrapping/unwrap") }).json()
        };
        let token = unwrap(server.wrapped_token("", &json!({"policies": ["p"], "ttl": "1h"}), 300));
        assert_eq!(token["auth"]["policies"], json!(["default", "p"]));

        server.enable_jwt("", mount, Keys::Jwks(&server.identity_jwks_url("")));
        server.write_jwt_role("", mount, "app", "p", &json!({}));
        let jwt = unwrap(server.wrapped_identity_jwt("", name, "vault", 300));
        let login = server.login("", mount, &json!({"role": "app", "jwt": jwt["data"]["token"]}));
        assert_eq!(outcome(&login), granted("p"));
    });
}

#[test]
fn a_jwt_of_a_key_that_is_made_here_logs_in_and_one_of_another_key_does_not() {
    on(Kind::OpenBao, "a_jwt_of_a_key_that_is_made_here", |server| {
        let (mount, signer) = (&unique(), Signer::default());
        server.enable_jwt("", mount, Keys::Static(&signer.public_key()));
        server.write_jwt_role("", mount, "app", "z", &json!({"bound_claims": {"ref": "main"}}));
        let login = |jwt: &str| outcome(&server.login("", mount, &json!({"role": "app", "jwt": jwt})));
        let claims = json!({"ref": "main"});
        assert_eq!(login(&signer.sign(&claims)), granted("z"));
        let unmatched = "error validating claims: claim \"ref\" does not match any associated bound claim values";
        assert_eq!(login(&signer.sign(&json!({"ref": "dev"}))), refused(unmatched));
        let unknown = "error validating token: error verifying token signature: no known key successfully validated the \
                       token signature";
        assert_eq!(login(&Signer::default().sign(&claims)), refused(unknown));
    });
}

#[test]
fn the_provider_mints_jwts_that_a_server_takes_or_refuses_as_is_meant() {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    on(Kind::OpenBao, "the_provider_mints_jwts", |server| {
        for keys in [Keys::Jwks(&provider.jwks_url()), Keys::Discovery(provider.issuer())] {
            let mount = &unique();
            server.enable_jwt("", mount, keys);
            server.write_jwt_role("", mount, "app", "z", &json!({}));
            let login = |jwt: &str| outcome(&server.login("", mount, &json!({"role": "app", "jwt": jwt})));
            assert_eq!(login(&provider.mint(&json!({"sub": "x"}))), granted("z"));
            let other = "error validating token: invalid audience (aud) claim: audience claim does not match any expected \
                         audience";
            assert_eq!(login(&provider.mint(&json!({"aud": "other"}))), refused(other));
            assert_eq!(login(&provider.mint(&json!({"sub": null}))), refused("claim \"sub\" not found in token"));
            let unsigned =
                "error validating token: error verifying token signature: failed to verify id token signature";
            assert_eq!(login(&provider.mint_forged(&json!({}))), refused(unsigned));
            assert_eq!(login(&provider.mint_with_unknown_kid(&json!({}))), refused(unsigned));
        }
    });
}

#[test]
fn a_provider_counts_what_it_is_asked_and_is_at_fault_as_long_as_it_is_told_to() {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    on(Kind::OpenBao, "a_provider_counts_what_it_is_asked", |server| {
        let mount = &unique();
        server.enable_jwt("", mount, Keys::Jwks(&provider.jwks_url()));
        server.write_jwt_role("", mount, "app", "z", &json!({}));
        let login = |jwt: &str| outcome(&server.login("", mount, &json!({"role": "app", "jwt": jwt})));
        let failed = |why: &str| {
            refused(&format!("error validating token: error verifying token signature: fetching keys oidc: {why}"))
        };
        let jwt = provider.mint(&json!({}));
        let hits = provider.hits("/jwks");
        provider.fault_times("/jwks", Fault::Status(503), 1);
        assert_eq!(login(&jwt), failed("get keys failed: 503 Service Unavailable "));
        assert_eq!(login(&jwt), granted("z"));
        assert_eq!(provider.hits("/jwks"), hits + 2);
        provider.fault("/jwks", Fault::Status(500));
        let unknown = provider.mint_with_unknown_kid(&json!({}));
        for _ in 0..2 {
            assert_eq!(login(&unknown), failed("get keys failed: 500 Internal Server Error "));
        }
        provider.clear_faults();
        assert_eq!(login(&jwt), granted("z"));
        assert_eq!(login(&unknown).0, 400);
    });
}

#[test]
fn a_client_certificate_logs_in_where_its_ca_has_a_role() {
    on(Kind::OpenBao, "a_client_certificate_logs_in", |server| {
        let mount = &unique();
        server.enable_auth("", mount, "cert");
        server.write_cert_role("", mount, "app", "z", &certs().ca.certificate, &json!({}));
        let login = |client: Option<&Pair>| {
            let url = format!("{}/v1/auth/{mount}/login", server.addr(Listener::Tls));
            let mut answer = agent(client).post(url).send(r#"{"name":"app"}"#).expect("an answer");
            let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string().expect("a body"));
            outcome(&Answer { status, location: None, text })
        };
        assert_eq!(login(Some(&certs().client)), granted("z"));
        assert_eq!(login(None), refused("no client certificate found"));
        let unknown = "invalid certificate or no client certificate supplied";
        assert_eq!(login(Some(&certs().stranger_client)), refused(unknown));
        let misused = "failed to verify client's certificate: x509: certificate specifies an incompatible key usage";
        assert_eq!(login(Some(&certs().good)), (500, json!([misused])));
        let plain = server.login("", mount, &json!({"name": "app"}));
        assert_eq!(outcome(&plain), refused("no client certificate found"));
    });
}

/// A client of the listeners that shows this certificate.
pub(crate) fn agent(client: Option<&Pair>) -> ureq::Agent {
    let ca = Certificate::from_pem(certs().ca.certificate.as_bytes()).expect("a CA");
    let client = client.map(|pair| {
        let certificate = Certificate::from_pem(pair.certificate.as_bytes()).expect("a certificate");
        let key = PrivateKey::from_pem(pair.key.as_bytes()).expect("a key");
        ClientCert::new_with_certs(&[certificate], key)
    });
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[ca])).client_cert(client).build();
    ureq::Agent::config_builder().tls_config(tls).proxy(None).http_status_as_error(false).build().into()
}
