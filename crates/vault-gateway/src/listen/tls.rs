//! The service's certificate, read again when its files change.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use vault_client::credential;
use vault_client::text::os;
use zeroize::Zeroizing;

use crate::config::TlsFiles;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// The limit of a file. A bundle of all public authorities takes a quarter of a megabyte.
const MAX_FILE: u64 = 1 << 20;

/// TLS with the certificate that the files had last.
pub struct Tls {
    current: Arc<ArcSwap<ServerConfig>>,
    files: Files,
}

/// The files, and what is known of them.
struct Files {
    material: TlsFiles,
    /// What they were when they were read.
    read: State,
    /// The fault that was told last, and the files that had it.
    told: Option<(State, Vec<String>)>,
}

/// Length and time of each file.
type State = Vec<(u64, Option<SystemTime>)>;

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A line for each file that cannot be used: its key in `[tls]`, the file, what is wrong, what to do.
    pub fn read(material: TlsFiles) -> Result<Self, Vec<String>> {
        // The state is the older of the two: a change in between is seen at the first look.
        let read = state(&material);
        let current = Arc::new(ArcSwap::from_pointee(configuration(&material)?));
        Ok(Self { current, files: Files { material, read, told: None } })
    }

    /// Looks at the files once a second from now on, until what it returns is dropped.
    pub(super) fn keep_fresh(self) -> Fresh {
        let Self { current, files } = self;
        let looking = tokio::spawn(look_again_and_again(Arc::new(Mutex::new(files)), Arc::clone(&current)));
        Fresh { current, looking }
    }
}

/// The certificate of now.
pub(super) struct Fresh {
    current: Arc<ArcSwap<ServerConfig>>,
    looking: JoinHandle<()>,
}

impl Fresh {
    /// What shakes hands with it. No file is touched here: a file system that hangs must not hold up a handshake.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Files may hang, as those of a network do: they have a thread for what blocks, and one look ends before the next.
async fn look_again_and_again(files: Arc<Mutex<Files>>, current: Arc<ArcSwap<ServerConfig>>) {
    loop {
        sleep(LOOK).await;
        let (files, current) = (Arc::clone(&files), Arc::clone(&current));
        // A panic is in the log already. The next look is as good as any.
        let _ = spawn_blocking(move || files.lock().unwrap_or_else(PoisonError::into_inner).look(&current)).await;
    }
}

impl Files {
    /// Reads the files where they have changed. Those that cannot be used keep the old certificate, and are read again at
    /// the next look: they may be half written. A fault is told once as long as the files stay as they are.
    fn look(&mut self, current: &ArcSwap<ServerConfig>) {
        let state = state(&self.material);
        if state == self.read {
            self.told = None;
            return;
        }
        match configuration(&self.material) {
            Ok(config) => {
                current.store(Arc::new(config));
                (self.read, self.told) = (state, None);
                tracing::info!("tls: the certificate was read again");
            }
            Err(faults) => {
                let fault = Some((state, faults));
                if self.told != fault
                    && let Some((_, faults)) = &fault
                {
                    for fault in faults {
                        tracing::warn!("{fault}; the certificate in hand is used on");
                    }
                }
                self.told = fault;
            }
        }
    }
}

fn state(material: &TlsFiles) -> State {
    let files = [Some(&material.cert), Some(&material.key), material.client_ca.as_ref()];
    let stat = |file: &PathBuf| fs::metadata(file).map_or((0, None), |it| (it.len(), it.modified().ok()));
    files.into_iter().flatten().map(stat).collect()
}

fn configuration(material: &TlsFiles) -> Result<ServerConfig, Vec<String>> {
    let chain = certificates("cert", &material.cert);
    let key = bytes("key", &material.key)
        .and_then(|pem| PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unread("key", &material.key, &error)));
    let roots = material.client_ca.as_deref().map(roots).transpose();
    let (chain, key, roots) = match (chain, key, roots) {
        (Ok(chain), Ok(key), Ok(roots)) => (chain, key, roots),
        (chain, key, roots) => return Err([chain.err(), key.err(), roots.err()].into_iter().flatten().collect()),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| vec![error.to_string()])?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            let file = material.client_ca.as_deref().unwrap_or(Path::new(""));
            builder.with_client_cert_verifier(verifier.map_err(|_| vec![unusable("client_ca", file, NO_AUTHORITY)])?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| vec![unpaired(material, &error)])?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

const NO_AUTHORITY: &str = "a certificate in it is none of an authority";

/// Who signs certificates of callers.
fn roots(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client_ca", file)? {
        roots.add(certificate).map_err(|_| unusable("client_ca", file, NO_AUTHORITY))?;
    }
    Ok(roots)
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = bytes(key, file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err(unread(key, file, &pem::Error::NoItemsFound)),
        read => read.map_err(|error| unread(key, file, &error)),
    }
}

/// What is in a regular file. Anything else, such as a FIFO, is refused and not waited for.
fn bytes(key: &str, file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    credential::read(file, MAX_FILE).map_err(|why| unusable(key, file, &why.to_string()))
}

/// Why there is nothing in a file.
fn unread(key: &str, file: &Path, error: &pem::Error) -> String {
    let what = if key == "key" { "no private key" } else { "no certificate" };
    match error {
        pem::Error::NoItemsFound => unusable(key, file, &format!("{what} in PEM is in it")),
        _ => unusable(key, file, "it is broken PEM"),
    }
}

/// Why a chain and a key are no pair.
fn unpaired(material: &TlsFiles, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            let [cert, key] = [&material.cert, &material.key].map(os);
            format!("[tls] key: {key} is not the key of the certificate in {cert}; name the two files of one pair")
        }
        rustls::Error::InvalidCertificate(_) => {
            unusable("cert", &material.cert, "its first certificate cannot be read as one of a server")
        }
        _ => unusable("key", &material.key, "the key is of a kind that cannot be used"),
    }
}

fn unusable(key: &str, file: &Path, cause: &str) -> String {
    let remedy = if key == "key" { "give the key of the certificate, PEM" } else { "give certificates, PEM" };
    format!("[tls] {key}: {}: {cause}; {remedy}", os(file))
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use vault_testkit::certs::certs;

    use super::*;

    /// The files of a good certificate, in a folder of their own.
    fn material(folder: &Path) -> TlsFiles {
        let [cert, key] = ["tls.pem", "tls.key"].map(|name| folder.join(name));
        fs::write(&cert, &certs().good.certificate).unwrap();
        fs::write(&key, &certs().good.key).unwrap();
        TlsFiles { cert, key, client_ca: None }
    }

    #[test]
    fn a_file_that_is_none_keeps_the_certificate_and_its_fault_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let Tls { current, mut files } = Tls::read(material(folder.path())).unwrap();
        let (first, key) = (current.load_full(), files.material.key.clone());
        let shown = key.display().to_string();
        let told = |files: &Files| files.told.as_ref().map(|(_, faults)| faults.join("\n").replace(&shown, "KEY"));
        files.look(&current);
        assert_eq!((told(&files), Arc::ptr_eq(&first, &current.load())), (None, true), "nothing has changed");
        let remedy = "give the key of the certificate, PEM";
        for (what, put) in [
            ("not a regular file", Box::new(|| mkfifo(&key, Mode::S_IRWXU).unwrap()) as Box<dyn Fn()>),
            ("not a regular file", Box::new(|| fs::create_dir(&key).unwrap())),
            ("larger than 1 MiB", Box::new(|| fs::write(&key, vec![b'x'; (1 << 20) + 1]).unwrap())),
            ("not found", Box::new(|| ())),
        ] {
            let _ = fs::remove_file(&key).or_else(|_| fs::remove_dir(&key));
            put();
            files.look(&current);
            assert_eq!(told(&files), Some(format!("[tls] key: KEY: {what}; {remedy}")));
            assert!(Arc::ptr_eq(&first, &current.load()), "{what}");
        }
        fs::write(&key, &certs().good.key).unwrap();
        files.look(&current);
        assert_eq!((told(&files), Arc::ptr_eq(&first, &current.load())), (None, false), "it is read again");
    }

    #[test]
    fn a_start_does_not_wait_for_a_fifo() {
        let folder = tempfile::tempdir().unwrap();
        let material = material(folder.path());
        fs::remove_file(&material.cert).unwrap();
        mkfifo(&material.cert, Mode::S_IRWXU).unwrap();
        let faults = Tls::read(material).err().unwrap().join("\n");
        assert!(faults.contains("tls.pem: not a regular file; give"), "{faults}");
    }

    #[test]
    fn each_file_that_cannot_be_used_is_a_line_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let certs = certs();
        let (cert, key) = (read(&certs.good.certificate_file), read(&certs.good.key_file));
        let (other, ca) = (read(&certs.client.key_file), read(&certs.ca.certificate_file));
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let nothing = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (cert, key, client_ca, lines) in [
            (&*cert, &*key, &*ca, &[][..]),
            (
                &cert,
                &other,
                &ca,
                &["[tls] key: F/key is not the key of the certificate in F/cert; name the two files of one pair"],
            ),
            (
                "",
                "",
                "",
                &[
                    "[tls] cert: F/cert: no certificate in PEM is in it; give certificates, PEM",
                    "[tls] key: F/key: no private key in PEM is in it; give the key of the certificate, PEM",
                    "[tls] client_ca: F/ca: no certificate in PEM is in it; give certificates, PEM",
                ],
            ),
            (
                broken,
                &cert,
                nothing,
                &[
                    "[tls] cert: F/cert: it is broken PEM; give certificates, PEM",
                    "[tls] key: F/key: no private key in PEM is in it; give the key of the certificate, PEM",
                    "[tls] client_ca: F/ca: a certificate in it is none of an authority; give certificates, PEM",
                ],
            ),
            (
                nothing,
                &key,
                &ca,
                &[
                    "[tls] cert: F/cert: its first certificate cannot be read as one of a server; give certificates, PEM",
                ],
            ),
        ] {
            let material =
                TlsFiles { cert: file("cert", cert), key: file("key", key), client_ca: Some(file("ca", client_ca)) };
            let found = Tls::read(material).err().unwrap_or_default();
            let found: Vec<_> = found.iter().map(|line| line.replace(folder.path().to_str().unwrap(), "F")).collect();
            assert_eq!(found, lines);
        }
    }
}
