//! What is given as a CA, a client certificate or a key and is none: each is told as what it is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use serde_json::json;
use vault_testkit::certs::certs;
use vault_testkit::odd_certs::file;
use vault_testkit::on_both;
use vault_testkit::raw::Raw;
use vault_testkit::server::{Listener, Server};

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

on_both! {
    a_byte_order_mark_is_skipped,
    a_folder_of_cas_is_read_to_its_ground_and_other_files_in_it_are_passed_over,
    what_cannot_be_used_of_the_applications_store_is_passed_over,
}

faults! { FAULTS, scripted;
    a_client_key_that_cannot_be_used_is_named_with_its_reason: "client key: encrypted, DER, PKCS#12, a public key, a request, a certificate, of a kind that is not supported", Settings, 78, AtOnce;
    a_client_certificate_that_cannot_be_used_is_named_with_its_reason: "client certificate: DER, PKCS#7, a key, a request, X.509 version 1, in the wrong order", Settings, 78, AtOnce;
    a_ca_that_was_garbled_on_its_way_is_told: "CA: line breaks lost or escaped, base64 once more, UTF-16, DER, OpenSSL's own form, a path for PEM or PEM for a path", Settings, 78, AtOnce;
    a_damaged_or_unreadable_file_in_a_folder_of_cas_is_named: "folder of CAs: a file that is damaged or cannot be read, or no CA at all", Settings, 78, AtOnce;
    nothing_of_the_applications_store_can_be_used: "`SSL_CERT_FILE`, `SSL_CERT_DIR`: nothing in them can be used", Settings, 78, AtOnce;
    a_fifo_is_never_waited_for: "CA, client certificate or key: a FIFO or a device", Settings, 78, AtOnce;
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

/// A run that ends with this in its settings.
fn refused(settings: &[(&str, &str)], message: &str) {
    let raw = Raw::start([]);
    settings
        .iter()
        .fold(Scenario::against(&raw), |it, (name, value)| it.env(name, value))
        .run()
        .expect_failure(78, message);
    assert_eq!(raw.connections(), 0);
}

fn a_client_key_that_cannot_be_used_is_named_with_its_reason() {
    let give = "give the client certificate's private key in PEM";
    let encrypted = "the key is encrypted, and no password can be given; \
                     decrypt it with openssl pkey, and protect the file by its mode";
    let unsupported = "the key is damaged, or of a kind that is not supported; \
                       use a key on P-256 or P-384, Ed25519, or RSA of 2048 bits or more";
    for (key, message) in [
        ("client-encrypted.key", encrypted),
        ("client-encrypted-ec.key", encrypted),
        ("client.key.der", "DER, not PEM; convert it with openssl pkey -inform der"),
        ("client.p12", "PKCS#12, not PEM; take certificate and key out of it with openssl pkcs12 -nodes"),
        ("client.pub", &format!("a public key, not a private one; {give}")),
        ("client.csr", &format!("a certificate request, not a key; {give}")),
        ("client.pem", &format!("a certificate, not a private key; {give}")),
        ("log", &format!("no private key in PEM in it; {give}")),
        ("p521.key", unsupported),
        ("rsa1024.key", unsupported),
        ("ed448.key", unsupported),
    ] {
        let Some(key) = file(key) else { return };
        let certificate = text(&certs().client.certificate_file);
        let message = format!("VAULT_CLIENT_KEY = \"{{any}}\": {message}");
        refused(&[("VAULT_CLIENT_CERT", certificate), ("VAULT_CLIENT_KEY", text(&key))], &message);
    }
}

fn a_client_certificate_that_cannot_be_used_is_named_with_its_reason() {
    let give = "give the client certificate in PEM";
    let key = &certs().client.key_file;
    for (certificate, key, message) in [
        ("client.der", "client.key", "DER, not PEM; convert it with openssl x509 -inform der"),
        ("client.p7", "client.key", "PKCS#7, not PEM of a certificate; convert it with openssl pkcs7 -print_certs"),
        ("client.p7.der", "client.key", "PKCS#7, not PEM of a certificate; convert it with openssl pkcs7 -print_certs"),
        ("client.key", "client.key", &format!("a private key, not a certificate; {give}")),
        ("client-encrypted.key", "client.key", &format!("a private key, not a certificate; {give}")),
        (
            "client.csr",
            "client.key",
            "a certificate request, not a certificate; give the certificate that the authority has made of it",
        ),
        (
            "version-1.pem",
            "version-1.key",
            "the certificate is damaged, or not X.509 version 3; issue another one for the key",
        ),
    ] {
        let (Some(certificate), Some(key)) = (file(certificate), file(key)) else { return };
        let message = format!("VAULT_CLIENT_CERT = \"{{any}}\": {message}");
        refused(&[("VAULT_CLIENT_CERT", text(&certificate)), ("VAULT_CLIENT_KEY", text(&key))], &message);
    }
    let folder = tempfile::tempdir().unwrap();
    let reversed = folder.path().join("chain.pem");
    fs::write(&reversed, format!("{}{}", certs().ca.certificate, certs().client.certificate)).unwrap();
    refused(
        &[("VAULT_CLIENT_CERT", text(&reversed)), ("VAULT_CLIENT_KEY", text(key))],
        "VAULT_CLIENT_CERT = \"{any}\": the key belongs to a later certificate of the file; \
         put that one first, and its chain after it",
    );
    refused(
        &[("VAULT_CLIENT_CERT", &certs().client.certificate), ("VAULT_CLIENT_KEY", text(key))],
        "VAULT_CLIENT_CERT: PEM itself, not a file's path; write it into a file, and set this to the file's path",
    );
}

/// `text` as another program would write its bytes in base64.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn a_ca_that_was_garbled_on_its_way_is_told() {
    let pem = &certs().ca.certificate;
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let lines = "put each line of the PEM on a line of its own";
    for (bytes, message) in [
        (pem.replace('\n', "\\n"), format!("its line breaks are written as \\n; {lines}")),
        (pem.replace('\n', " "), format!("its line breaks are lost; {lines}")),
        (pem.replace('\n', ""), format!("its line breaks are lost; {lines}")),
        (
            pem.replace('\n', "\n  "),
            "no certificate in it can be read; give PEM with at least one CA certificate".into(),
        ),
        (
            format!("ca: |\n  {}", pem.replace('\n', "\n  ")),
            "its lines are indented; begin each line of the PEM at the margin".into(),
        ),
        (base64(pem.as_bytes()), "PEM in base64 once more; decode it with base64 -d".into()),
        (der, "base64 without BEGIN and END lines; put these lines around it".into()),
        (text(&certs().ca.certificate_file).into(), "a file's path, not PEM; set VAULT_CACERT to it".into()),
    ] {
        refused(&[("VAULT_CACERT_BYTES", &bytes)], &format!("VAULT_CACERT_BYTES: {message}"));
    }
    refused(&[("VAULT_CACERT", pem)], "VAULT_CACERT: PEM itself, not a file's path; set VAULT_CACERT_BYTES to it");
    let folder = tempfile::tempdir().unwrap();
    let wide = folder.path().join("wide.pem");
    fs::write(&wide, [0xfeff].into_iter().chain(pem.encode_utf16()).flat_map(u16::to_le_bytes).collect::<Vec<_>>())
        .unwrap();
    let (Some(der), Some(trusted)) = (file("ca.der"), file("ca.trusted")) else { return };
    for (path, message) in [
        (&wide, "text in UTF-16; write it in ASCII or UTF-8"),
        (&der, "DER, not PEM; convert it with openssl x509 -inform der"),
        (&trusted, "a certificate in OpenSSL's own form (BEGIN TRUSTED CERTIFICATE); convert it with openssl x509"),
    ] {
        refused(&[("VAULT_CACERT", text(path))], &format!("VAULT_CACERT = \"{{any}}\": {message}"));
    }
}

fn scenario(server: &Server) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).kubernetes()
}

fn started() -> Expect {
    Expect::started().env([("A", "a-secret")])
}

fn a_byte_order_mark_is_skipped(server: &Server) {
    let scenario = scenario(server).tls(Listener::MutualTls);
    let mark = |name: &str, pem: &str| {
        let path = scenario.file(name);
        fs::write(&path, format!("\u{feff}{pem}")).expect("a file is written");
        path
    };
    let (ca, client) = (&certs().ca, &certs().client);
    // The first one hides nothing, and the second one, where files were joined, does not either.
    let cas = mark("ca.pem", &format!("{}\u{feff}{}", certs().stranger_ca.certificate, ca.certificate));
    let (certificate, key) = (mark("client.pem", &client.certificate), mark("client.key", &client.key));
    let scenario = scenario.env("VAULT_CACERT", cas).env("VAULT_CLIENT_CERT", certificate);
    scenario.env("VAULT_CLIENT_KEY", key).run().expect(started());
}

/// A folder with what lies in such folders beside CAs.
fn folder_with_others(scenario: &Scenario) -> PathBuf {
    let folder = scenario.file("cas");
    fs::create_dir_all(folder.join("more/java")).expect("a folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file is written");
    write("README", b"Put certificates here.\n");
    write("empty", b"");
    write("tls.key", certs().good.key.as_bytes());
    write("more/java/cacerts", b"\xfe\xed\xfe\xed\0\0\0\x02");
    nix::unistd::mkfifo(&folder.join("fifo"), Mode::S_IRWXU).expect("a FIFO");
    symlink(".", folder.join("more/loop")).expect("a link");
    folder
}

fn a_folder_of_cas_is_read_to_its_ground_and_other_files_in_it_are_passed_over(server: &Server) {
    let scenario = scenario(server).tls(Listener::Tls).unset("VAULT_CACERT").env("VAULT_CAPATH", "{folder}/cas");
    let folder = folder_with_others(&scenario);
    fs::write(folder.join("more/ca.crt"), &certs().ca.certificate).expect("a file is written");
    scenario.run().expect(started());
}

/// A file that nobody reads, root neither.
fn large(path: &Path) {
    fs::File::create(path).and_then(|file| file.set_len(17 << 20)).expect("a sparse file");
}

fn a_damaged_or_unreadable_file_in_a_folder_of_cas_is_named() {
    let raw = Raw::start([]);
    let base = || Scenario::against(&raw).env("VAULT_CAPATH", "{folder}/cas");
    let scenario = base();
    folder_with_others(&scenario);
    scenario.run().expect_failure(
        78,
        "VAULT_CAPATH = \"{any}/cas\": no certificate in PEM in any file of it; give PEM with at least one CA certificate",
    );
    let pem = &certs().ca.certificate;
    let give = "give PEM with at least one CA certificate";
    let (head, _) = pem.split_at(pem.len() / 2);
    for (bytes, message) in [
        (head.to_owned(), format!("no certificate in it can be read; {give}")),
        (pem.replace('\n', " "), "its line breaks are lost; put each line of the PEM on a line of its own".into()),
    ] {
        let scenario = base();
        let folder = folder_with_others(&scenario);
        fs::write(folder.join("a.crt"), pem).unwrap();
        fs::write(folder.join("more/b.crt"), bytes).unwrap();
        scenario
            .run()
            .expect_failure(78, &format!("VAULT_CAPATH = \"{{any}}/cas\": {{folder}}/cas/more/b.crt: {message}"));
    }
    let scenario = base();
    let folder = folder_with_others(&scenario);
    symlink("/nowhere", folder.join("b.crt")).unwrap();
    scenario
        .run()
        .expect_failure(78, &format!("VAULT_CAPATH = \"{{any}}/cas\": {{folder}}/cas/b.crt: not found; {give}"));
    let scenario = base();
    large(&folder_with_others(&scenario).join("b.crt"));
    scenario.run().expect_failure(
        78,
        &format!("VAULT_CAPATH = \"{{any}}/cas\": {{folder}}/cas/b.crt: larger than 16 MiB; {give}"),
    );
    let scenario = base();
    let deep = (0..12).fold(scenario.file("cas"), |path, _| path.join("deeper"));
    fs::create_dir_all(deep).unwrap();
    scenario.run().expect_failure(
        78,
        &format!("VAULT_CAPATH = \"{{any}}/cas\": {{any}}/deeper: more than 8 folders deep; {give}"),
    );
    assert_eq!(raw.connections(), 0);
}

fn what_cannot_be_used_of_the_applications_store_is_passed_over(server: &Server) {
    let scenario = scenario(server).tls(Listener::Tls).unset("VAULT_CACERT").env("SSL_CERT_FILE", "/nowhere/ca.pem");
    let folder = folder_with_others(&scenario);
    fs::write(folder.join("ca.crt"), &certs().ca.certificate).expect("a file is written");
    fs::write(folder.join("damaged.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n").expect("a file is written");
    fs::write(folder.join("secret.crt"), &certs().stranger_ca.certificate).expect("a file is written");
    fs::set_permissions(folder.join("secret.crt"), fs::Permissions::from_mode(0o000)).expect("a mode is set");
    large(&folder.join("large.crt"));
    if let Some(trusted) = file("ca.trusted") {
        fs::copy(trusted, folder.join("ca-bundle.trust.crt")).expect("a file is copied");
    }
    scenario.env("SSL_CERT_DIR", "/nowhere/certs:{folder}/cas:").run().expect(started());
}

fn nothing_of_the_applications_store_can_be_used() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).at("https://127.0.0.1:1").env("SSL_CERT_FILE", "/nowhere/ca.pem");
    folder_with_others(&scenario);
    let scenario = scenario.env("SSL_CERT_DIR", "{folder}/cas:/nowhere/certs");
    let outcome = scenario.run();
    let log: Vec<_> = outcome.log().iter().map(|line| (*line).to_owned()).collect();
    let folder = scenario.expand("{folder}");
    let ends = [
        r#"SSL_CERT_FILE = "/nowhere/ca.pem": not found; correct it, or set VAULT_CACERT"#.to_owned(),
        format!(
            r#"SSL_CERT_DIR = "{folder}/cas": no certificate in PEM in any file of it; correct it, or set VAULT_CACERT"#
        ),
        r#"SSL_CERT_DIR = "/nowhere/certs": not found; correct it, or set VAULT_CACERT"#.to_owned(),
    ];
    assert_eq!(log.len(), ends.len(), "{log:?}");
    for (line, end) in log.iter().zip(ends) {
        assert!(line.ends_with(&end), "{line} is not {end}");
    }
    assert_eq!(outcome.code(), 78);
}

fn a_fifo_is_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let client = &certs().client;
    let (certificate, key) = (text(&client.certificate_file), text(&client.key_file));
    let authority = "not a regular file; give PEM with at least one CA certificate";
    let readable = "not a regular file; give a PEM file that this user can read";
    for path in [text(&fifo), "/dev/zero"] {
        for setting in ["VAULT_CACERT", "VAULT_CAPATH"] {
            refused(&[(setting, path)], &format!("{setting} = \"{{any}}\": {authority}"));
        }
        for (certificate, key, wrong) in [(path, key, "VAULT_CLIENT_CERT"), (certificate, path, "VAULT_CLIENT_KEY")] {
            let settings = [("VAULT_CLIENT_CERT", certificate), ("VAULT_CLIENT_KEY", key)];
            refused(&settings, &format!("{wrong} = \"{{any}}\": {readable}"));
        }
    }
}
