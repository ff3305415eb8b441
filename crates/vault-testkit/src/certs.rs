//! Certificates, made anew in each run: a CA, good and bad server certificates, a client certificate.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::folders::scratch;

/// A PEM certificate and its key, as texts and as files.
#[derive(Clone)]
pub struct Pair {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// The certificate again.
    pub certificate_file: PathBuf,
    /// The key again.
    pub key_file: PathBuf,
}

/// One TLS listener: PEM texts.
#[derive(Clone)]
pub struct Tls {
    /// The certificate chain that is shown.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// With it, clients must show a certificate that this CA signed.
    pub client_ca: Option<String>,
}

/// All that the tests use. Server certificates are for 127.0.0.1 and `localhost` unless their name says
/// otherwise.
pub struct Certs {
    /// Signed all of them but `stranger`.
    pub ca: Pair,
    /// A server certificate without a fault.
    pub good: Pair,
    /// Was valid in 2020.
    pub expired: Pair,
    /// Is valid in 2090.
    pub not_yet_valid: Pair,
    /// For `elsewhere.example` only.
    pub wrong_name: Pair,
    /// A server certificate of another CA.
    pub stranger: Pair,
    /// That CA.
    pub stranger_ca: Pair,
    /// Signed by another key under the same CA name: a forgery.
    pub impostor: Pair,
    /// A server certificate that is its own CA, as plain `openssl req -x509` makes it.
    pub self_signed: Pair,
    /// A client certificate without a fault.
    pub client: Pair,
    /// Client certificates that a server that trusts `ca` refuses.
    /// Signed by the other CA.
    pub stranger_client: Pair,
    /// Was valid in 2020.
    pub expired_client: Pair,
}

/// The certificates of this run.
pub fn certs() -> &'static Certs {
    static CERTS: LazyLock<Certs> = LazyLock::new(|| Certs::create(&scratch("certs")));
    &CERTS
}

pub(crate) type Issuer = CertifiedIssuer<'static, KeyPair>;

impl Certs {
    fn create(folder: &Path) -> Self {
        let (ca, stranger, impostor) = (issuer("Test CA"), issuer("Another CA"), issuer("Test CA"));
        let signed = |name: &str, params: &CertificateParams, by: &Issuer| {
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, by).expect("a certificate").pem();
            pair(folder, name, certificate, key.serialize_pem())
        };
        let (mut expired, mut early) = (server(), server());
        (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 12, 31));
        (early.not_before, early.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2090, 12, 31));
        let mut elsewhere = server();
        elsewhere.subject_alt_names = vec![SanType::DnsName("elsewhere.example".try_into().expect("a name"))];
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, "client");
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let mut expired_client = client.clone();
        (expired_client.not_before, expired_client.not_after) = (expired.not_before, expired.not_after);
        let mut own = server();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own_key = KeyPair::generate().expect("a key");
        let own = own.self_signed(&own_key).expect("a certificate").pem();
        Self {
            good: signed("good", &server(), &ca),
            expired: signed("expired", &expired, &ca),
            not_yet_valid: signed("not-yet-valid", &early, &ca),
            wrong_name: signed("wrong-name", &elsewhere, &ca),
            stranger: signed("stranger", &server(), &stranger),
            impostor: signed("impostor", &server(), &impostor),
            self_signed: pair(folder, "self-signed", own, own_key.serialize_pem()),
            client: signed("client", &client, &ca),
            stranger_client: signed("stranger-client", &client, &stranger),
            expired_client: signed("expired-client", &expired_client, &ca),
            stranger_ca: pair(folder, "stranger-ca", stranger.pem(), stranger.key().serialize_pem()),
            ca: pair(folder, "ca", ca.pem(), ca.key().serialize_pem()),
        }
    }
}

pub(crate) fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// What a server's certificate should have.
pub(crate) fn server() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "vault");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = vec![
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::DnsName("localhost".try_into().expect("a name")),
    ];
    params
}

pub(crate) fn pair(folder: &Path, name: &str, certificate: String, key: String) -> Pair {
    let [certificate_file, key_file] = ["pem", "key"].map(|extension| folder.join(format!("{name}.{extension}")));
    fs::write(&certificate_file, &certificate).expect("a certificate is written");
    fs::write(&key_file, &key).expect("a key is written");
    Pair { certificate, key, certificate_file, key_file }
}
