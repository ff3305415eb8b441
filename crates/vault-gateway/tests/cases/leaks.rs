//! Nothing that is secret comes out anywhere: values, tokens and bodies go in at every place, with every fault, and then
//! all that the service has said is searched.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::eventually;
use vault_testkit::raw::{LOGIN, LOOK_UP, Raw, Reply as Scripted, TOKEN};
use vault_testkit::server::{Kind, Listener, on};

use crate::support::between::{Between, Way};
use crate::support::gateway::{Gateway, Reply};
use crate::support::issuer::Issuer;
use crate::support::keys::KeyServer;
use crate::support::wire::exchange;
use crate::support::{Corner, Tables};

/// Part of each value that is sent. It has what JSON escapes on either side, so that it is found however it is written.
const VALUE: &str = "Zq7-leaked-value-Xv9";
/// The same in plain words, which nothing takes for a secret and hides.
const WORDS: &str = "a zebra was leaked";

/// What must not be found, by its name.
type Secrets = BTreeMap<&'static str, String>;

/// What was heard of the service, by where.
#[derive(Default)]
struct Heard(Vec<(String, String)>);

impl Heard {
    /// An answer that is no secret of the caller's own.
    fn answer(&mut self, place: &str, reply: &Reply) {
        self.0.push((place.to_owned(), format!("{:?}\n{}", reply.headers, reply.text)));
    }

    /// The same, which must have this status.
    fn refusal(&mut self, place: &str, reply: &Reply, status: u16) {
        assert_eq!(reply.status, status, "{place}: {}", reply.text);
        self.answer(place, reply);
    }

    /// All that the gateway says of itself.
    fn all_of(&mut self, gateway: &Gateway, corner: &Corner) {
        for path in ["/metrics", "/ready", "/health", "/openapi.json", "/docs", "/nowhere"] {
            self.answer(path, &gateway.operate(path));
        }
        self.0.push(("log".to_owned(), gateway.log().join("\n")));
        let audit = fs::read_to_string(corner.folder.join("audit.log")).expect("a file");
        self.0.push(("audit".to_owned(), audit));
    }

    /// Fails with the place of each secret that was heard.
    fn holds_none_of(&self, secrets: &Secrets) {
        for (name, secret) in secrets {
            for form in forms(secret) {
                for (place, text) in &self.0 {
                    assert!(!text.contains(&form), "{name} is in {place}: {text}");
                }
            }
        }
    }
}

/// What a text looks like where it is written down: as it is, and in base64, where it may begin at any of three bits.
fn forms(secret: &str) -> Vec<String> {
    let encoded = (0..3).map(|shift| {
        let text = STANDARD_NO_PAD.encode([&b"xxx"[..shift], secret.as_bytes()].concat());
        // The first and the last letters depend on what stands beside it.
        text[4..text.len() - 4].to_owned()
    });
    encoded.chain([secret.to_owned()]).collect()
}

#[test]
fn what_is_searched_for_is_found_in_base64_wherever_it_begins() {
    for before in ["", "a", "ab", "abc", "abcd"] {
        let text = STANDARD_NO_PAD.encode(format!("{before}{VALUE}and more"));
        assert!(forms(VALUE).iter().any(|form| text.contains(form)), "{before}");
    }
}

/// The parts of a token that are secret: its signature, and so the whole.
fn signature(token: &str) -> String {
    token.rsplit('.').next().expect("a part").to_owned()
}

/// The configuration with the log at its most, a schema, a tight limit, and no cache.
fn loud(corner: &Corner) -> Tables {
    let schema = json!({"type": "object", "properties": {"port": {"type": "integer"}, "kind": {"enum": ["a"]}}});
    fs::write(corner.folder.join("schema.json"), schema.to_string()).expect("a file");
    let mut tables = corner.tables();
    tables.top.push_str("log = \"trace\"\n");
    tables.more = "[[schema]]\npaths = [\"strict\"]\nfile = \"schema.json\"\nmax_value_bytes = 64\n\
                   [limits]\nbody_bytes = 2000\nrequest = \"1s\"\n"
        .into();
    tables
}

fn body() -> Value {
    json!({"K": format!("\"{VALUE}\\\u{e9}\n"), VALUE: {"deep": [VALUE]}, WORDS: [WORDS]})
}

/// What goes well, on a real server, and what is refused without Vault.
fn usual_requests(gateway: &Gateway, corner: &Corner, heard: &mut Heard) {
    let (admin, reader) = (corner.token("admin"), corner.token("reader"));
    let text = body().to_string();
    for (request, body, status) in [
        ("PUT /vault/secrets/shared/a", Some(&*text), 201),
        ("PUT /vault/secrets/shared/a", Some(&text), 200),
        ("GET /vault/versions/shared/a", None, 200),
        ("GET /vault/list/shared", None, 200),
        ("POST /vault/versions/shared/a/rollback", Some(r#"{"to":1}"#), 200),
        ("POST /vault/versions/shared/a/destroy", Some(r#"{"versions":[1]}"#), 204),
        ("POST /vault/token/renew", None, 200),
        ("POST /vault/versions/shared/a/rollback", Some(&text), 400),
        ("POST /vault/versions/shared/a/undelete", Some(&text), 400),
        (
            "PUT /vault/secrets/strict",
            Some(&format!("{{\"port\":\"{VALUE}\",\"kind\":\"{VALUE}\",\"x\":\"{VALUE}{VALUE}{VALUE}{VALUE}\"}}")),
            422,
        ),
        ("PUT /vault/secrets/a", Some(&format!("{{\"{VALUE}\":")), 400),
        ("PUT /vault/secrets/a", Some(&format!("[\"{VALUE}\"]")), 400),
        ("PUT /vault/secrets/a", Some(&format!("{{\"{VALUE}\":1,\"{VALUE}\":2}}")), 400),
        ("PUT /vault/secrets/a", Some(&format!("{{\"a\":\"{}\"}}", VALUE.repeat(200))), 413),
        ("GET /vault/secrets/never/there", None, 404),
        ("GET /vault/secrets/shared/a?version=1", None, 404),
    ] {
        heard.refusal(request, &gateway.send(request, &admin, &[], body), status);
    }
    let patch = [("Content-Type", "application/merge-patch+json")];
    let patched = gateway.send("PATCH /vault/secrets/shared/a", &admin, &patch, Some(&text));
    heard.refusal("PATCH", &patched, 200);
    let patched = gateway.send("PATCH /vault/secrets/shared/a", &admin, &[], Some(&text));
    heard.refusal("PATCH of another type", &patched, 415);
    heard.refusal("PUT of another", &gateway.send("PUT /vault/secrets/shared/a", &reader, &[], Some(&text)), 403);
    let conditions = [("If-Match", "\"77\"")];
    heard.refusal("PUT on top of", &gateway.send("PUT /vault/secrets/shared/a", &admin, &conditions, Some(&text)), 412);
    heard.refusal("GET of a tag", &gateway.send("GET /vault/secrets/shared/a", &admin, &conditions, None), 412);
    // The caller's own values come out here, and nowhere else.
    for _ in 0..2 {
        assert!(gateway.ask("GET /vault/secrets/shared/a", &reader).text.contains(VALUE));
    }
}

/// Tokens at all places where they do not belong, and tokens that are refused.
fn tokens_everywhere(gateway: &Gateway, corner: &Corner, heard: &mut Heard, secrets: &mut Secrets) {
    let good = corner.token("admin");
    let forged = Issuer::new("https://idp.example").token(&json!({"tenant": "team-a", "roles": "admin"}));
    let expired = corner.issuer.token(&json!({"exp": 1, "tenant": "team-a", "note": VALUE}));
    let elsewhere = corner.issuer.token(&json!({"tenant": VALUE, "roles": "admin"}));
    for (place, token, status) in [
        ("a forged token", &forged, 401),
        ("an expired token", &expired, 401),
        ("a token of no tenant", &elsewhere, 403),
        ("two tokens in one", &format!("{good} {good}"), 401),
    ] {
        heard.refusal(place, &gateway.ask("GET /vault/secrets/a", token), status);
    }
    for (place, target, headers, status) in [
        ("the query", format!("/vault/list?access_token={good}"), vec![], 401),
        (
            "the query beside a token",
            format!("/vault/list?access_token={good}"),
            vec![("Authorization", format!("Bearer {good}"))],
            400,
        ),
        ("Basic", "/vault/list".to_owned(), vec![("Authorization", format!("Basic {good}"))], 401),
        ("a cookie", "/vault/list".to_owned(), vec![("Cookie", format!("token={good}"))], 401),
        ("Vault's header", "/vault/list".to_owned(), vec![("X-Vault-Token", good.clone())], 401),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        heard.refusal(place, &gateway.send(&format!("GET {target}"), "", &headers, None), status);
    }
    for (place, lines) in [
        (
            "two headers",
            format!("GET /vault/list HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {good}\r\nAuthorization: {good}"),
        ),
        ("another version", format!("GET /vault/list HTTP/9.9\r\nAuthorization: Bearer {good}")),
        ("no method", good.clone()),
        (
            "a long head",
            format!("GET /vault/list HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {good}\r\nX: {}", VALUE.repeat(2000)),
        ),
    ] {
        let sent = format!("{lines}\r\nConnection: close\r\n\r\n");
        heard.0.push((place.to_owned(), exchange(gateway.listen, sent.as_bytes())));
    }
    secrets.extend([
        ("the caller's token", signature(&good)),
        ("a forged token", signature(&forged)),
        ("an expired token", signature(&expired)),
        ("a token of no tenant", signature(&elsewhere)),
    ]);
}

/// A caller that leaves in the middle of its body.
fn leave_early(gateway: &Gateway, corner: &Corner) {
    let mut stream = TcpStream::connect(gateway.listen).expect("a connection");
    let head = format!(
        "PUT /vault/secrets/early HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"{VALUE}\":",
        corner.token("admin")
    );
    stream.write_all(head.as_bytes()).expect("it is taken");
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = stream.read_to_end(&mut Vec::new());
    let noted = || corner.audit().iter().any(|line| line["path"] == json!("early"));
    eventually("its line is there", noted);
}

#[test]
fn no_value_and_no_token_is_in_what_the_service_says_beside_the_answers_to_reads() {
    on(Kind::OpenBao, "no_value_and_no_token_is_in_what_the_service_says_beside_the_answers_to_reads", |server| {
        let corner = Corner::of(server);
        let between = Between::before(&server.addr(Listener::Plain));
        let keys = KeyServer::of(&[&corner.issuer]);
        let mut tables = loud(&corner);
        let bearer = format!("{VALUE}-bearer");
        fs::write(corner.folder.join("bearer"), &bearer).expect("a file");
        let folder = corner.folder.display();
        tables.issuer = tables.issuer.replace(&format!("file:{folder}/jwks.json"), &keys.url)
            + &format!("token_file = \"{folder}/bearer\"\n");
        let gateway = Gateway::start(&corner.write(&tables), &between.url);
        let (mut heard, mut secrets) =
            (Heard::default(), Secrets::from([("a value", VALUE.to_owned()), ("words", WORDS.to_owned())]));
        usual_requests(&gateway, &corner, &mut heard);
        tokens_everywhere(&gateway, &corner, &mut heard, &mut secrets);
        leave_early(&gateway, &corner);
        // An issuer that says again what it was asked.
        keys.echo();
        let unknown = Issuer::with_kid("https://idp.example", "unknown").token(&json!({}));
        heard.refusal("an unknown key", &gateway.ask("GET /vault/list", &unknown), 401);
        // Vault without an answer, and Vault that refuses the tenant.
        let admin = corner.token("admin");
        for (way, status) in [(Way::Swallow, 504), (Way::Cut, 504)] {
            between.treat(&format!(" /v1/{}/data/", corner.name), way);
            let reply = gateway.put("PUT /vault/secrets/a", &admin, &body());
            heard.refusal(&format!("{way:?}"), &reply, status);
            between.release();
        }
        server.write_policy("", &corner.name, "path \"elsewhere\" { capabilities = [\"read\"] }");
        heard.refusal("a refused path", &gateway.put("PUT /vault/secrets/a", &admin, &body()), 403);
        gateway.signal(Signal::SIGHUP);
        eventually("it is read again", || gateway.metric("vault_gateway_config_reloads_total{result=\"ok\"}") == 1);
        heard.all_of(&gateway, &corner);
        let tokens = between.headers("x-vault-token");
        let account = fs::read_to_string(corner.folder.join("jwt")).expect("a file");
        secrets.extend([("the tenant's token", tokens[0].clone()), ("the bearer for keys", bearer)]);
        secrets.insert("the service account's token", account.split('.').nth(1).expect("claims").to_owned());
        heard.holds_none_of(&secrets);
    });
}

#[test]
fn what_vault_says_in_its_errors_is_not_said_again() {
    on(Kind::Embedded, "what_vault_says_in_its_errors_is_not_said_again", |server| {
        let corner = Corner::of(server);
        let account = fs::read_to_string(corner.folder.join("jwt")).expect("a file");
        let tables = loud(&corner);
        let quoted = json!({"errors": [WORDS, VALUE, TOKEN], "data": {"data": VALUE}, "warnings": [WORDS, VALUE]});
        let metadata = json!({"version": VALUE, "created_time": VALUE});
        let mut scripts: Vec<(&str, Scripted)> = [400, 403, 404, 405, 412, 413, 429, 472, 473, 500, 502, 503]
            .map(|status| ("an error", Scripted::json(status, &quoted)))
            .into();
        scripts.extend([400, 403, 500].map(|status| ("an echo", Scripted::Echo(status))));
        scripts.extend([
            ("no JSON", Scripted::with(200, "Content-Type: text/html\r\n", format!("<p>{VALUE}").as_bytes())),
            (
                "half of it",
                Scripted::Last(
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{{\"data\":\"{VALUE}").into_bytes(),
                ),
            ),
            ("no answer", Scripted::Last(format!("{VALUE}\r\n\r\n").into_bytes())),
            ("another shape", Scripted::json(200, &json!({"data": {"data": VALUE, "metadata": metadata}}))),
            ("a redirect", Scripted::with(307, &format!("Location: http://127.0.0.1:1/{VALUE}\r\n"), b"")),
        ]);
        let mut heard = Heard::default();
        let vault = Raw::start([]);
        let gateway = Gateway::start(&corner.write(&tables), &vault.addr());
        let admin = corner.token("admin");
        // `Raw` wants paths that live as long as it: those of this mount are few.
        let at = |below: &str| -> &'static str { format!("{}/{below}", corner.name).leak() };
        let paths = [
            at("data/a"),
            at("metadata/a"),
            at("metadata"),
            at("metadata/"),
            at("undelete/a"),
            at("destroy/a"),
            at("delete/a"),
        ];
        for (what, script) in scripts {
            for path in paths {
                vault.script(path, vec![script.clone()]);
            }
            for (request, body) in [
                ("GET /vault/secrets/a", None),
                ("PUT /vault/secrets/a", Some(body().to_string())),
                ("DELETE /vault/secrets/a", None),
                ("DELETE /vault/secrets/a?versions=1", None),
                ("GET /vault/versions/a", None),
                ("POST /vault/versions/a/undelete", Some(r#"{"versions":[1]}"#.to_owned())),
                ("POST /vault/versions/a/rollback", Some(r#"{"to":1}"#.to_owned())),
                ("GET /vault/list", None),
                ("POST /vault/token/renew", None),
            ] {
                let reply = gateway.send(request, &admin, &[], body.as_deref());
                assert!(
                    reply.status >= 300 || reply.status == 204 || !reply.text.contains(VALUE),
                    "{what}: {request}: {reply:?}"
                );
                heard.answer(&format!("{what}: {request}"), &reply);
            }
        }
        for line in gateway.log() {
            if line.contains("MUTANT") {
                eprintln!("{line}");
            }
        }
        heard.all_of(&gateway, &corner);
        drop(gateway);
        // Logins that are refused with the words of what was sent.
        for script in [
            Scripted::Echo(400),
            Scripted::Echo(403),
            Scripted::Echo(500),
            Scripted::json(200, &json!({"auth": {"client_token": {"x": VALUE}}})),
        ] {
            vault.script(LOGIN, vec![script.clone()]);
            vault.script(LOOK_UP, vec![script]);
            let gateway = Gateway::start(&corner.write(&tables), &vault.addr());
            let reply = gateway.ask("GET /vault/secrets/a", &admin);
            assert!(reply.status >= 502, "{reply:?}");
            heard.answer("a login", &reply);
            heard.all_of(&gateway, &corner);
        }
        let secrets = Secrets::from([
            ("a value", VALUE.to_owned()),
            ("words", WORDS.to_owned()),
            ("the tenant's token", TOKEN.to_owned()),
            ("the caller's token", signature(&admin)),
            ("the service account's token", account.split('.').nth(1).expect("claims").to_owned()),
        ]);
        heard.holds_none_of(&secrets);
    });
}
