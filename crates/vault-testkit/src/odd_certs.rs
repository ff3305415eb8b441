//! Server certificates that are refused for what is in them, and servers that show them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, NameConstraints, SanType,
};

use crate::certs::{Issuer, Tls, certs, server};
use crate::embedded::EmbeddedVault;
use crate::folders::{scratch, unique};
use crate::openbao::{OpenBao, Storage, spawn_bound};
use crate::parts::missing;
use crate::server::Kind;

/// A server's certificate with its chain, and the CA that a client of it trusts.
pub struct Odd {
    /// What tests call it.
    pub name: &'static str,
    /// The file of the CA that a client has.
    pub ca: PathBuf,
    /// PEM, with its chain.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// Whether the embedded server's TLS library, which reads its own certificate, takes it.
    embedded: bool,
    /// Whether the real server does.
    openbao: bool,
}

fn folder() -> PathBuf {
    scratch("odd-certs")
}

/// Those that rcgen can make: with a name each way, and with a chain each way.
fn by_rcgen() -> Vec<Odd> {
    let dns = |name: &str| SanType::DnsName(name.try_into().expect("a name"));
    let with = |names: Vec<SanType>| {
        let mut params = server();
        params.subject_alt_names = names;
        params
    };
    let mut client = server();
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut reversed = server();
    std::mem::swap(&mut reversed.not_before, &mut reversed.not_after);
    let ca = authority("Plain CA", |_| {});
    let leaf = authority("Leaf", |it| it.is_ca = IsCa::ExplicitNoCa);
    let unconstrained = BasicConstraints::Unconstrained;
    let upper = below("Upper CA", BasicConstraints::Constrained(0), &ca);
    let lower = below("Lower CA", unconstrained, &upper);
    let issuing = below("Issuing CA", unconstrained, &ca);
    let narrow = authority("Narrow CA", |it| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.com".into())];
        it.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let no_issuer = {
        let mut params = server();
        params.is_ca = IsCa::ExplicitNoCa;
        let key = KeyPair::generate().expect("a key");
        CertifiedIssuer::signed_by(params, key, &issuing).expect("a certificate")
    };
    vec![
        odd("wildcard-one-label", &with(vec![dns("*.vault")]), &ca, &ca, &[]),
        odd("wildcard-svc", &with(vec![dns("*.vault.svc")]), &ca, &ca, &[]),
        odd("wildcard-part", &with(vec![dns("vault-*.vault.svc")]), &ca, &ca, &[]),
        odd("dot", &with(vec![dns("vault.vault.svc.")]), &ca, &ca, &[]),
        odd("common-name", &with(Vec::new()), &ca, &ca, &[]),
        odd("address-as-name", &with(vec![dns("127.0.0.1")]), &ca, &ca, &[]),
        odd("uri", &with(vec![SanType::URI("https://127.0.0.1".try_into().expect("a URI"))]), &ca, &ca, &[]),
        odd("client", &client, &ca, &ca, &[]),
        odd("reversed", &reversed, &ca, &ca, &[]),
        odd("pinned", &server(), &ca, &leaf, &[]),
        odd("too-long", &server(), &lower, &ca, &[&lower, &upper]),
        odd("not-permitted", &with(vec![dns("vault.vault.svc")]), &narrow, &narrow, &[]),
        odd("by-no-authority", &server(), &no_issuer, &ca, &[&no_issuer, &issuing]),
    ]
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issuer {
    let mut params = named(name);
    change(&mut params);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

fn below(name: &str, constraints: BasicConstraints, above: &Issuer) -> Issuer {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(constraints);
    CertifiedIssuer::signed_by(params, KeyPair::generate().expect("a key"), above).expect("a CA")
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A server's certificate that `by` issued, shown with a chain; `trusted` is what clients have.
fn odd(name: &'static str, params: &CertificateParams, by: &Issuer, trusted: &Issuer, chain: &[&Issuer]) -> Odd {
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, by).expect("a certificate").pem();
    let ca = folder().join(format!("{name}-ca.pem"));
    fs::write(&ca, trusted.pem()).expect("a certificate is written");
    let certificate = chain.iter().fold(leaf, |pem, issuer| pem + &issuer.pem());
    Odd { name, ca, certificate, key: key.serialize_pem(), embedded: true, openbao: true }
}

/// Those that openssl has to make: name, CA, and who can show them.
const BY_OPENSSL: [(&str, &str, bool, bool); 11] = [
    ("of-p521-ca", "p521-ca", true, true),
    ("of-ed448-ca", "ed448-ca", true, true),
    ("sha1", "rsa-ca", true, true),
    ("of-rsa1024-ca", "rsa1024-ca", true, true),
    ("sha512", "ca", true, true),
    ("empty-purpose", "ca", true, true),
    ("version-1", "ca", false, true),
    ("critical", "ca", false, true),
    ("p521", "ca", false, true),
    ("pss", "ca", false, false),
    ("rsa1024", "ca", false, false),
];

/// Whether openssl is there, and has written its files; see `odd_certs.sh`.
fn openssl_has_written() -> bool {
    static WRITTEN: LazyLock<bool> = LazyLock::new(|| {
        if Command::new("openssl").arg("version").output().is_err() {
            return missing("openssl");
        }
        let (ca, client) = (&certs().ca, &certs().client);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/odd_certs.sh");
        let files = [&ca.certificate_file, &ca.key_file, &client.certificate_file, &client.key_file];
        let made = Command::new("bash").arg(script).arg(folder()).args(files).status();
        let log = || fs::read_to_string(folder().join("log")).unwrap_or_default();
        assert!(made.is_ok_and(|status| status.success()), "{}", log());
        true
    });
    *WRITTEN
}

/// A file that openssl has written; `None` where it is not there.
pub fn file(name: &str) -> Option<PathBuf> {
    openssl_has_written().then(|| folder().join(name))
}

fn all() -> &'static [Odd] {
    static ALL: LazyLock<Vec<Odd>> = LazyLock::new(|| {
        let read = |name: &str, kind: &str| {
            fs::read_to_string(folder().join(format!("{name}.{kind}"))).expect("openssl wrote it")
        };
        let made = BY_OPENSSL.iter().filter(|_| openssl_has_written()).map(|&(name, ca, embedded, openbao)| {
            let (certificate, key) = (read(name, "pem"), read(name, "key"));
            Odd { name, ca: folder().join(format!("{ca}.pem")), certificate, key, embedded, openbao }
        });
        by_rcgen().into_iter().chain(made).collect()
    });
    &ALL
}

/// The one of this name; `None` where openssl would have made it and is not there.
pub fn find(name: &str) -> Option<&'static Odd> {
    let found = all().iter().find(|odd| odd.name == name);
    assert!(found.is_some() || BY_OPENSSL.iter().any(|it| it.0 == name), "no certificate is called {name}");
    found
}

enum Running {
    Embedded(EmbeddedVault),
    OpenBao(OpenBao),
}

/// The URL of a server that shows this certificate; `None` where a server of that kind cannot, or is not there. Nothing is
/// ever asked of it: no handshake succeeds.
pub fn addr(kind: Kind, odd: &Odd) -> Option<String> {
    static EMBEDDED: LazyLock<Option<Running>> =
        LazyLock::new(|| Some(Running::Embedded(EmbeddedVault::start(&shown(|it| it.embedded)))));
    static OPENBAO: LazyLock<Option<Running>> = LazyLock::new(|| {
        OpenBao::start("odd-certs-openbao", Storage::Memory, &shown(|it| it.openbao)).map(Running::OpenBao)
    });
    let (running, can) = match kind {
        Kind::Embedded => (&EMBEDDED, (|it| it.embedded) as fn(&Odd) -> bool),
        Kind::OpenBao => (&OPENBAO, (|it| it.openbao) as fn(&Odd) -> bool),
    };
    let index = all().iter().filter(|it| can(it)).position(|it| it.name == odd.name)?;
    Some(match running.as_ref()? {
        Running::Embedded(server) => server.tls_addr(index),
        Running::OpenBao(server) => server.tls_addr(index),
    })
}

fn shown(can: impl Fn(&Odd) -> bool) -> Vec<Tls> {
    let tls = |odd: &Odd| Tls { certificate: odd.certificate.clone(), key: odd.key.clone(), client_ca: None };
    all().iter().filter(|odd| can(odd)).map(tls).collect()
}

/// `openssl s_server`: a TLS server with nothing behind it, which can show what no other can.
pub struct OpensslServer {
    process: Child,
    /// Its URL.
    pub addr: String,
}

impl OpensslServer {
    /// With this certificate, its key and these options.
    pub fn start(certificate: &str, key: &str, options: &[&str]) -> Self {
        let file = |kind: &str, pem: &str| {
            let path = folder().join(format!("{}.{kind}", unique()));
            fs::write(&path, pem).expect("a file is written");
            path
        };
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-cert"]).arg(file("pem", certificate));
        command.arg("-key").arg(file("key", key)).args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = spawn_bound(command);
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let at =
            lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).expect("it says where it listens");
        // What it says of connections is read and forgotten, so that it never waits for a reader.
        std::thread::spawn(move || lines.count());
        Self { process, addr: format!("https://{at}") }
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
