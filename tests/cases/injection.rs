//! What whoever writes the secret could do with a variable's name: each attack works where its name is permitted, and
//! is refused where it is not.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vault_exec::secrets::name::{Verdict, judge};
use vault_testkit::raw::{READ, Raw, Reply};

use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

/// Variables, and a program that they make run something else than it should. `{folder}` holds the files below, `{mark}`
/// is the file whose coming shows that it did.
type Attack = (&'static [(&'static str, &'static str)], &'static [&'static str]);

#[rustfmt::skip]
const ATTACKS: &[Attack] = &[
    // The loader
    (&[("LD_PRELOAD", "{folder}/evil.so")], &["/bin/true"]),
    (&[("LD_AUDIT", "{folder}/evil.so")], &["/bin/true"]),
    (&[("ld_preload", "x"), ("LD_PRELOAD", "{folder}/evil.so")], &["/bin/true"]),
    (&[("OPENSSL_CONF", "{folder}/openssl.cnf")], &["/usr/bin/openssl", "list", "-providers"]),
    // Shells
    (&[("ENV", "{folder}/evil.sh")], &["/bin/sh", "-i"]),
    (&[("BASH_ENV", "{folder}/evil.sh")], &["/bin/bash", "-c", "true"]),
    (&[("BASH_FUNC_ls%%", "() { : >'{mark}'; }")], &["/bin/bash", "-c", "ls"]),
    (&[("PROMPT_COMMAND", ": >'{mark}'")], &["/bin/bash", "--norc", "-i"]),
    (&[("PS1", "$(: >'{mark}')")], &["/bin/bash", "--norc", "-i"]),
    // SHELLOPTS=xtrace with PS4 is no attack on root any more; bash takes PS4 from others only
    (&[("PATH", "{folder}")], &["/bin/sh", "-c", "ls"]),
    (&[("HOME", "{folder}")], &["/bin/bash", "-i"]),
    (&[("OPENSSL_MODULES", "{folder}")], &["/usr/bin/openssl", "list", "-providers", "-provider", "evil"]),
    // Archives, make, compilers
    (&[("TAR_OPTIONS", "--checkpoint=1 --checkpoint-action=exec={folder}/ls")], &["/usr/bin/tar", "-cf", "{folder}/x", "/etc/passwd"]),
    (&[("MAKEFLAGS", "--eval=$$(shell\\ {folder}/ls)")], &["/usr/bin/make", "-f", "/dev/null"]),
    (&[("GNUMAKEFLAGS", "--eval=$$(shell\\ {folder}/ls)")], &["/usr/bin/make", "-f", "/dev/null"]),
    (&[("MAKEFILES", "{folder}/evil.mk")], &["/usr/bin/make", "-f", "/dev/null"]),
    (&[("CC", "{folder}/ls")], &["/usr/bin/make", "-C", "{folder}", "-f", "/dev/null", "evil"]),
    (&[("COMPILER_PATH", "{folder}")], &["/usr/bin/gcc", "-c", "-o", "/dev/null", "{folder}/evil.c"]),
    (&[("GCC_EXEC_PREFIX", "{folder}/")], &["/usr/bin/gcc", "-c", "-o", "/dev/null", "{folder}/evil.c"]),
    // D-Bus, GLib, Tcl
    (&[("DBUS_SYSTEM_BUS_ADDRESS", "unixexec:path={folder}/ls")], &["/usr/bin/dbus-send", "--system", "/a", "a.b.C"]),
    (&[("DBUS_SESSION_BUS_ADDRESS", "unixexec:path={folder}/ls")], &["/usr/bin/dbus-send", "--session", "/a", "a.b.C"]),
    (&[("GIO_MODULE_DIR", "{folder}")], &["/usr/bin/gio", "list", "/"]),
    (&[("GIO_EXTRA_MODULES", "{folder}")], &["/usr/bin/gio", "list", "/"]),
    (&[("TCLLIBPATH", "{folder}")], &["/usr/bin/tclsh", "{folder}/require.tcl"]),
    // Editors and pagers
    (&[("LESS", "-EXO{mark}")], &["/usr/bin/script", "-qec", "echo x | less", "/dev/null"]),
    (&[("MANPAGER", "{folder}/ls")], &["/usr/bin/script", "-qec", "man -l {folder}/evil.1", "/dev/null"]),
    (&[("PAGER", "{folder}/ls")], &["/usr/bin/script", "-qec", "git -C {folder} -p help -a", "/dev/null"]),
    (&[("EDITOR", "{folder}/ls")], &["/usr/bin/git", "config", "--edit", "-f", "{folder}/x"]),
    (&[("BROWSER", "{folder}/ls")], &["/usr/bin/python3", "-m", "webbrowser", "x"]),
    (&[("VIMINIT", "silent !{folder}/ls")], &["/usr/bin/script", "-qec", "vim -c q", "/dev/null"]),
    // Clients
    (&[("WGETRC", "{folder}/wgetrc")], &["/usr/bin/wget", "http://127.0.0.1:1/"]),
    (&[("CURL_HOME", "{folder}")], &["/usr/bin/curl", "file:///etc/hostname"]),
    (&[("SSH_ASKPASS", "{folder}/ls"), ("SSH_ASKPASS_REQUIRE", "force")], &["/usr/bin/ssh-keygen", "-y", "-f", "{folder}/key"]),
    (&[("RSYNC_RSH", "{folder}/ls")], &["/usr/bin/rsync", "nowhere:x", "{folder}/y"]),
    (&[("KUBECONFIG", "{folder}/kubeconfig")], &["/usr/bin/kubectl", "get", "pods"]),
    (&[("TF_LOG", "trace"), ("TF_LOG_PATH", "{mark}")], &["/usr/local/bin/terraform", "version"]),
    (&[("GOFLAGS", "-toolexec={folder}/ls"), ("GOCACHE", "{folder}/cache"), ("GOPATH", "{folder}")], &["/usr/local/go/bin/go", "build", "-o", "/dev/null", "{folder}/evil.go"]),
    (&[("GIT_TRACE", "{mark}")], &["/usr/bin/git", "version"]),
    (&[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "alias.x"), ("GIT_CONFIG_VALUE_0", "!{folder}/ls")], &["/usr/bin/git", "x"]),
    (&[("GIT_EXEC_PATH", "{folder}")], &["/usr/bin/git", "evil"]),
    // Programs that others start
    (&[("LESSOPEN", "|: >'{mark}'; cat %s")], &["/usr/bin/less", "{folder}/evil.sh"]),
    (&[("GIT_SSH_COMMAND", ": >'{mark}';")], &["/usr/bin/git", "ls-remote", "ssh://nowhere.invalid/x"]),
    // Languages
    (&[("PYTHONPATH", "{folder}")], &["/usr/bin/python3", "-c", "pass"]),
    (&[("PYTHONOPTIMIZE", "1")], &["/usr/bin/python3", "{folder}/asserts.py"]),
    (&[("PYTHONWARNINGS", "all:0:antigravity.x:0:0"), ("BROWSER", "{folder}/ls")], &["/usr/bin/python3", "-c", "pass"]),
    (&[("PYTHONSTARTUP", "{folder}/sitecustomize.py")], &["/usr/bin/python3", "-i"]),
    (&[("PYTHONBREAKPOINT", "os.system")], &["/usr/bin/python3", "-c", "breakpoint(\": >'{mark}'\")"]),
    (&[("PERL5OPT", "-I{folder} -Mevil")], &["/usr/bin/perl", "-e", "1"]),
    (&[("PERL5LIB", "{folder}")], &["/usr/bin/perl", "-e", "use evil"]),
    (&[("PERL5DB", "BEGIN { open my $f, '>', '{mark}' }")], &["/usr/bin/perl", "-d", "-e", "1"]),
    (&[("PERL_RL", "x(sub{BEGIN{system(q(>{mark}))}});")], &["/usr/bin/perl", "-MTerm::ReadLine", "-e", "Term::ReadLine->new(1)"]),
    (&[("_PYTHON_SYSCONFIGDATA_NAME", "evil")], &["/bin/sh", "-c", "cd {folder} && exec python3 -c 'import sysconfig; sysconfig.get_config_vars()'"]),
    (&[("DEBIAN_FRONTEND", "noninteractive;BEGIN{system(q(: >{mark}))}#")], &["/usr/share/debconf/frontend", "/bin/true"]),
    (&[("NODE_OPTIONS", "--require={folder}/evil.js")], &["/usr/bin/node", "-e", "1"]),
    (&[("NODE_PATH", "{folder}")], &["/usr/bin/node", "-e", "require('evil')"]),
    (&[("NODE_REDIRECT_WARNINGS", "{mark}")], &["/usr/bin/node", "-e", "process.emitWarning('x')"]),
    (&[("NODE_REPL_EXTERNAL_MODULE", "{folder}/evil.js")], &["/usr/bin/node", "-i"]),
    (&[("RUBYOPT", "-r{folder}/evil.rb")], &["/usr/bin/ruby", "-e", "1"]),
    (&[("BUNDLE_GEMFILE", "{folder}/evil.rb")], &["/usr/bin/bundle", "check"]),
    (&[("RUBYLIB", "{folder}")], &["/usr/bin/ruby", "-e", "require 'evil'"]),
    (&[("LUA_INIT", "io.open('{mark}', 'w')")], &["/usr/bin/lua5.4", "-e", ""]),
    (&[("LUA_PATH", "{folder}/?.lua")], &["/usr/bin/lua5.4", "-e", "require 'evil'"]),
    (&[("PHPRC", "{folder}/evil.ini")], &["/usr/bin/php", "-f", "/dev/null"]),
    (&[("PHP_INI_SCAN_DIR", "{folder}")], &["/usr/bin/php", "-f", "/dev/null"]),
    (&[("JAVA_TOOL_OPTIONS", "-Xlog:gc:file={mark}")], &["/usr/bin/java", "-version"]),
    (&[("JDK_JAVA_OPTIONS", "-Xlog:gc:file={mark}")], &["/usr/bin/java", "-version"]),
    (&[("_JAVA_OPTIONS", "-Xlog:gc:file={mark}")], &["/usr/bin/java", "-version"]),
];

/// What the attacks load.
#[rustfmt::skip]
const FILES: &[(&str, &str)] = &[
    ("evil.py", "open('{mark}', 'w')\n"),
    ("evil.sh", ": >'{mark}'\n"),
    (".bashrc", ": >'{mark}'\n"),
    ("ls", "#!/bin/sh\n: >'{mark}'\n"),
    ("as", "#!/bin/sh\n: >'{mark}'\n"),
    ("cc1", "#!/bin/sh\n: >'{mark}'\n"),
    ("git-evil", "#!/bin/sh\n: >'{mark}'\n"),
    ("evil.mk", "$(shell {folder}/ls)\nall:\n"),
    ("pkgIndex.tcl", "package ifneeded evil 1 { close [open {mark} w]; package provide evil 1 }\n"),
    ("require.tcl", "package require evil\n"),
    ("evil.1", ".TH evil 1\n"),
    ("evil.go", "package main\n\nfunc main() {}\n"),
    ("evil.lua", "io.open('{mark}', 'w')\n"),
    ("asserts.py", "try:\n    assert False\n    open('{mark}', 'w')\nexcept AssertionError:\n    pass\n"),
    ("token", "any-file-of-the-pod"),
    ("wgetrc", "logfile = {mark}\n"),
    (".curlrc", "output = {mark}\n"),
    ("kubeconfig", KUBECONFIG),
    ("sitecustomize.py", "open('{mark}', 'w')\n"),
    ("evil.pm", "open my $f, '>', '{mark}'; 1;\n"),
    ("evil.js", "require('fs').writeFileSync('{mark}', '')\n"),
    ("evil.rb", "File.write('{mark}', '')\n"),
    ("evil.php", "<?php touch('{mark}');\n"),
    ("evil.ini", "auto_prepend_file={folder}/evil.php\n"),
];

const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: x\n\
    clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n\
    users: [{name: x, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: '{folder}/ls', interactiveMode: Never}}}]\n";

const EVIL_C: &str = "#include <stdio.h>\n__attribute__((constructor)) static void run(void) { fopen(\"{mark}\", \"w\"); }\n\
                      unsigned la_version(unsigned version) { return version; }\n";

const OPENSSL_CNF: &str =
    "openssl_conf = a\n[a]\nproviders = b\n[b]\nc = d\n[d]\nmodule = {folder}/evil.so\nactivate = 1\n";

fn arm(folder: &Path, filled: &dyn Fn(&str) -> String) {
    for (name, text) in FILES.iter().copied().chain([("evil.c", EVIL_C), ("openssl.cnf", OPENSSL_CNF)]) {
        fs::write(folder.join(name), filled(text)).expect("a file is written");
    }
    for program in ["ls", "as", "cc1", "git-evil"] {
        fs::set_permissions(folder.join(program), fs::Permissions::from_mode(0o755)).expect("a mode is set");
    }
    let _ = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "password", "-f", "key"])
        .current_dir(folder)
        .status();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o", "evil.so", "evil.c"]).current_dir(folder).status();
    assert!(made.expect("a C compiler, which the build needs too").success());
    // The name that GLib looks for.
    fs::copy(folder.join("evil.so"), folder.join("libevil.so")).expect("a library is copied");
}

/// Variables, and a program that they make send to `{port}` what it should not, or should send elsewhere.
#[rustfmt::skip]
const DIVERSIONS: &[Attack] = &[
    (&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:{port}/"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "{folder}/token")],
     &["aws", "sts", "get-caller-identity"]),
    (&[("AWS_ENDPOINT_URL", "http://127.0.0.1:{port}")],
     &["env", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_DEFAULT_REGION=c", "aws", "sts", "get-caller-identity"]),
    (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:{port}/")], &["aws", "sts", "get-caller-identity"]),
    (&[("PGHOSTADDR", "127.0.0.1")], &["psql", "-h", "db.example", "-p", "{port}", "-c", "select 1"]),
    (&[("PIP_INDEX_URL", "http://127.0.0.1:{port}/")], &["pip", "download", "--retries=0", "--no-cache-dir", "-d", "{folder}", "a-b-c"]),
    (&[("http_proxy", "http://127.0.0.1:{port}")], &["curl", "-s", "http://a.example/"]),
    (&[("HTTPS_PROXY", "http://127.0.0.1:{port}")], &["curl", "-s", "https://a.example/"]),
    (&[("ALL_PROXY", "http://127.0.0.1:{port}")], &["curl", "-s", "https://a.example/"]),
    (&[("http_proxy", "http://127.0.0.1:{port}")], &["wget", "-qO-", "--tries=1", "http://a.example/"]),
    (&[("GOPROXY", "http://127.0.0.1:{port}"), ("GOPATH", "{folder}"), ("GOCACHE", "{folder}/cache"), ("GOFLAGS", "-modcacherw")],
     &["go", "install", "a.example/b@v1.0.0"]),
    (&[("NPM_CONFIG_REGISTRY", "http://127.0.0.1:{port}/"), ("NPM_CONFIG_FETCH_RETRIES", "0"), ("NPM_CONFIG_CACHE", "{folder}/npm")],
     &["npm", "view", "a-b-c"]),
    (&[("DOCKER_HOST", "tcp://127.0.0.1:{port}")], &["docker", "version"]),
    (&[("GIT_PROXY_COMMAND", "{folder}/ls")], &["git", "ls-remote", "git://a.example/b"]),
];

/// Where a program lies for whoever runs the tests.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Path::new(program).is_absolute() && Path::new(program).exists()
        || std::env::split_paths(&path).any(|folder| !program.starts_with('/') && folder.join(program).exists())
}

/// Each of them is refused, and works where its names are permitted.
fn assert_each_is_refused_and_works(attacks: &[Attack]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let asked = mark.clone();
    // It ends with the tests.
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 4096]);
            let _ = fs::write(&asked, "");
            let _ = client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let filled = |text: &str| {
        text.replace("{folder}", folder.path().to_str().expect("a text"))
            .replace("{mark}", mark.to_str().expect("a text"))
            .replace("{port}", &port)
    };
    arm(folder.path(), &filled);
    let mut harmless = Vec::new();
    for (variables, command) in attacks {
        let program = command.iter().find(|word| **word != "env" && !word.contains('=')).expect("a program");
        if !is_there(program) {
            eprintln!("skipped, because it is not there: {program}");
            continue;
        }
        let secret: Map<_, _> = variables.iter().map(|(name, value)| ((*name).into(), filled(value).into())).collect();
        let raw = Raw::start([(READ, vec![Reply::secret(&Value::Object(secret).to_string())])]);
        let names = variables.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let scenario = || {
            let words = command.iter().map(|word| filled(word));
            let scenario = Scenario::against(&raw).env("VAULT_LOG_LEVEL", "error").command(words);
            // A program of whoever runs the tests needs what they have.
            let (path, home) = (std::env::var_os("PATH"), std::env::var_os("HOME"));
            match path.zip(home).filter(|_| !command[0].starts_with('/')) {
                Some((path, home)) => scenario.env("PATH", path).env("HOME", home),
                None => scenario.env("PATH", "/usr/bin:/bin"),
            }
        };
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let refused = scenario();
        let outcome = refused.run();
        assert_eq!(outcome.code(), 65, "{}", outcome.describe());
        assert!(sorted.iter().all(|name| outcome.stderr.contains(name)) && outcome.stderr.contains("denied: "));
        assert!(!mark.exists(), "{names:?}");
        scenario().env("VAULT_ALLOW_NAMES", names.join(",")).run();
        if fs::remove_file(&mark).is_err() {
            harmless.push(names);
        }
    }
    assert!(harmless.is_empty(), "why are these denied? {harmless:?}");
}

#[test]
fn each_name_that_gets_code_run_where_it_is_permitted_is_refused_by_default() {
    assert_each_is_refused_and_works(ATTACKS);
}

#[test]
fn each_name_that_sends_a_program_elsewhere_where_it_is_permitted_is_refused_by_default() {
    assert_each_is_refused_and_works(DIVERSIONS);
}

#[test]
fn every_character_is_either_good_in_a_name_or_named_and_refused() {
    let characters =
        (0..=0x2ff).filter_map(char::from_u32).chain(['\u{202e}', '\u{2028}', '\u{feff}', '😀', '\u{10ffff}']);
    let (good, bad): (Vec<_>, Vec<_>) =
        characters.map(|it| format!("A{it}Z")).partition(|name| judge(name, &[]) == Verdict::Good);
    let printable = |name: &String| name.bytes().all(|it| (b' '..=b'~').contains(&it) && it != b'=');
    assert!(good.iter().all(printable) && !bad.iter().any(printable));
    let secret = |names: &[String]| {
        let members = names.iter().map(|name| (name.clone(), json!("v"))).collect::<Map<_, _>>();
        Reply::secret(&Value::from(members).to_string())
    };
    // So many that a message has room for all of them.
    let refused = bad.chunks(100);
    let raw = Raw::start([(READ, std::iter::once(&good[..]).chain(refused.clone()).map(secret).collect())]);
    Scenario::against(&raw).run().expect(Expect::started().env(good.iter().map(|name| (name.clone(), "v"))));
    for names in refused {
        let scenario = Scenario::against(&raw);
        let outcome = scenario.run();
        assert_eq!((outcome.code(), outcome.log().len()), (65, 1), "{}", outcome.describe());
        for name in names {
            assert!(outcome.stderr.contains(&format!("\"{}\"", name.escape_debug())), "{name:?}");
        }
    }
}

/// All that is ever sent.
const HEADERS: [&str; 9] = [
    "host",
    "x-vault-request",
    "x-vault-token",
    "x-vault-namespace",
    "user-agent",
    "accept",
    "accept-encoding",
    "content-type",
    "content-length",
];

/// Settings that end in a URL, a header or a body.
const CARRIED: [&str; 6] =
    ["VAULT_PATH", "VAULT_MOUNT_POINT", "VAULT_ROLE", "VAULT_K8S_AUTH_MOUNT_POINT", "VAULT_NAMESPACE", "VAULT_TOKEN"];

#[test]
fn no_character_of_a_setting_makes_another_request_of_it() {
    // Letters and digits mean nothing to anybody.
    let odd = (1..=0xff_u8).filter(|byte| !byte.is_ascii_alphanumeric() && (*byte < 0x82 || *byte > 0xfd));
    for byte in odd {
        for setting in CARRIED {
            let raw = Raw::start([]);
            let value = OsString::from_vec(vec![b'a', byte, b'b']);
            let scenario = Scenario::against(&raw).env(setting, value).env("VAULT_MAX_RETRIES", "0");
            scenario.env("VAULT_LOG_LEVEL", "off").run();
            for request in raw.whole_requests() {
                let (_, path) = request.line.split_once(' ').expect("a path");
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
                assert!(path.starts_with("/v1/") && path.bytes().all(plain) && !path.contains("%2F"), "{request:?}");
                let names = request.head.lines().filter_map(|line| line.split(':').next()).filter(|it| !it.is_empty());
                let other: Vec<_> = names.filter(|it| !HEADERS.contains(&it.to_ascii_lowercase().as_str())).collect();
                assert!(other.is_empty(), "{request:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_name_that_is_good_is_plain_and_not_denied_in_any_case(
        name in "\\PC{0,12}|[A-Z_]{1,12}|(LD|GIT|BASH)_[a-zA-Z]{0,6}|(x\n)?[ \t]?(PATH|Ld_Preload)[= \u{0}\r\u{a0}]\\PC{0,3}",
    ) {
        let verdict = judge(&name, &[]);
        let printable = !name.is_empty() && name.bytes().all(|it| (b' '..=b'~').contains(&it) && it != b'=');
        prop_assert_eq!(verdict, judge(&name.to_ascii_lowercase(), &[]));
        prop_assert!(printable || verdict != Verdict::Good);
        let allowed = judge(&name, std::slice::from_ref(&name));
        prop_assert_eq!(allowed, if printable { Verdict::Good } else { Verdict::Bad });
        let head = name.trim_start_matches("x\n").trim_start().split(['=', ' ', '\0', '\r', '\u{a0}']).next();
        if head.is_some_and(|head| ["PATH", "LD_PRELOAD"].contains(&&*head.to_ascii_uppercase())) {
            prop_assert_eq!(verdict, Verdict::Denied);
        }
    }
}
