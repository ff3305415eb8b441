//! The faults of docs/troubleshooting.md, each made in earnest. What is said of them is told in the names of the example
//! that all documents use, so that it can be compared with what stands there.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::dns::Says;
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::{LOGIN, READ, REVOKE, Raw, Reply, STATUS};
use vault_testkit::server::{Listener, Server};
use vault_testkit::{missing, odd_certs};

use super::login_faults;
use crate::support::dry_run::squeezed;
use crate::support::isolated::with_dns;
use crate::support::launch::Inherit;
use crate::support::outcome::Outcome;
use crate::support::scenario::{PROGRAM, Scenario, child_program};
use crate::support::seccomp::{self, Denied};

/// The code that a run ended with, and a line of what it said.
pub(super) type Told = (i32, String);

pub(super) const ADDR: &str = "https://vault.vault.svc:8200";
const SOCKET: &str = "unix:///run/vault/agent.sock";
pub(super) const JWT_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Each line that this run said.
pub(super) fn told(outcome: &Outcome) -> Vec<Told> {
    outcome.log().iter().map(|line| (outcome.code(), example(outcome.scenario, line))).collect()
}

/// The text in the names of the example.
fn example(scenario: &Scenario, text: &str) -> String {
    let file = |name: &str| scenario.file(name).display().to_string();
    let addr = scenario.expand("{addr}");
    let known_as = if addr.starts_with("unix:") { SOCKET } else { ADDR };
    let names = [
        (addr, known_as),
        (scenario.path(), "shop/prod"),
        (scenario.name.clone(), "shop"),
        (file("jwt"), JWT_FILE),
        (file("secrets"), "/secrets"),
        (file("shop"), "/shop"),
        (child_program().display().to_string(), "/shop"),
        ("127.0.0.1".to_owned(), "vault.vault.svc"),
        ("vault.test.".to_owned(), "vault.vault.svc"),
    ];
    let known = names.iter().filter(|(name, _)| !name.is_empty());
    known.fold(text.to_owned(), |text, (name, example)| text.replace(name, example))
}

pub(super) fn run(scenario: &Scenario) -> Vec<Told> {
    told(&scenario.run())
}

/// What the pod of the example is known as.
fn jwt() -> Jwt {
    let shop = || "shop".to_owned();
    Jwt { service_account: shop(), namespace: shop(), audience: json!(["vault"]), ..Jwt::default() }
}

/// The pod of the example, with a role and without a secret. Nothing is tried twice.
fn pod(server: &Server) -> Scenario<'_> {
    let bound = json!({
        "bound_service_account_names": "shop", "bound_service_account_namespaces": "shop", "audience": "vault",
    });
    let scenario = Scenario::new(server).role(&bound).jwt(&jwt()).env("VAULT_ROLE", "{name}");
    scenario.env("VAULT_MAX_RETRIES", "0")
}

fn with<'a>(server: &'a Server, secret: &Value) -> Scenario<'a> {
    pod(server).secret(secret)
}

fn shop(server: &Server) -> Scenario<'_> {
    with(server, &json!({"DATABASE_URL": "postgres://db/shop", "API_KEY": "a-secret-key"}))
}

/// The same, with a second path that holds this.
fn with_shared<'a>(server: &'a Server, shared: &Value) -> Scenario<'a> {
    shop(server).secret_at("shared", shared).env("VAULT_PATH", "{path},{name}/shared")
}

/// Lets the role read this instead.
fn allowed<'a>(server: &Server, scenario: Scenario<'a>, path: &str) -> Scenario<'a> {
    let policy = format!("path \"{path}\" {{ capabilities = [\"read\"] }}");
    server.write_policy("", &scenario.name, &policy);
    scenario
}

/// The secret's only version, deleted or destroyed.
fn gone<'a>(server: &'a Server, how: &str) -> Scenario<'a> {
    let scenario = shop(server);
    server.must("POST", &format!("kv/{how}/{}", scenario.path()), &json!({"versions": [1]}));
    scenario
}

type Make = fn(&Server) -> Scenario<'_>;

/// The secret, and how it is asked for.
const SECRETS: &[Make] = &[
    shop,
    |server| with_shared(server, &json!({"LOG_TOPIC": "shop"})),
    |server| with_shared(server, &json!({"API_KEY": "another-secret-key"})),
    |server| with(server, &json!({"DATABASE_URL": "a", "LD_PRELOAD": "b", "db=host": "c"})),
    |server| with(server, &json!({"API_KEY": "a\0b"})),
    |server| with(server, &json!({"DATABASE_URL": "x".repeat(200_000)})),
    |server| shop(server).env("API_KEY", "another").env("VAULT_ON_CONFLICT", "error"),
    |server| shop(server).env("DB", "vault:kv/data/shop/prod#DATABASE_URL"),
    |server| {
        let scenario = with(server, &json!({"API_KEY": "it's"})).no_command();
        scenario.options(["--env-file", "{folder}/secrets/app.env", "--format", "kubernetes"])
    },
    |server| shop(server).env("VAULT_REQUIRED_KEYS", "DATABASE_URL,API_KEY,SMTP_HOST"),
    |server| shop(server).env("VAULT_KEYS", "DATABASE_URL,api-key:API_KEY"),
    |server| shop(server).env("VAULT_KEYS", "API_KEY").env("VAULT_REQUIRED_KEYS", "DATABASE_URL"),
    pod,
    |server| shop(server).env("VAULT_SECRET_VERSION", "9"),
    |server| gone(server, "delete"),
    |server| gone(server, "destroy"),
    |server| allowed(server, shop(server), "kv/data/data/*").env("VAULT_PATH", "data/{path}"),
    |server| allowed(server, shop(server), "kv1/*").env("VAULT_MOUNT_POINT", "kv1"),
    |server| {
        let scenario = allowed(server, shop(server), "kv1/*").env("VAULT_MOUNT_POINT", "kv1");
        server.must("POST", &format!("kv1/data/{}", scenario.path()), &json!({"API_KEY": "a-secret-key"}));
        scenario
    },
];

/// Who asks, and whether that is allowed.
const RIGHTS: &[Make] = &[
    |server| allowed(server, shop(server), "kv/data/billing/*"),
    |server| shop(server).env("VAULT_PATH", "data/{path}"),
    |server| {
        let scenario = shop(server);
        let only = format!("kv/data/{}", scenario.path());
        allowed(server, scenario, &only).env("VAULT_PATH", "{path}uction")
    },
    |server| shop(server).env("VAULT_MOUNT_POINT", "secret"),
    |server| shop(server).env("VAULT_TOKEN", "hvs.expired-long-ago").hides("hvs.expired-long-ago"),
    |server| shop(server).jwt(&Jwt { service_account: "default".to_owned(), ..jwt() }),
    |server| shop(server).jwt(&Jwt { namespace: "billing".to_owned(), ..jwt() }),
    |server| shop(server).jwt(&Jwt { audience: json!(["https://kubernetes.default.svc"]), ..jwt() }),
    |server| shop(server).jwt(&Jwt { expires_in: -600, ..jwt() }),
    |server| shop(server).jwt(&Jwt { forged: true, ..jwt() }),
    |server| shop(server).env("VAULT_K8S_AUTH_MOUNT_POINT", "kubernetes-eu"),
    |server| Scenario::new(server).jwt(&jwt()).env("VAULT_ROLE", "{name}"),
    |server| shop(server).env("VAULT_NAMESPACE", "team-a"),
];

/// The way to the server.
const TRUST: &[Make] = &[
    |server| shop(server).tls(Listener::Stranger),
    |server| shop(server).tls(Listener::Expired),
    |server| shop(server).tls(Listener::NotYetValid),
    |server| shop(server).tls(Listener::WrongName),
    |server| odd(server, "common-name").env("VAULT_TLS_SERVER_NAME", "vault.vault.svc"),
    |server| odd(server, "wildcard-one-label").env("VAULT_TLS_SERVER_NAME", "vault.vault"),
    |server| shop(server).tls(Listener::SelfSigned),
    |server| shop(server).tls(Listener::MutualTls),
    |server| {
        let client = &certs().stranger_client;
        let scenario = shop(server).tls(Listener::MutualTls).env("VAULT_CLIENT_CERT", &client.certificate_file);
        scenario.env("VAULT_CLIENT_KEY", &client.key_file)
    },
    |server| {
        let scenario = shop(server);
        let addr = scenario.expand("{addr}").replace("http:", "https:");
        scenario.at(&addr)
    },
    |server| {
        let scenario = shop(server).tls(Listener::Tls);
        let addr = scenario.expand("{addr}").replace("https:", "http:");
        scenario.at(&addr)
    },
];

/// Where a server of the same kind shows this certificate.
fn odd<'a>(server: &'a Server, name: &str) -> Scenario<'a> {
    let odd = odd_certs::find(name).expect("rcgen makes it");
    let addr = odd_certs::addr(server.kind(), odd).expect("both can show it");
    shop(server).at(&addr).env("VAULT_CACERT", &odd.ca)
}

/// What comes after the read.
const FILES: &[Make] = &[
    |server| env_file(server).env("VAULT_ENV_FILE", "{folder}/secrets/none/app.env"),
    |server| {
        let scenario = env_file(server);
        fs::create_dir(scenario.file("secrets/app.env")).expect("a directory");
        scenario
    },
    |server| {
        let scenario = env_file(server);
        symlink("elsewhere", scenario.file("secrets/app.env")).expect("a link");
        scenario
    },
    |server| env_file(server).env("VAULT_ENV_FILE", "/dev/stdout"),
    |server| {
        let scenario = env_file(server).env("VAULT_ENV_FILE", "{folder}/secrets").env("VAULT_ENV_FILE_FORMAT", "dir");
        fs::write(scenario.file("secrets/DATABASE_URL"), "another's").expect("a file");
        scenario
    },
    |server| {
        let scenario = env_file(server).inherit([Inherit::Unprivileged]);
        fs::set_permissions(scenario.file("secrets"), fs::Permissions::from_mode(0o555)).expect("a mode");
        scenario
    },
    |server| {
        let run = "exec \"$0\" >/dev/full";
        env_file(server).env("VAULT_ENV_FILE", "-").program("/bin/sh").options(["-c", run, PROGRAM])
    },
];

fn env_file(server: &Server) -> Scenario<'_> {
    let scenario = shop(server).no_command().env("VAULT_ENV_FILE", "{folder}/secrets/app.env");
    fs::create_dir(scenario.file("secrets")).expect("a directory");
    scenario
}

/// A volume that is full; `None` where none can be mounted.
fn full_volume(server: &Server) -> Option<Vec<Told>> {
    let mounted = crate::support::system::with_own_mounts("mount -t tmpfs none /mnt", &[])?;
    if !mounted.status.success() && !missing("the permission to mount a tmpfs") {
        return None;
    }
    let secret = json!({"DATABASE_URL": "a-large-value".repeat(2000)});
    let scenario = with(server, &secret).no_command().env("VAULT_ENV_FILE", "{folder}/secrets/app.env");
    let script = "mkdir \"$DISK\"; mount -t tmpfs -o size=16k none \"$DISK\"; exec \"$0\"";
    let scenario = scenario.env("DISK", "{folder}/secrets").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Some(run(&scenario.program("unshare").options(["-m", "sh", "-euc", script, PROGRAM])))
}

/// A server of its own, before it is initialised and while it is sealed.
fn not_ready(shared: &Server) -> Vec<Told> {
    let server = Server::fresh(shared.kind()).expect("the shared one is there");
    let asking = || {
        let scenario = Scenario::offline().at(&server.addr(Listener::Plain)).env("VAULT_PATH", "shop/prod");
        scenario.env("VAULT_TOKEN", "hvs.not-looked-at")
    };
    let uninitialised = run(&asking());
    server.initialise();
    let waiting = asking().options(["--wait=1s"]);
    [uninitialised, run(&asking()), run(&waiting)].concat()
}

/// A file with the JWT that is not there.
fn without_a_jwt(server: &Server) -> Vec<Told> {
    let scenario = shop(server).env("VAULT_AUTH_METHOD", "kubernetes");
    fs::remove_file(scenario.file("jwt")).expect("a JWT");
    let at_once = run(&scenario);
    [at_once, run(&scenario.options(["--wait=1s"]))].concat()
}

/// What either server can be made to give rise to; `None` where something for it is missing here.
pub(super) fn on_a_server(server: &Server) -> Option<Vec<Told>> {
    let rows = [SECRETS, RIGHTS, TRUST, FILES].concat();
    let mut all: Vec<_> = rows.iter().flat_map(|make| run(&make(server))).collect();
    all.extend(not_ready(server));
    all.extend(without_a_jwt(server));
    all.extend(full_volume(server)?);
    Some(all)
}

/// The pod of the example at a scripted server.
pub(super) fn at(raw: &Raw) -> Scenario<'static> {
    let scenario = Scenario::against(raw).jwt(&jwt());
    scenario.env("VAULT_MAX_RETRIES", "0").env("VAULT_PATH", "shop/prod")
}

const SECRET: &str = "kv/data/shop/prod";

/// What a server, or what stands in its place, does in these requests.
fn scripted() -> Vec<Told> {
    let html = || Reply::with(200, "Content-Type: text/html\r\n", b"<html>Sign in</html>");
    let redirected = |status, location: &str| Reply::with(status, &format!("Location: {location}\r\n"), b"");
    let failed = |status| Reply::json(status, &json!({"errors": []}));
    let refused = |status, text: &str| Reply::json(status, &json!({"errors": [text]}));
    let mfa = json!({"client_token": "", "mfa_requirement": {"mfa_request_id": "x"}});
    let well = || Reply::secret(r#"{"API_KEY":"a-raw-secret"}"#);
    let null = json!({"request_id": "x", "data": {"data": null, "metadata": {"version": 1}}});
    let wrapped = json!({"data": null, "wrap_info": {"token": "s.wrapped", "creation_path": "kv/data/shop/prod"}});
    let upgrading = "Upgrading from non-versioned to versioned data. \
                     This backend will be unavailable for a brief period and will resume service shortly.";
    let runs = [
        vec![(SECRET, Reply::secret(r#"{"API_KEY":"a-raw-secret","API_KEY":"a-raw-secret"}"#))],
        vec![(SECRET, Reply::json(200, &null))],
        vec![(STATUS, Reply::Last(Vec::new()))],
        vec![(STATUS, html())],
        vec![(STATUS, redirected(301, "https://127.0.0.1/v1/sys/seal-status"))],
        vec![(STATUS, redirected(302, "https://login.example/start"))],
        vec![(STATUS, redirected(307, "https://vault-0.vault.svc:8200/v1/sys/seal-status"))],
        vec![(LOGIN, redirected(307, "https://vault-0.vault.svc:8200/v1/auth/kubernetes/login"))],
        vec![(SECRET, failed(429))],
        vec![(SECRET, refused(400, upgrading))],
        vec![(SECRET, failed(503))],
        vec![(STATUS, failed(502))],
        vec![(LOGIN, refused(500, "could not load backend configuration"))],
        vec![(LOGIN, refused(400, "no client certificate found"))],
        vec![(LOGIN, Reply::login(&mfa))],
        vec![(SECRET, Reply::json(200, &wrapped))],
        vec![(SECRET, refused(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"))],
        vec![(SECRET, well()), (REVOKE, failed(403))],
    ];
    let run = |replies: Vec<(&'static str, Reply)>| {
        let [first, second] = [0, 1].map(|index| replies.get(index).or(replies.first()).cloned().expect("a reply"));
        run(&at(&Raw::start([(first.0, vec![first.1]), (second.0, vec![second.1])])))
    };
    let limited = Raw::start([(SECRET, vec![refused(429, "rate limit quota exceeded")])]);
    let limited = at(&limited).env("VAULT_RETRY_DELAY", "10s").env("VAULT_STARTUP_TIMEOUT", "1s");
    let sealed = Raw::start([(LOGIN, vec![refused(503, "namespace is sealed")])]);
    let along = |first| {
        let raw = Raw::start([(SECRET, vec![first, well()])]);
        self::run(&at(&raw).env("VAULT_INLINE_AUTH", "true"))
    };
    let others = [
        self::run(&limited),
        self::run(&at(&sealed).env("VAULT_NAMESPACE", "team-a")),
        along(well()),
        along(refused(500, "internal error")),
        along(refused(403, "permission denied")),
    ];
    let others = others.concat();
    runs.into_iter().flat_map(run).chain(others).collect()
}

/// Where nobody answers, or too late.
fn unreachable() -> Vec<Told> {
    // Port 1 is nobody's.
    let nobody = |raw: &Raw| at(raw).at("http://127.0.0.1:1");
    let silent = Raw::start([(STATUS, vec![Reply::Hang(Vec::new())])]);
    [
        run(&nobody(&silent).env("VAULT_MAX_RETRIES", "3")),
        run(&at(&silent).env("VAULT_TIMEOUT", "100ms")),
        run(&at(&silent).env("VAULT_STARTUP_TIMEOUT", "500ms")),
        run(&nobody(&silent)
            .env("VAULT_MAX_RETRIES", "3")
            .env("VAULT_RETRY_DELAY", "10s")
            .env("VAULT_STARTUP_TIMEOUT", "1s")),
        run(&nobody(&silent).env("VAULT_WAIT", "1s")),
        run(&at(&silent).at("unix:///nowhere/agent.sock")),
    ]
    .concat()
}

/// A name that the cluster's DNS does not know; `None` where this machine does not let the tests be its DNS.
fn unresolved() -> Option<Vec<Told>> {
    let scenario = at(&Raw::start([])).at("http://vault.test.:8200").env("VAULT_LOG_LEVEL", "error");
    let (dns, scenario) = with_dns("what_a_run_says", 21, scenario)?;
    dns.answer(Says::NoSuchName);
    Some(run(&scenario))
}

/// What `--check` reports of a policy that lacks the rule, without times and white space.
pub(super) fn report(server: &Server) -> String {
    let scenario = allowed(server, shop(server), "kv/data/billing/*").options(["--check"]);
    let report = scenario.run().stdout;
    example(&scenario, &squeezed(&report))
}

/// A COMMAND that is no program, and a program without descriptors.
fn commands() -> Vec<Told> {
    let file = |content: &str, mode: u32| {
        let scenario = Scenario::offline().command(["{folder}/shop"]);
        fs::write(scenario.file("shop"), content).expect("a file is written");
        fs::set_permissions(scenario.file("shop"), fs::Permissions::from_mode(mode)).expect("a mode");
        run(&scenario)
    };
    let usage = |options: &[&str]| run(&Scenario::offline().no_command().options(options));
    [
        usage(&[]),
        usage(&["--kees", "API_KEY", "--", "/shop"]),
        usage(&["--env-file", "/secrets/app.env", "--", "/shop"]),
        usage(&["--watch", "60s"]),
        usage(&["--env-file", "/secrets/app.env", "--listen", "[::]:8081"]),
        file("#!/bin/sh\n", 0o644),
        file("echo started\n", 0o755),
        file("#!/bin/bosh\n", 0o755),
        run(&Scenario::offline().command(["shop"]).env("PATH", "/usr/local/bin:/usr/bin:/bin")),
        run(&Scenario::offline().command(["/app/shop"])),
    ]
    .concat()
}

/// Settings that cannot be used.
fn settings() -> Vec<Told> {
    let at = |name: &str, value: &str| Scenario::offline().env("VAULT_ADDR", ADDR).env(name, value);
    [
        run(&Scenario::offline().env("VAULT_REQUIRED", "true")),
        run(&at("VAULT_WATCH", "60s")
            .no_command()
            .env("VAULT_PATH", "shop/prod")
            .env("VAULT_TOKEN", "hvs.not-looked-at")),
        run(&at("VAULT_HEALTH_LISTEN", "[::]:8081")
            .no_command()
            .env("VAULT_ENV_FILE", "/secrets/app.env")
            .env("VAULT_PATH", "shop/prod")
            .env("VAULT_TOKEN", "hvs.not-looked-at")),
        run(&at("VAULT_TIMEOUT", "soon").env("VAULT_TOKEN", "hvs.not-looked-at").env("VAULT_SECRET_VERSION", "0")),
        run(&at("VAULT_PTH", "shop/prod").env("VAULT_TOKEN", "hvs.not-looked-at")),
        run(&at("VAULT_PATH", "shop/prod")),
        run(&Scenario::offline().env("VAULT_REQUIRED_KEYS", "DATABASE_URL,API_KEY")),
        run(&at("VAULT_PATH", "shop/prod#DATABASE_URL").env("VAULT_TOKEN", "hvs.not-looked-at")),
        run(&at("VAULT_PATH", "shop/prod,,shop/prod")
            .env("VAULT_TOKEN", "hvs.not-looked-at")
            .env("VAULT_SECRET_VERSION", "3")),
        run(&at("VAULT_KEYS", "DATABASE_URL;API_KEY")
            .env("VAULT_PATH", "shop/prod")
            .env("VAULT_TOKEN", "hvs.not-looked-at")),
        run(&at("VAULT_PATH", "shop/prod").env("VAULT_ROLE", "shop").env("VAULT_AUTH_METHOD", "ldap")),
        run(&at("VAULT_CACERT", "/etc/vault/ca.pem")
            .env("VAULT_PATH", "shop/prod")
            .env("VAULT_TOKEN", "hvs.not-looked-at")),
        run(&at("VAULT_CACERT_BYTES", "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n")
            .env("VAULT_PATH", "shop/prod")
            .env("VAULT_TOKEN", "hvs.not-looked-at")),
    ]
    .concat()
}

/// A signal while Vault is waited for, and a container that may open no socket.
fn system() -> Vec<Told> {
    let raw = Raw::start([(READ, vec![]), (STATUS, vec![Reply::Hang(Vec::new())])]);
    let scenario = at(&raw);
    let mut started = scenario.start();
    raw.await_requests(1);
    started.signal(Signal::SIGTERM);
    let ended = told(&started.finish());
    // Enough for its loader, not for a socket beside the signals' descriptor.
    let limit = Inherit::Limit(Resource::RLIMIT_NOFILE, 4);
    [ended, run(&at(&Raw::start([])).inherit([limit]))].concat()
}

/// Where a seccomp profile denies a call; `None` where there are no such filters.
fn profiles() -> Option<Vec<Told>> {
    let without = |call| {
        let raw = Raw::start([(SECRET, vec![Reply::secret(r#"{"API_KEY":"a-raw-secret"}"#)])]);
        let denied = Inherit::Denied(Denied::always(call, Errno::EPERM));
        run(&at(&raw).env("VAULT_LOG_LEVEL", "error").inherit([denied]))
    };
    seccomp::permitted().then(|| [libc::SYS_signalfd4, libc::SYS_socket, libc::SYS_execve].map(without).concat())
}

/// A sidecar: its listener's address is taken; then changes that do not arrive everywhere.
fn watches() -> Vec<Told> {
    let version = |number: u32, data: &Value| {
        let metadata = json!({"version": number, "created_time": "2026-01-02T03:04:05.678Z", "destroyed": false});
        Reply::json(200, &json!({"data": {"data": data, "metadata": metadata}}))
    };
    let both = |url: &str| json!({"DATABASE_URL": url, "API_KEY": "a-raw-secret"});
    let versions = [(1, both("one")), (2, both("two")), (3, json!({"DATABASE_URL": "three"}))];
    let raw = Raw::start([(SECRET, versions.map(|(number, data)| version(number, &data)).into())]);
    let watch = || {
        let scenario = at(&raw).env("VAULT_LOG_LEVEL", "warn").env("VAULT_KEYS", "DATABASE_URL,API_KEY");
        let scenario = scenario.options(["--env-file", "{folder}/secrets/app.env", "--watch", "1s"]);
        fs::create_dir(scenario.file("secrets")).expect("a directory");
        scenario
    };
    let taken = TcpListener::bind(("127.0.0.9", 0)).expect("an address of this machine");
    let port = taken.local_addr().expect("a bound listener has an address").port();
    let listen = run(&watch().no_command().options(["--listen", &format!("127.0.0.9:{port}")]));
    let own = |(code, line): Told| (code, line.replace(&format!("127.0.0.9:{port}"), "127.0.0.1:8081"));

    // No other test has a program of that name.
    let scenario = watch().env("VAULT_NOTIFY", "HUP:storefront").with_command(["{folder}/shop"]);
    fs::write(scenario.file("shop"), "#!/bin/sh\nexit 3\n").expect("a file is written");
    fs::set_permissions(scenario.file("shop"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut started = scenario.start();
    started.await_log("shop: ended with code 3");
    started.await_log("missing key: API_KEY");
    started.signal(Signal::SIGTERM);
    listen.into_iter().map(own).chain(told(&started.finish())).collect()
}

/// What needs no server that works, the same at each run; `None` as above.
pub(super) fn without_a_server() -> Option<Vec<Told>> {
    assert!(!Path::new("/etc/vault/ca.pem").exists() && !Path::new("/app/shop").exists(), "the example is not real");
    let logins = login_faults::all();
    let others = [commands(), settings(), system(), watches(), profiles()?, logins].concat();
    Some([scripted(), unreachable(), unresolved()?, others].concat())
}
