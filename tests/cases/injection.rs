//! What whoever writes the secret could do with a variable's name: each attack works where its name is permitted, and
//! is refused where it is not.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vault_exec::secrets::name::{Verdict, judge};

use crate::support::expect::Expect;
use crate::support::raw::{READ, Raw, Reply};
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
    // Programs that others start
    (&[("LESSOPEN", "|: >'{mark}'; cat %s")], &["/usr/bin/less", "{folder}/evil.sh"]),
    (&[("GIT_SSH_COMMAND", ": >'{mark}';")], &["/usr/bin/git", "ls-remote", "ssh://nowhere.invalid/x"]),
    // Languages
    (&[("PYTHONPATH", "{folder}")], &["/usr/bin/python3", "-c", "pass"]),
    (&[("PYTHONSTARTUP", "{folder}/sitecustomize.py")], &["/usr/bin/python3", "-i"]),
    (&[("PYTHONBREAKPOINT", "os.system")], &["/usr/bin/python3", "-c", "breakpoint(\": >'{mark}'\")"]),
    (&[("PERL5OPT", "-I{folder} -Mevil")], &["/usr/bin/perl", "-e", "1"]),
    (&[("PERL5LIB", "{folder}")], &["/usr/bin/perl", "-e", "use evil"]),
    (&[("PERL5DB", "BEGIN { open my $f, '>', '{mark}' }")], &["/usr/bin/perl", "-d", "-e", "1"]),
    (&[("NODE_OPTIONS", "--require={folder}/evil.js")], &["/usr/bin/node", "-e", "1"]),
    (&[("NODE_PATH", "{folder}")], &["/usr/bin/node", "-e", "require('evil')"]),
    (&[("NODE_REPL_EXTERNAL_MODULE", "{folder}/evil.js")], &["/usr/bin/node", "-i"]),
    (&[("RUBYOPT", "-r{folder}/evil.rb")], &["/usr/bin/ruby", "-e", "1"]),
    (&[("RUBYLIB", "{folder}")], &["/usr/bin/ruby", "-e", "require 'evil'"]),
    (&[("LUA_INIT", "io.open('{mark}', 'w')")], &["/usr/bin/lua5.4", "-e", ""]),
    (&[("PHP_INI_SCAN_DIR", "{folder}")], &["/usr/bin/php", "-f", "/dev/null"]),
    (&[("JAVA_TOOL_OPTIONS", "-Xlog:gc:file={mark}")], &["/usr/bin/java", "-version"]),
    (&[("JDK_JAVA_OPTIONS", "-Xlog:gc:file={mark}")], &["/usr/bin/java", "-version"]),
    (&[("_JAVA_OPTIONS", "-Xlog:gc:file={mark}")], &["/usr/bin/java", "-version"]),
];

/// What the attacks load.
const FILES: [(&str, &str); 9] = [
    ("evil.sh", ": >'{mark}'\n"),
    (".bashrc", ": >'{mark}'\n"),
    ("ls", "#!/bin/sh\n: >'{mark}'\n"),
    ("sitecustomize.py", "open('{mark}', 'w')\n"),
    ("evil.pm", "open my $f, '>', '{mark}'; 1;\n"),
    ("evil.js", "require('fs').writeFileSync('{mark}', '')\n"),
    ("evil.rb", "File.write('{mark}', '')\n"),
    ("evil.php", "<?php touch('{mark}');\n"),
    ("evil.ini", "auto_prepend_file={folder}/evil.php\n"),
];

const EVIL_C: &str = "#include <stdio.h>\n__attribute__((constructor)) static void run(void) { fopen(\"{mark}\", \"w\"); }\n\
                      unsigned la_version(unsigned version) { return version; }\n";

const OPENSSL_CNF: &str =
    "openssl_conf = a\n[a]\nproviders = b\n[b]\nc = d\n[d]\nmodule = {folder}/evil.so\nactivate = 1\n";

fn arm(folder: &Path, filled: &dyn Fn(&str) -> String) {
    for (name, text) in FILES.iter().chain(&[("evil.c", EVIL_C), ("openssl.cnf", OPENSSL_CNF)]) {
        fs::write(folder.join(name), filled(text)).expect("a file is written");
    }
    fs::set_permissions(folder.join("ls"), fs::Permissions::from_mode(0o755)).expect("a mode is set");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o", "evil.so", "evil.c"]).current_dir(folder).status();
    assert!(made.expect("a C compiler, which the build needs too").success());
}

#[test]
fn each_name_that_gets_code_run_where_it_is_permitted_is_refused_by_default() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let filled = |text: &str| {
        text.replace("{folder}", folder.path().to_str().expect("a text"))
            .replace("{mark}", mark.to_str().expect("a text"))
    };
    arm(folder.path(), &filled);
    let mut harmless = Vec::new();
    for (variables, command) in ATTACKS {
        if !Path::new(command[0]).exists() {
            eprintln!("skipped, because it is not there: {}", command[0]);
            continue;
        }
        let secret: Map<_, _> = variables.iter().map(|(name, value)| ((*name).into(), filled(value).into())).collect();
        let raw = Raw::start([(READ, vec![Reply::secret(&Value::Object(secret).to_string())])]);
        let names = variables.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let scenario = || {
            let command = command.iter().map(|word| filled(word));
            Scenario::against(&raw).env("PATH", "/usr/bin:/bin").env("VAULT_LOG_LEVEL", "error").command(command)
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
    fn a_name_that_is_good_is_plain_and_not_denied_in_any_case(name in "\\PC{0,12}|[A-Z_]{1,12}|(LD|GIT|BASH)_[a-zA-Z]{0,6}") {
        let verdict = judge(&name, &[]);
        prop_assert_eq!(verdict, judge(&name.to_ascii_lowercase(), &[]));
        prop_assert_eq!(verdict == Verdict::Bad, name.is_empty() || !name.bytes().all(|it| (b' '..=b'~').contains(&it) && it != b'='));
        prop_assert_eq!(judge(&name, std::slice::from_ref(&name)) == Verdict::Bad, verdict == Verdict::Bad);
    }
}
