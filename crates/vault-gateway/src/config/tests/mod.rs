mod issuer;
mod rule;
mod tenant;
mod top;

use std::fs;

use super::*;
use crate::path::SecretPath;

const SECOND: Duration = Duration::from_secs(1);

/// The least that a service needs.
const LEAST: &str = r#"
listen = "127.0.0.1:8443"
[[issuer]]
url = "https://idp.example"
audience = "vault-gateway"
[[tenant]]
name = "team-a"
"#;

/// Every key there is, with other values than the defaults where there are some.
const ALL: &str = r#"
listen = "0.0.0.0:443"
ops = "off"
audit = "FOLDER/audit.log"
log = "warn,vault_gateway=debug"
plain = false
drain = "1m"
[tls]
cert = "tls.crt"
key = "tls.key"
client_ca = "ca.crt"
[[issuer]]
url = "https://idp.example"
jwks = "https://keys.example/jwks?x=1"
ca = "ca.crt"
token_file = "token"
audience = ["vault-gateway", "other"]
algorithms = ["PS256", "EdDSA"]
typ = ["application/AT+jwt"]
tenant = { claim = "/realm/ten~1ant" }
tenants = ["team-a", "team-b"]
[[issuer]]
url = "http://127.0.0.1:8080/realms/b/"
jwks = "file:FOLDER/jwks.json"
audience = "vault-gateway"
tenant = "team-b"
tenants = ["team-b"]
[[tenant]]
name = "team-a"
namespace = "org/a"
mount = "secret/kv"
prefix = "apps/a"
role = "a"
auth_method = "kubernetes"
auth_mount = "k8s/one"
auth_namespace = "org"
jwt_file = "jwt"
shared_identity = false
overlap = false
[[tenant]]
name = "team-b"
token_file = "./token"
shared_identity = true
overlap = true
[[rule]]
name = "readers"
tenant = "team-a"
issuer = "https://idp.example"
claim = { roles = ["reader", "writer"], level = 3, "/a/b" = true, part = 0.5 }
paths = ["apps/*/config", "shared/**"]
allow = ["read", "list", "history"]
deny = ["destroy"]
[[rule]]
tenant = "team-b"
claim = {}
everyone = true
allow = ["renew"]
[[schema]]
tenant = "team-a"
paths = ["apps/*/config"]
file = "config.schema.json"
max_keys = 5
max_value_bytes = 6
[[schema]]
paths = ["**"]
max_keys = 7
[cache]
ttl = "0s"
max_bytes = 1024
negative_ttl = "250ms"
stale_if_error = "5m"
[limits]
rate = 100
burst = 200
concurrent = 1
upstream_per_tenant = 2
connections = 3
header_bytes = 1024
body_bytes = 1
request = "1s"
head = "500ms"
remember_tokens = "0s"
"#;

/// A folder with every file that the tests name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tls.crt", "tls.key", "ca.crt", "jwks.json", "jwt", "token", "t", "u", "j", "k"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    fs::write(folder.path().join("config.schema.json"), r#"{"type": "object"}"#).unwrap();
    fs::write(folder.path().join("broken.schema.json"), r#"{"$ref": "other.json"}"#).unwrap();
    folder
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Faults> {
    let folder = folder();
    let text = text.replace("FOLDER", folder.path().to_str().unwrap());
    let value = |name: &str| variables.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
    Config::parse_with(&text, folder.path(), &value)
}

/// The texts of what is wrong, without the name of the folder.
fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    found(text, variables).into_iter().map(|fault| fault.text).collect()
}

/// What is wrong, without the name of the folder. Relative names, and FOLDER in values, mean the folder.
fn found(text: &str, variables: &[(&str, &str)]) -> Vec<Fault> {
    let folder = folder();
    let name = folder.path().to_str().unwrap();
    let value = |of: &str| variables.iter().find(|pair| pair.0 == of).map(|pair| pair.1.replace("FOLDER", name));
    let faults = Config::parse_with(&text.replace("FOLDER", name), folder.path(), &value).err();
    let unplaced = |fault: &Fault| Fault { text: fault.text.replace(name, "FOLDER"), ..fault.clone() };
    faults.iter().flat_map(Faults::iter).map(unplaced).collect()
}

fn least(more: &str) -> String {
    format!("{LEAST}{more}")
}

#[test]
fn the_least_configuration_has_every_default() {
    let config = read(LEAST, &[]).ok().unwrap();
    assert_eq!(config.listen, "127.0.0.1:8443".parse().unwrap());
    assert_eq!(config.ops, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!((config.audit, config.log.as_str()), (AuditTo::Stdout, "info"));
    assert_eq!((config.drain, config.tls), (30 * SECOND, None));
    let issuer = Issuer {
        url: "https://idp.example".to_owned(),
        jwks: KeySource::Discovery,
        ca: None,
        token_file: None,
        audience: vec!["vault-gateway".to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        typ: ["jwt", "at+jwt", ""].map(str::to_owned).into(),
        tenant: TenantOf::Claim("tenant".to_owned()),
        tenants: None,
    };
    assert_eq!(config.issuers, [Arc::new(issuer)]);
    let tenant = Tenant {
        name: "team-a".to_owned(),
        namespace: String::new(),
        mount: "kv".to_owned(),
        prefix: String::new(),
        login: TenantLogin::default(),
        shared_identity: false,
        overlap: false,
    };
    assert_eq!(config.tenants, [Arc::new(tenant)]);
    assert!(config.schemas.is_empty());
    assert_eq!(config.structure, Structure { max_keys: 500, max_value_bytes: 65_536 });
    let cache = CacheLimits {
        ttl: 60 * SECOND,
        max_bytes: 67_108_864,
        negative_ttl: 2 * SECOND,
        stale_if_error: Duration::ZERO,
    };
    assert_eq!(config.cache, cache);
    let limits = ServiceLimits {
        rate: 0,
        burst: 0,
        concurrent: 1024,
        upstream_per_tenant: 32,
        connections: 10_000,
        header_bytes: 16_384,
        body_bytes: 1_048_576,
        request: 10 * SECOND,
        head: 5 * SECOND,
        remember_tokens: 60 * SECOND,
    };
    assert_eq!(config.limits, limits);
}

#[test]
fn every_key_is_read() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let text = ALL.replace("FOLDER", folder.path().to_str().unwrap());
    let config = Config::parse_with(&text, folder.path(), &|_| None).map_err(|faults| faults.to_string()).ok().unwrap();
    assert_eq!((config.listen, config.ops), ("0.0.0.0:443".parse().unwrap(), None));
    assert_eq!(config.audit, AuditTo::File(at("audit.log")));
    assert_eq!((config.log.as_str(), config.drain), ("warn,vault_gateway=debug", 60 * SECOND));
    let tls = TlsFiles { cert: at("tls.crt"), key: at("tls.key"), client_ca: Some(at("ca.crt")) };
    assert_eq!(config.tls, Some(tls));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let both = Issuer {
        url: "https://idp.example".to_owned(),
        jwks: KeySource::Url("https://keys.example/jwks?x=1".to_owned()),
        ca: Some(at("ca.crt")),
        token_file: Some(at("token")),
        audience: names(&["vault-gateway", "other"]),
        algorithms: vec![Algorithm::PS256, Algorithm::EdDSA],
        typ: names(&["at+jwt"]),
        tenant: TenantOf::Claim("/realm/ten~1ant".to_owned()),
        tenants: Some(names(&["team-a", "team-b"]).into_iter().collect()),
    };
    let one = Issuer {
        url: "http://127.0.0.1:8080/realms/b/".to_owned(),
        jwks: KeySource::File(at("jwks.json")),
        ca: None,
        token_file: None,
        audience: names(&["vault-gateway"]),
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        typ: names(&["jwt", "at+jwt", ""]),
        tenant: TenantOf::Fixed("team-b".to_owned()),
        tenants: Some(names(&["team-b"]).into_iter().collect()),
    };
    assert_eq!(config.issuers, [Arc::new(both), Arc::new(one)]);
    let a = Tenant {
        name: "team-a".to_owned(),
        namespace: "org/a".to_owned(),
        mount: "secret/kv".to_owned(),
        prefix: "apps/a".to_owned(),
        login: TenantLogin {
            role: Some("a".to_owned()),
            auth_method: Some("kubernetes".to_owned()),
            auth_mount: Some("k8s/one".to_owned()),
            auth_namespace: Some("org".to_owned()),
            token_file: None,
            jwt_file: Some(at("jwt")),
        },
        shared_identity: false,
        overlap: false,
    };
    let b = Tenant {
        name: "team-b".to_owned(),
        namespace: String::new(),
        mount: "kv".to_owned(),
        prefix: String::new(),
        login: TenantLogin { token_file: Some(at("token")), ..TenantLogin::default() },
        shared_identity: true,
        overlap: true,
    };
    assert_eq!(config.tenants, [Arc::new(a), Arc::new(b)]);
    let [first, second] = &config.schemas[..] else { panic!("{}", config.schemas.len()) };
    assert_eq!((first.tenant.as_deref(), first.schema.is_some()), (Some("team-a"), true));
    assert_eq!(first.structure, Structure { max_keys: 5, max_value_bytes: 6 });
    assert!(first.paths[0].matches(&SecretPath::of_canonical("apps/x/config").unwrap()));
    assert_eq!((second.tenant.as_deref(), second.schema.is_some()), (None, false));
    assert_eq!(second.structure, Structure { max_keys: 7, max_value_bytes: 65_536 });
    let [none, short] = [Duration::ZERO, Duration::from_millis(250)];
    let cache = CacheLimits { ttl: none, max_bytes: 1024, negative_ttl: short, stale_if_error: 300 * SECOND };
    assert_eq!(config.cache, cache);
    let limits = ServiceLimits {
        rate: 100,
        burst: 200,
        concurrent: 1,
        upstream_per_tenant: 2,
        connections: 3,
        header_bytes: 1024,
        body_bytes: 1,
        request: SECOND,
        head: 2 * short,
        remember_tokens: none,
    };
    assert_eq!(config.limits, limits);
}

/// The line without `[[table]]` and the name of its element.
fn unplaced<'a>(line: &'a str, table: &str) -> &'a str {
    let rest = line.strip_prefix(table).unwrap_or_else(|| panic!("{line}")).trim_start();
    let after_name = match rest.strip_prefix('"') {
        Some(name) => name.split_once('"').map(|(_, after)| after),
        None => rest.split_once(' ').map(|(_, after)| after),
    };
    after_name.unwrap().trim_start_matches(':').trim_start()
}
