//! Reads that bring their login along, which only the environment asks for: each test runs itself once more with it.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use vault_client::{Cas, ErrorKind, Kept, Revoked, VaultClient};
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::{Kind, Listener, Lockout, on};
use vault_testkit::tap::Tap;
use vault_testkit::{scratch, unique};

use crate::support::{self, log, with_corner};

/// The mount, in a process that was started by its own test.
const CHILD: &str = "READS_INLINE_FROM";

/// Runs the test of this name in a process of its own, with these settings.
fn run_again(test: &str, mount: &str, settings: &[(&str, &str)]) {
    support::run_again(&format!("cases::inline::{test}"), &[&[(CHILD, mount)], settings].concat());
}

/// The same with the login of a pod at `address`.
fn run_in_pod(test: &str, mount: &str, address: &str, (role, jwt): (&str, &Path), inline: &str) {
    let jwt = jwt.to_str().unwrap();
    let login = [("VAULT_ROLE", role), ("VAULT_K8S_TOKEN_PATH", jwt), ("VAULT_INLINE_AUTH", inline)];
    run_again(test, mount, &[&[("VAULT_ADDR", address)], &login[..]].concat());
}

/// The requests that a tap has seen, in any order: what each is, and whether it has a token or a login along.
fn sent(tap: &Tap) -> Vec<(String, bool, bool)> {
    let all = tap.requests().concat().into_iter().map(|request| {
        let has = |name: &str| request.iter().any(|line| line.starts_with(name));
        (request[0].clone(), has("x-vault-token:"), has("x-vault-inline-auth-path:"))
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

fn eight_read(client: &VaultClient, mount: &str) {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(client.kv_read(mount, "a").unwrap().text("K"), Some("the value")));
        }
    });
}

#[test]
fn reads_make_no_token_and_a_write_makes_one() {
    const NAME: &str = "reads_make_no_token_and_a_write_makes_one";
    if let Ok(mount) = std::env::var(CHILD) {
        log::collect();
        let client = VaultClient::from_env().unwrap();
        eight_read(&client, &mount);
        assert_eq!(client.kv_read(&mount, "none").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(client.kv_read("elsewhere", "a").unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(client.close(), Revoked::No(Kept::NoToken));
        assert_eq!(client.kv_read(&mount, "a").unwrap_err().kind(), ErrorKind::Closed);

        let client = VaultClient::from_env().unwrap();
        client.kv(&mount).write("b", &json!({"K": "v"}), Cas::New).unwrap();
        eight_read(&client, &mount);
        assert_eq!(client.close(), Revoked::Yes);

        let jwt = std::fs::read_to_string(std::env::var("VAULT_K8S_TOKEN_PATH").unwrap()).unwrap();
        let parameter = BASE64_URL_SAFE_NO_PAD.encode(json!({"key": "jwt", "value": jwt}).to_string());
        assert!(!log::lines_with("ureq").is_empty());
        for secret in [&jwt, &parameter, &parameter[..40]] {
            assert_eq!(log::lines_with(secret), Vec::<String>::new());
        }
        return;
    }
    with_corner(NAME, |corner| {
        corner.server.write_secret("", &corner.name, "a", &json!({"K": "the value"}));
        let tap = Tap::before(&corner.server.addr(Listener::Plain));
        let (address, login) = (format!("http://{}", tap.authority()), corner.login());
        run_in_pod(NAME, &corner.name, &address, (&login.role, &login.jwt), "true");
        let name = &corner.name;
        let read = (format!("GET /v1/{name}/data/a"), false, true);
        let one = |line: String, token, inline| (line, token, inline);
        let mut wanted = vec![read; 16];
        wanted.extend([
            one("GET /v1/elsewhere/data/a".to_owned(), false, true),
            one(format!("GET /v1/{name}/data/none"), false, true),
            one(format!("GET /v1/sys/internal/ui/mounts/{name}"), true, false),
            one("POST /v1/auth/kubernetes/login".to_owned(), false, false),
            one("POST /v1/auth/token/revoke-self".to_owned(), true, false),
            one(format!("POST /v1/{name}/data/b"), true, false),
        ]);
        wanted.sort();
        assert_eq!(sent(&tap), wanted);
        assert_eq!(corner.live_tokens(), 0);
    });
}

#[test]
fn auto_is_an_ordinary_login_here() {
    const NAME: &str = "auto_is_an_ordinary_login_here";
    if let Ok(mount) = std::env::var(CHILD) {
        let client = VaultClient::from_env().unwrap();
        eight_read(&client, &mount);
        assert_eq!(client.close(), Revoked::Yes);
        return;
    }
    with_corner(NAME, |corner| {
        corner.server.write_secret("", &corner.name, "a", &json!({"K": "the value"}));
        let tap = Tap::before(&corner.server.addr(Listener::Plain));
        let (address, login) = (format!("http://{}", tap.authority()), corner.login());
        run_in_pod(NAME, &corner.name, &address, (&login.role, &login.jwt), "auto");
        let mut wanted = vec![(format!("GET /v1/{}/data/a", corner.name), true, false); 8];
        wanted.push(("POST /v1/auth/kubernetes/login".to_owned(), false, false));
        wanted.push(("POST /v1/auth/token/revoke-self".to_owned(), true, false));
        wanted.sort();
        assert_eq!(sent(&tap), wanted);
    });
}

/// Two wrong ones lock the role here, and eight threads begin at once.
#[test]
fn a_refused_secret_id_is_not_sent_again_until_its_file_changes() {
    const NAME: &str = "a_refused_secret_id_is_not_sent_again_until_its_file_changes";
    if let Ok(mount) = std::env::var(CHILD) {
        let client = VaultClient::from_env().unwrap();
        for _ in 0..2 {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let error = client.kv_read(&mount, "a").unwrap_err();
                        assert_eq!((error.kind(), error.status()), (ErrorKind::Denied, Some(400)));
                    });
                }
            });
        }
        let file = std::env::var("VAULT_APPROLE_SECRET_ID_FILE").unwrap();
        // Another file with the same one is looked at, a second later too, and not sent.
        let begun = std::time::Instant::now();
        std::fs::write(&file, "wrong").unwrap();
        vault_testkit::eventually("a login may be sent again", || {
            assert_eq!(client.kv_read(&mount, "a").unwrap_err().kind(), ErrorKind::Denied);
            begun.elapsed() > std::time::Duration::from_millis(1500)
        });
        std::fs::rename(format!("{file}.right"), &file).unwrap();
        vault_testkit::eventually("the right one is sent", || client.kv_read(&mount, "a").is_ok());
        eight_read(&client, &mount);
        // A refusal that is over is not remembered.
        std::fs::write(&file, "wrong again").unwrap();
        assert_eq!(client.kv_read(&mount, "a").unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(client.close(), Revoked::No(Kept::NoToken));
        return;
    }
    on(Kind::OpenBao, NAME, |server| {
        let name = unique();
        server.mount_kv("", &name, 2);
        server.write_secret("", &name, "a", &json!({"K": "the value"}));
        server.write_policy("", &name, &format!("path \"{name}/*\" {{ capabilities = [\"read\"] }}"));
        server.enable_auth("", &name, "approle");
        server.set_lockout("", &name, Lockout::After(2));
        let role_id = server.write_approle("", &name, &name, &name, &json!({}));
        let file = scratch(&name).join("secret-id");
        std::fs::write(&file, "wrong").unwrap();
        let right = server.create_secret_id("", &name, &name, &json!({}));
        std::fs::write(file.with_extension("right"), right).unwrap();
        let tap = Tap::before(&server.addr(Listener::Plain));
        let address = format!("http://{}", tap.authority());
        let settings = [
            ("VAULT_ADDR", address.as_str()),
            ("VAULT_AUTH_METHOD", "approle"),
            ("VAULT_AUTH_MOUNT", &name),
            ("VAULT_APPROLE_ROLE_ID", &role_id),
            ("VAULT_APPROLE_SECRET_ID_FILE", file.to_str().unwrap()),
            ("VAULT_INLINE_AUTH", "true"),
        ];
        run_again(NAME, &name, &settings);
        // One that is wrong, nine that are right, one that is wrong.
        let wanted = vec![(format!("GET /v1/{name}/data/a"), false, true); 11];
        assert_eq!(sent(&tap), wanted);
    });
}

#[test]
fn a_server_that_takes_no_notice_is_an_error_and_one_that_cannot_is_asked_for_a_token() {
    const NAME: &str = "a_server_that_takes_no_notice_is_an_error_and_one_that_cannot_is_asked_for_a_token";
    if std::env::var(CHILD).is_ok() {
        let client = VaultClient::from_env().unwrap();
        let error = client.kv_read("kv", "shop/app").unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(403)));
        assert_eq!(client.kv_read("kv", "shop/app").unwrap().text("A"), Some("a-raw-secret"));
        assert_eq!(client.close(), Revoked::Yes);
        return;
    }
    let denied = Reply::json(403, &json!({"errors": ["permission denied"]}));
    let broken = Reply::json(500, &json!({"errors": ["internal error"]}));
    let raw = Raw::start([(READ, vec![denied, broken, Reply::secret(r#"{"A":"a-raw-secret"}"#)])]);
    let jwt = scratch(&unique()).join("jwt");
    std::fs::write(&jwt, vault_testkit::jwt::Jwt::default().encode()).unwrap();
    run_in_pod(NAME, "kv", &raw.addr(), ("shop", &jwt), "true");
    let read = "GET kv/data/shop/app";
    raw.expect_requests([read, read, "POST auth/kubernetes/login", read, "POST auth/token/revoke-self"]);
}

#[test]
fn what_a_server_repeats_of_a_login_that_came_along_is_in_no_error() {
    const NAME: &str = "what_a_server_repeats_of_a_login_that_came_along_is_in_no_error";
    let parameter = |jwt: &str| BASE64_URL_SAFE_NO_PAD.encode(json!({"key": "jwt", "value": jwt}).to_string());
    if std::env::var(CHILD).is_ok() {
        let jwt = std::fs::read_to_string(std::env::var("VAULT_K8S_TOKEN_PATH").unwrap()).unwrap();
        let error = VaultClient::from_env().unwrap().kv_read("kv", "shop/app").unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Rejected, Some(400)));
        for secret in [jwt.as_str(), &parameter(&jwt)[..60]] {
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
        return;
    }
    let jwt = vault_testkit::jwt::Jwt::default().encode();
    let file = scratch(&unique()).join("jwt");
    std::fs::write(&file, &jwt).unwrap();
    let body = json!({"errors": [format!("no {jwt} in {}", parameter(&jwt))]}).to_string();
    let refused = Reply::with(400, "X-Vault-Inline-Auth-Failed: true\r\n", body.as_bytes());
    let raw = Raw::start([(READ, vec![refused])]);
    run_in_pod(NAME, "kv", &raw.addr(), ("shop", &file), "true");
    raw.expect_requests(["GET kv/data/shop/app"]);
}
