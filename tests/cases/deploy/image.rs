//! The container image: what deploy/Dockerfile makes of this source, started as process 1 with nothing around it but
//! the image's own files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_testkit::certs::certs;
use vault_testkit::dns::{Dns, Says};
use vault_testkit::raw::Raw;
use vault_testkit::server::{Listener, Server};
use vault_testkit::unshare::permitted;
use vault_testkit::{missing, on_both, tally};

use super::{deploy, installed, tool};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;
use crate::support::system::{files, names};

pub(super) const FILES: &[&str] = &["Dockerfile"];

const VERSION: &str = concat!("vault-exec ", env!("CARGO_PKG_VERSION"), "\n");

/// The user and the group that the image names.
const USER: u32 = 65532;

/// What `tests/image` has left; `None` where it has not run.
fn image(test: &str) -> Option<PathBuf> {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/image");
    if !image.join("root").is_dir() && !missing("target/image; `just image` makes it") {
        tally::note("skipped", test);
        return None;
    }
    Some(image)
}

/// A copy of the image's files, to which a test adds what a pod would mount.
struct Root(TempDir);

impl Root {
    /// `None` where there is no image, or where nobody may change the root.
    fn new(test: &str) -> Option<Self> {
        let image = image(test)?;
        permitted(test, &["--pid", "--fork", "--mount-proc", "--root=/"]).then_some(())?;
        let root = Self(tempfile::tempdir().unwrap());
        let copied = Command::new("cp").arg("--archive").arg(image.join("root/.")).arg(root.0.path()).status();
        assert!(copied.unwrap().success());
        fs::create_dir(root.path("proc")).unwrap();
        Some(root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    /// Puts an application there that shows what it was given, with the libraries that it needs.
    fn add_busybox(&self) {
        let listed = Command::new("ldd").arg("/usr/bin/busybox").output().unwrap().stdout;
        let listed = String::from_utf8(listed).unwrap();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.chain(["/usr/bin/busybox"]) {
            self.write(&file[1..], fs::read(file).unwrap());
            fs::set_permissions(self.path(&file[1..]), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// The scenario with the image's entrypoint as process 1, as the image's user.
    fn run_by_the_image<'a>(&self, scenario: Scenario<'a>) -> Scenario<'a> {
        let root = format!("--root={}", self.0.path().display());
        let [group, user] = ["gid", "uid"].map(|kind| format!("--set{kind}={USER}"));
        let unshare = ["--pid", "--fork", "--kill-child", "--mount-proc", &root, &group, &user, "--", "/vault-exec"];
        scenario.program("/usr/bin/unshare").first(unshare)
    }

    /// The same, with the JWT that a pod would mount.
    fn run_in_a_pod<'a>(&self, scenario: Scenario<'a>) -> Scenario<'a> {
        self.write("jwt", fs::read(scenario.file("jwt")).unwrap());
        self.run_by_the_image(scenario.env("VAULT_K8S_TOKEN_PATH", "/jwt"))
    }
}

#[test]
fn the_dockerfile_is_accepted_by_hadolint() {
    for file in FILES {
        match tool(installed("hadolint"), |it| it.arg("--no-color").arg(deploy(file))) {
            Some(said) => assert_eq!(String::from_utf8(said).unwrap(), ""),
            None => tally::note("skipped", "the_dockerfile_is_accepted_by_hadolint"),
        }
    }
}

#[test]
fn what_it_is_built_from_has_every_manifest_that_cargo_reads() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignored = fs::read_to_string(source.join(".dockerignore")).unwrap();
    let patterns = || ignored.lines().filter(|line| !line.starts_with('#') && *line != "*");
    let context = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    copy.args(["--recursive", "--parents"]).args(patterns().filter_map(|line| line.strip_prefix('!')));
    assert!(copy.arg(context.path()).current_dir(source).status().unwrap().success());
    for left_out in patterns().filter(|line| !line.starts_with('!')) {
        fs::remove_dir_all(context.path().join(left_out)).unwrap();
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]).current_dir(context.path());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn it_holds_the_program_and_the_authorities_and_nothing_else() {
    let Some(image) = image("it_holds_the_program_and_the_authorities_and_nothing_else") else { return };
    let files = files(&image.join("root"));
    let found: Vec<_> = files.iter().map(|(name, it)| (name.as_str(), it.mode(), it.uid())).collect();
    assert_eq!(found, [("etc/ssl/certs/ca-certificates.crt", 0o100_644, 0), ("vault-exec", 0o100_755, 0)]);
    let bytes: u64 = files.iter().map(|(_, it)| it.len()).sum();
    assert!(bytes <= 5_000_000, "{bytes}");
    let authorities = fs::read_to_string(image.join("root/etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(authorities.matches("BEGIN CERTIFICATE").count() > 50);
}

#[test]
fn it_is_configured_to_be_the_program_as_a_user_without_rights() {
    let Some(image) = image("it_is_configured_to_be_the_program_as_a_user_without_rights") else { return };
    let written: Value = serde_json::from_slice(&fs::read(image.join("config.json")).unwrap()).unwrap();
    let mut config = written["OCIv1"]["config"].clone();
    let labels = config["Labels"].as_object_mut().unwrap();
    // buildah's own, and a commit.
    labels.remove("io.buildah.version");
    let revision = labels.remove("org.opencontainers.image.revision").unwrap();
    assert!(revision.as_str().is_some_and(|it| it.len() == 40), "{revision}");
    // buildah's too; there is nothing to be found there.
    config["Env"].as_array_mut().unwrap().retain(|it| !it.as_str().unwrap().starts_with("PATH="));
    let expected = json!({
        "User": "65532:65532",
        "Env": [],
        "Entrypoint": ["/vault-exec"],
        "Labels": {
            "org.opencontainers.image.title": "vault-exec",
            "org.opencontainers.image.description": env!("CARGO_PKG_DESCRIPTION"),
            "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
        },
    });
    assert_eq!(config, expected);
}

#[test]
fn the_program_needs_nothing_beside_it() {
    let Some(root) = Root::new("the_program_needs_nothing_beside_it") else { return };
    fs::remove_dir_all(root.path("etc")).unwrap();
    let version = root.run_by_the_image(Scenario::offline()).no_command().options(["--version"]);
    version.run().expect(Expect::done().stdout(VERSION).stderr([""; 0]));
    let usage = "no COMMAND and no --env-file given; usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help";
    root.run_by_the_image(Scenario::offline()).no_command().run().expect_failure(64, usage);
    let itself = root.run_by_the_image(Scenario::offline()).command(["/vault-exec", "--version"]);
    itself.run().expect(Expect::done().stdout(VERSION).stderr([""; 0]));
}

#[test]
fn the_application_is_process_1_and_the_images_user() {
    let Some(root) = Root::new("the_application_is_process_1_and_the_images_user") else { return };
    root.add_busybox();
    let shown = ["/usr/bin/busybox", "sh", "-c", "echo process $$; /usr/bin/busybox id"];
    let scenario = root.run_by_the_image(Scenario::offline()).command(shown);
    let expected = "process 1\nuid=65532 gid=65532\n";
    scenario.run().expect(Expect::done().stdout(expected).stderr([""; 0]));
}

on_both!(a_whole_run, the_authorities_are_those_of_the_image);

fn a_whole_run(server: &Server) {
    let Some(root) = Root::new("a_whole_run") else { return };
    root.add_busybox();
    let secret = json!({"DATABASE_URL": "postgres://shop", "API_KEY": "a b\nc"});
    let scenario = root.run_in_a_pod(Scenario::new(server).secret(&secret).kubernetes());
    let scenario = scenario.command(["/usr/bin/busybox", "env", "-0"]);
    let outcome = scenario.run().expect(Expect::done().any_stdout());
    let mut found: Vec<_> = outcome.stdout.split_terminator('\0').collect();
    found.sort_unstable();
    let given = scenario.given_env().into_iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
    let mut expected: Vec<_> = given.chain(["API_KEY=a b\nc".into(), "DATABASE_URL=postgres://shop".into()]).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    outcome.expect_requests(["update auth/kubernetes/login", "read kv/data/{path}", "update auth/token/revoke-self"]);
}

fn the_authorities_are_those_of_the_image(server: &Server) {
    let Some(root) = Root::new("the_authorities_are_those_of_the_image") else { return };
    let scenario = Scenario::new(server).secret(&json!({})).kubernetes().tls(Listener::Tls).unset("VAULT_CACERT");
    let scenario = root.run_in_a_pod(scenario).command(["/vault-exec", "--version"]);
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 78, "{}", outcome.describe());
    fs::copy(&certs().ca.certificate_file, root.path("etc/ssl/certs/ca-certificates.crt")).unwrap();
    scenario.run().expect(Expect::done().stdout(VERSION));
}

/// A run against a server by name, in the image as it is but for what `prepare` adds.
fn named(test: &str, prepare: impl FnOnce(&Root)) {
    let Some(root) = Root::new(test) else { return };
    prepare(&root);
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).at(&format!("http://vault.test.:{}", raw.port()));
    let scenario = root.run_in_a_pod(scenario.env("VAULT_LOG_LEVEL", "error")).command(["/vault-exec", "--version"]);
    scenario.run().expect(Expect::done().stdout(VERSION).stderr([""; 0]));
    raw.expect_whole_run();
}

#[test]
fn a_name_is_found_in_the_hosts_file() {
    named("a_name_is_found_in_the_hosts_file", |root| root.write("etc/hosts", "127.0.0.1 vault.test vault.test.\n"));
}

#[test]
fn a_name_is_found_through_dns() {
    named("a_name_is_found_through_dns", |root| {
        let (dns, settings) = Dns::listen(9);
        dns.answer(Says::Localhost);
        root.write("etc/resolv.conf", settings);
    });
}

#[test]
fn where_an_image_lists_modules_that_it_does_not_have_a_name_is_found_all_the_same() {
    let test = "where_an_image_lists_modules_that_it_does_not_have_a_name_is_found_all_the_same";
    named(test, |root| {
        root.write("etc/nsswitch.conf", "hosts: mymachines resolve [!UNAVAIL=return] files dns\n");
        root.write("etc/hosts", "127.0.0.1 vault.test vault.test.\n");
    });
}

#[test]
fn it_installs_itself_into_a_volume() {
    let Some(root) = Root::new("it_installs_itself_into_a_volume") else { return };
    fs::create_dir(root.path("install")).unwrap();
    chown(root.path("install"), Some(USER), Some(USER)).unwrap();
    let scenario = root.run_by_the_image(Scenario::offline()).no_command().options(["--install", "/install"]);
    let line = "INFO  vault-exec: installed as /install/vault-exec";
    scenario.run().expect(Expect::done().stderr([line]));

    let copy = root.path("install/vault-exec");
    assert!(fs::read(&copy).unwrap() == fs::read(root.path("vault-exec")).unwrap());
    let metadata = fs::metadata(&copy).unwrap();
    assert_eq!((metadata.mode(), metadata.uid(), metadata.gid()), (0o100_755, USER, USER));
    assert_eq!(names(&root.path("install")), ["vault-exec"]);
    // The application's container mounts it, on a system that is not the image's.
    Scenario::offline().program(&copy).run().expect(Expect::started().untouched());
}
