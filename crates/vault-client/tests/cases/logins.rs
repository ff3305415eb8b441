//! Every login on the real server: from the environment and from a builder, and how the keeper goes on with each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use vault_client::{
    AppRole, Cert, Credential, ErrorKind, Identity, Jwt, Limits, Login, NoLogin, Revoked, Secret, Tls, Token,
    VaultClient, VaultClientBuilder,
};
use vault_testkit::certs::certs;
use vault_testkit::jwt::Signer;
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::scratch;
use vault_testkit::server::{Keys, Listener, Lockout};

use crate::support::{Corner, example, proxy, with_corner};

/// Limits under which a fault is over soon.
fn quick() -> Limits {
    let [request, delay, whole] = [2000, 50, 4000].map(Duration::from_millis);
    Limits { request, delay, whole, retries: 0, ..Limits::default() }
}

/// A client that logs in so, and nothing else.
fn client(corner: &Corner, login: impl Login + 'static) -> VaultClient {
    corner.builder().login(login).limits(quick()).build().expect("a client")
}

fn file(corner: &Corner, name: &str, text: &str) -> PathBuf {
    let path = scratch(&corner.name).join(name);
    std::fs::write(&path, text).expect("a file is written");
    path
}

fn write_secret(corner: &Corner) {
    corner.server.write_secret("", &corner.name, "a", &json!({"K": "v"}));
}

/// It reads, and its token is gone at its end.
fn reads_and_ends(corner: &Corner, client: &VaultClient) {
    write_secret(corner);
    assert_eq!(client.kv_read(&corner.name, "a").unwrap().text("K"), Some("v"));
    assert_eq!(client.close(), Revoked::Yes);
    assert_eq!(corner.live_tokens(), 0);
}

/// An AppRole mount with the role `r`, and its role id.
fn approle(corner: &Corner) -> String {
    corner.server.enable_auth("", &corner.name, "approle");
    corner.server.set_lockout("", &corner.name, Lockout::Off);
    corner.server.write_approle("", &corner.name, "r", &corner.name, &json!({}))
}

fn secret_id(corner: &Corner) -> String {
    corner.server.create_secret_id("", &corner.name, "r", &json!({}))
}

fn approle_login(corner: &Corner, role_id: &str, secret_id: Credential) -> AppRole {
    let (mount, role_id) = (corner.name.clone(), Secret::new(role_id));
    AppRole { mount, role_id, secret_id: Some(secret_id), revoke: true }
}

/// A mount that takes the JWTs of this key.
fn jwt_mount(corner: &Corner, signer: &Signer) {
    corner.server.enable_jwt("", &corner.name, Keys::Static(&signer.public_key()));
    corner.server.write_jwt_role("", &corner.name, "r", &corner.name, &json!({}));
}

fn jwt_login(corner: &Corner, jwt: Credential) -> Jwt {
    Jwt { mount: corner.name.clone(), role: Some("r".into()), jwt, revoke: true }
}

fn logins(corner: &Corner) -> usize {
    corner.count(&format!("auth/{}/login", corner.name))
}

/// Runs the example `from_env` with these settings and no other, and returns what it says.
fn from_env(corner: &Corner, settings: &[(&str, &str)]) -> String {
    let mut command = Command::new(example("from_env"));
    command.args([&corner.name, "a"]).env_clear().env("VAULT_ADDR", corner.server.addr(Listener::Plain));
    let output = command.envs(settings.iter().copied()).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    format!("{}{}", text(output.stdout), text(output.stderr)).replace(&corner.name, "NAME")
}

const READ: &str = "NAME/a, version 1:\n  K\n";

#[test]
fn each_login_is_one_of_the_environment() {
    with_corner("each_login_is_one_of_the_environment", |corner| {
        write_secret(corner);
        let (role_id, mount) = (approle(corner), ("VAULT_AUTH_MOUNT", corner.name.as_str()));
        let secret = secret_id(corner);
        let in_file = file(corner, "secret-id", &format!("{secret}\n")).display().to_string();
        for settings in [
            [("VAULT_APPROLE_ROLE_ID", role_id.as_str()), ("VAULT_APPROLE_SECRET_ID", &secret), mount],
            [("VAULT_APPROLE_ROLE_ID", &role_id), ("VAULT_APPROLE_SECRET_ID_FILE", &in_file), mount],
            [("VAULT_ROLE_ID", &role_id), ("VAULT_SECRET_ID", &secret), mount],
        ] {
            assert_eq!(from_env(corner, &settings), READ);
        }
        let wrapped = corner.server.wrapped_secret_id("", &corner.name, "r", &json!({}), 300);
        let ids = [("VAULT_APPROLE_ROLE_ID", role_id.as_str()), ("VAULT_APPROLE_SECRET_ID", &wrapped), mount];
        assert_eq!(from_env(corner, &[&ids[..], &[("VAULT_UNWRAP", "true")]].concat()), READ);
        assert_eq!(corner.live_tokens(), 0);
    });
    with_corner("a_jwt_is_one_of_the_environment", |corner| {
        let signer = Signer::default();
        jwt_mount(corner, &signer);
        write_secret(corner);
        let settings = [("VAULT_AUTH_MOUNT", corner.name.as_str()), ("VAULT_ROLE", "r")];
        let jwt = signer.sign(&json!({}));
        let in_file = file(corner, "jwt", &jwt).display().to_string();
        for jwt in [("VAULT_JWT", jwt.as_str()), ("VAULT_JWT_FILE", &in_file)] {
            assert_eq!(from_env(corner, &[&settings[..], &[jwt]].concat()), READ);
        }
        assert_eq!((logins(corner), corner.live_tokens()), (2, 0));
    });
    with_corner("a_certificate_is_one_of_the_environment", |corner| {
        cert_mount(corner);
        write_secret(corner);
        let address = corner.server.addr(Listener::Tls);
        let path = |path: &Path| path.display().to_string();
        let [ca, certificate, key] =
            [&certs().ca.certificate_file, &certs().client.certificate_file, &certs().client.key_file]
                .map(|it| path(it));
        let tls = [("VAULT_ADDR", address.as_str()), ("VAULT_CACERT", &ca), ("VAULT_CLIENT_CERT", &certificate)];
        let settings = [("VAULT_CLIENT_KEY", key.as_str()), ("VAULT_AUTH_MOUNT", &corner.name)];
        assert_eq!(from_env(corner, &[&tls[..], &settings, &[("VAULT_AUTH_METHOD", "cert")]].concat()), READ);
        assert_eq!((logins(corner), corner.live_tokens()), (1, 0));
    });
    with_corner("none_is_one_of_the_environment", |corner| {
        let token = corner.server.create_token("", &json!({"policies": [corner.name], "ttl": "10m"}));
        write_secret(corner);
        let agent = proxy::adding(&corner.server.addr(Listener::Plain), &token);
        assert_eq!(from_env(corner, &[("VAULT_ADDR", &agent.url), ("VAULT_AUTH_METHOD", "none")]), READ);
        assert_eq!((agent.tokens_seen(), corner.live_tokens()), (0, 1));
    });
}

#[test]
fn a_builder_takes_each_login() {
    with_corner("a_builder_takes_each_login", |corner| {
        let role_id = approle(corner);
        let given = Credential::given(Secret::new(secret_id(corner)));
        reads_and_ends(corner, &client(corner, approle_login(corner, &role_id, given)));
        let in_file = Credential::file(file(corner, "secret-id", &secret_id(corner)));
        reads_and_ends(corner, &client(corner, approle_login(corner, &role_id, in_file)));
    });
    with_corner("a_builder_takes_a_jwt", |corner| {
        let signer = Signer::default();
        jwt_mount(corner, &signer);
        let jwt = signer.sign(&json!({}));
        reads_and_ends(corner, &client(corner, jwt_login(corner, Credential::given(Secret::new(jwt.as_str())))));
        let in_file = file(corner, "jwt", &jwt);
        reads_and_ends(corner, &client(corner, jwt_login(corner, Credential::file(&in_file))));
        let address = corner.server.addr(Listener::Plain);
        let by_name = VaultClient::builder().address(&address).auth_method("jwt").auth_mount(&corner.name);
        let by_name = by_name.role("r").jwt_file(&in_file).ignore_environment();
        reads_and_ends(corner, &by_name.build().expect("a client"));
    });
}

#[test]
fn a_refused_secret_id_is_not_tried_again_until_its_file_holds_another() {
    with_corner("a_refused_secret_id_is_not_tried_again_until_its_file_holds_another", |corner| {
        let role_id = approle(corner);
        let path = file(corner, "secret-id", "a-wrong-secret-id");
        let client = client(corner, approle_login(corner, &role_id, Credential::file(&path)));
        for _ in 0..5 {
            assert_eq!(client.token().unwrap_err().kind(), ErrorKind::Denied);
        }
        assert_eq!(logins(corner), 1);
        // Written anew, and no other one. A second later it could be tried again.
        replace(&path, "a-wrong-secret-id\n");
        let end = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < end {
            assert_eq!(client.token().unwrap_err().kind(), ErrorKind::Denied);
        }
        assert_eq!(logins(corner), 1);
        replace(&path, &secret_id(corner));
        vault_testkit::eventually("the new secret id is used", || client.token().is_ok());
        assert_eq!(logins(corner), 2);
        reads_and_ends(corner, &client);
    });
}

#[test]
fn a_refused_secret_id_that_was_given_is_never_tried_again() {
    with_corner("a_refused_secret_id_that_was_given_is_never_tried_again", |corner| {
        let role_id = approle(corner);
        let wrong = Credential::given(Secret::new("a-wrong-secret-id"));
        let client = corner.builder().login(approle_login(corner, &role_id, wrong));
        let client = client.limits(Limits { retries: 5, wait: Duration::from_secs(2), ..quick() }).build().unwrap();
        for _ in 0..5 {
            let refused = client.token().unwrap_err();
            assert_eq!(
                (refused.kind(), refused.status(), refused.is_retryable()),
                (ErrorKind::Denied, Some(400), false)
            );
        }
        assert_eq!(logins(corner), 1);
    });
}

/// Puts another file in its place, as a writer does who knows that it is read.
fn replace(path: &Path, text: &str) {
    let written = path.with_extension("new");
    std::fs::write(&written, text).expect("a file is written");
    std::fs::rename(written, path).expect("it is put in place");
}

#[test]
fn a_jwt_that_was_renewed_in_its_file_is_used_at_the_next_login() {
    with_corner("a_jwt_that_was_renewed_in_its_file_is_used_at_the_next_login", |corner| {
        let signer = Signer::default();
        jwt_mount(corner, &signer);
        let path = file(corner, "jwt", &signer.sign(&json!({})));
        let client = client(corner, jwt_login(corner, Credential::file(&path)));
        client.token().unwrap();
        // Of nobody's: whoever logs in with it again is refused.
        replace(&path, &Signer::default().sign(&json!({})));
        corner.revoke_tokens();
        assert_eq!(client.kv_read(&corner.name, "a").unwrap_err().kind(), ErrorKind::Denied);
        replace(&path, &signer.sign(&json!({"sub": "renewed"})));
        write_secret(corner);
        vault_testkit::eventually("the new JWT is used", || client.kv_read(&corner.name, "a").is_ok());
        assert_eq!(logins(corner), 3);
        reads_and_ends(corner, &client);
    });
}

#[test]
fn a_real_provider_vouches_for_a_jwt_by_its_keys_and_by_discovery() {
    let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
    for keys in [Keys::Jwks(&provider.jwks_url()), Keys::Discovery(provider.issuer())] {
        with_corner("a_real_provider_vouches_for_a_jwt", |corner| {
            corner.server.enable_jwt("", &corner.name, keys);
            corner.server.write_jwt_role("", &corner.name, "r", &corner.name, &json!({}));
            let jwt = |jwt: String| client(corner, jwt_login(corner, Credential::given(Secret::new(jwt))));
            reads_and_ends(corner, &jwt(provider.mint(&json!({}))));
            for refused in [provider.mint_forged(&json!({})), provider.mint_with_unknown_kid(&json!({}))] {
                let error = jwt(refused.clone()).token().unwrap_err();
                assert_eq!((error.kind(), error.status()), (ErrorKind::Denied, Some(400)), "{error}");
                assert!(!format!("{error} {error:?}").contains(&refused), "{error}");
            }
        });
    }
}

/// A mount that trusts the test CA.
fn cert_mount(corner: &Corner) {
    corner.server.enable_auth("", &corner.name, "cert");
    let role = json!({"token_ttl": "400s"});
    corner.server.write_cert_role("", &corner.name, "r", &corner.name, &certs().ca.certificate, &role);
}

/// A client over TLS that shows the client certificate.
fn showing(corner: &Corner) -> VaultClientBuilder {
    cert_mount(corner);
    let (client, ca) = (&certs().client, certs().ca.certificate.as_bytes());
    let identity = Identity::from_pem(client.certificate.as_bytes(), client.key.as_bytes()).expect("an identity");
    let roots = Some(vault_client::options::tls::roots(ca).expect("a CA"));
    let tls = Tls { roots, identity: Some(identity), ..Tls::default() };
    let login = Cert { mount: corner.name.clone(), role: Some("r".into()), revoke: true };
    VaultClient::builder().address(&corner.server.addr(Listener::Tls)).tls(tls).login(login).ignore_environment()
}

#[test]
fn a_certificates_token_is_renewed_over_the_same_certificate() {
    with_corner("a_certificates_token_is_renewed_over_the_same_certificate", |corner| {
        let client = showing(corner).limits(quick()).build().unwrap();
        client.token().unwrap();
        let renewed = client.renew().unwrap();
        assert!(renewed.renewable && renewed.lease_duration > Duration::from_secs(300), "{renewed:?}");
        assert_eq!((logins(corner), corner.count("renew-self")), (1, 1));
        reads_and_ends(corner, &client);
    });
}

#[test]
fn a_wrapped_secret_id_is_unwrapped_once_and_used_for_later_logins() {
    with_corner("a_wrapped_secret_id_is_unwrapped_once_and_used_for_later_logins", |corner| {
        let role_id = approle(corner);
        let token = corner.server.wrapped_secret_id("", &corner.name, "r", &json!({}), 300);
        let path = file(corner, "wrapped", &token);
        let client = client(corner, approle_login(corner, &role_id, Credential::file(&path).wrapped()));
        client.token().unwrap();
        assert!(!is_unspent(corner, &token));
        corner.revoke_tokens();
        // Another unwrapping would be refused.
        reads_and_ends(corner, &client);
        assert_eq!(logins(corner), 2);
    });
    with_corner("a_new_wrapping_token_in_the_file_is_unwrapped_anew", |corner| {
        let role_id = approle(corner);
        let wrapped = || corner.server.wrapped_secret_id("", &corner.name, "r", &json!({}), 300);
        let (first, second) = (wrapped(), wrapped());
        let path = file(corner, "wrapped", &first);
        let client = client(corner, approle_login(corner, &role_id, Credential::file(&path).wrapped()));
        client.token().unwrap();
        assert!(!is_unspent(corner, &first) && is_unspent(corner, &second));
        replace(&path, &second);
        corner.revoke_tokens();
        reads_and_ends(corner, &client);
        assert!(!is_unspent(corner, &second));
        assert_eq!(logins(corner), 2);
    });
}

fn is_unspent(corner: &Corner, token: &str) -> bool {
    corner.server.anonymous("", "POST", "sys/wrapping/lookup", &json!({"token": token})).status == 200
}

#[test]
fn a_wrapped_token_is_ours_and_revoked_at_the_end() {
    with_corner("a_wrapped_token_is_ours_and_revoked_at_the_end", |corner| {
        let wrapped = || corner.server.wrapped_token("", &json!({"policies": [corner.name], "ttl": "10m"}), 300);
        let given = Token { token: Credential::given(Secret::new(wrapped())).wrapped(), revoke: true };
        reads_and_ends(corner, &client(corner, given));
        let path = file(corner, "wrapped", &wrapped());
        let in_file = Token { token: Credential::file(path).wrapped(), revoke: true };
        reads_and_ends(corner, &client(corner, in_file));
        // One that is used up is told, and sent once.
        let used = wrapped();
        let spent = || Token { token: Credential::given(Secret::new(used.as_str())).wrapped(), revoke: true };
        reads_and_ends(corner, &client(corner, spent()));
        let again = client(corner, spent()).token().unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Denied, "{again}");
        assert!(again.to_string().contains("the wrapping token is used up, expired or unknown"), "{again}");
        assert!(!format!("{again} {again:?}").contains(&used));
    });
}

#[test]
fn a_client_behind_an_agent_sends_no_token_and_asks_for_none() {
    with_corner("a_client_behind_an_agent_sends_no_token_and_asks_for_none", |corner| {
        let token = corner.server.create_token("", &json!({"policies": [corner.name], "ttl": "10m"}));
        write_secret(corner);
        let agent = proxy::adding(&corner.server.addr(Listener::Plain), &token);
        let client = VaultClient::builder().address(&agent.url).login(NoLogin).ignore_environment();
        let client = client.limits(quick()).build().unwrap();
        for _ in 0..3 {
            assert_eq!(client.kv_read(&corner.name, "a").unwrap().text("K"), Some("v"));
        }
        assert_eq!(client.kv_read("kv", "elsewhere").unwrap_err().kind(), ErrorKind::Denied);
        assert!(matches!(client.close(), Revoked::No(_)));
        assert_eq!(corner.live_tokens(), 1, "the agent's token is left alone");
        assert_eq!((corner.count("lookup-self"), corner.count("renew-self"), corner.count("revoke-self")), (0, 0, 0));
        assert_eq!(agent.tokens_seen(), 0);
    });
}

#[test]
fn no_debug_shows_a_credential() {
    let secret = "0c5e7a86-3d1f-4b8e-9a57-5f0f7f0f2d11";
    let given = || Credential::given(Secret::new(secret));
    let approle = AppRole { mount: "m".into(), role_id: Secret::new(secret), secret_id: Some(given()), revoke: true };
    let misplaced = AppRole {
        secret_id: Some(Credential::file(secret)),
        role_id: Secret::new(secret),
        mount: "m".into(),
        revoke: true,
    };
    let jwt = Jwt { mount: "m".into(), role: None, jwt: given().wrapped(), revoke: true };
    let token = Token { token: given(), revoke: true };
    let all: [&dyn Login; 4] = [&approle, &misplaced, &jwt, &token];
    for login in all {
        let shown = format!("{login:?} {login:#?} {}", login.step().subject());
        assert!(!shown.contains(secret), "{shown}");
    }
    let builder = VaultClient::builder().address("http://127.0.0.1:1").login(approle).ignore_environment();
    assert!(!format!("{builder:?}").contains(secret));
    assert!(!format!("{:?}", builder.build().unwrap()).contains(secret));
}
