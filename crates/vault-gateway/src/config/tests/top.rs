use std::path::Path;

use super::*;

#[test]
fn an_empty_file_lacks_three_things() {
    assert_eq!(
        faults("", &[]),
        [
            "listen: is missing; write an address with a port, 127.0.0.1:8443",
            "tenant: is missing; add [[tenant]] with its name and mount",
            "issuer: is missing; add [[issuer]] with its url and audience",
        ]
    );
}

#[test]
fn everything_that_is_wrong_at_the_top_is_reported_at_once() {
    let text = r#"
listn = "127.0.0.1:1"
listen = "localhost:8443"
ops = 9090
audit = "audit.log"
log = "inof"
plain = "yes"
drain = 30
"odd\nkey" = 1
cache = 5
[tls]
cert = "nope.crt"
keys = "tls.key"
client_ca = "."
[limits]
rate = -1
concurrent = 0
header_bytes = 1023
body_bytes = "1M"
request = "0s"
head = "5 parsecs"
remember_tokens = "2days"
connections = 1.5
[[tenant]]
name = "team-a"
[issuer]
url = "https://idp.example"
[[rule]]
"#;
    assert_eq!(
        faults(text, &[]),
        [
            r#"listen: "localhost:8443" is no address with a port; write one like 127.0.0.1:8443 or [::]:8443"#,
            "ops: is a whole number; write a text in quotes",
            r#"audit: "audit.log" is neither stdout nor an absolute path; write stdout, or a path that begins with /"#,
            r#"log: "inof" is no level; write info"#,
            "plain: is a text; write true or false without quotes",
            r#"drain: is a whole number; write a number with its unit in quotes: "250ms", "30s" or "1m""#,
            "[tls] cert: the file FOLDER/nope.crt is missing; put it there, or name another one",
            "[tls] key: is missing; name the file with the key of the certificate, PEM",
            "[tls] client_ca: FOLDER/. is no file; name a file",
            "[tls] keys: is an unknown key; write key",
            "issuer: is a single table; write [[issuer]] with two brackets",
            "[[rule]] 1 tenant: is missing; write the name of a tenant",
            "[[rule]] 1 claim: is missing or empty; write the claims that must hold, or everyone = true",
            "[[rule]] 1 allow: is missing or empty, and deny too; write what is allowed or denied",
            r#"[[rule]] 1 paths: is missing; write the paths that it is about, ["**"] for all"#,
            "cache: is a whole number; write a table",
            "[limits] rate: -1 is too small; write a whole number from 0 to 1000000",
            "[limits] concurrent: 0 is too small; write a whole number from 1 to 1000000",
            "[limits] connections: is a fraction; write a whole number from 1 to 1000000",
            "[limits] header_bytes: 1023 is too small; write a whole number from 1024 to 1048576",
            "[limits] body_bytes: is a text; write a whole number from 1 to 1073741824",
            r#"[limits] request: "0s" is too short; write a time from 1ms to 1day"#,
            r#"[limits] head: "5 parsecs" is no time; write a number with its unit in quotes: "250ms", "30s" or "1m""#,
            r#"[limits] remember_tokens: "2days" is too long; write a time from 0s to 1day"#,
            "listn: is an unknown key; write listen",
            r"odd\nkey: is an unknown key; remove it; the keys here are listen, ops, audit, log, plain, drain, tls, tenant, issuer, rule, schema, cache, limits",
        ]
    );
}

#[test]
fn http_to_other_machines_must_be_asked_for() {
    let refused = "listen: serves other machines without [tls], so that tokens could be read on the way; add [tls], or write plain = true where a mesh ends TLS";
    let tls = "[tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"\n";
    for (listen, more, tls, lines) in [
        ("0.0.0.0:1", "", "", &[refused][..]),
        ("[::]:1", "plain = false", "", &[refused]),
        ("10.0.0.1:1", "plain = true", "", &[]),
        ("10.0.0.1:1", "", tls, &[]),
        ("10.0.0.1:1", "plain = false", tls, &[]),
        ("10.0.0.1:1", "plain = true", tls, &["plain: has no effect beside [tls]; remove one of the two"]),
        ("127.0.0.2:1", "", "", &[]),
        ("[::1]:1", "", "", &[]),
        ("127.0.0.1:9090", "", "", &["ops: is the same address as listen; write another port, or off"]),
        ("127.0.0.1:9090", "ops = \"off\"", "", &[]),
        ("127.0.0.1:0", "ops = \"127.0.0.1:0\"", "", &[]),
    ] {
        let text = LEAST.replace("\"127.0.0.1:8443\"", &format!("\"{listen}\"\n{more}"));
        assert_eq!(faults(&format!("{text}{tls}"), &[]), lines, "{listen} {more} {tls}");
    }
}

#[test]
fn a_filter_of_the_log_lets_lines_of_the_service_through_or_is_off() {
    let no_level = |word: &str| {
        format!("log: \"{word}\" is no level; write one of error, warn, info, debug, trace, off, or TARGET=LEVEL")
    };
    let silent = |text: &str| {
        format!("log: \"{text}\" lets no line of the service through; write a level first: info,TARGET=debug")
    };
    let text = |text: &str| vec![text.to_owned()];
    for (log, lines) in [
        ("off", vec![]),
        ("DEBUG", vec![]),
        ("3", vec![]),
        ("info,vault_gateway::cache=trace", vec![]),
        ("info,hyper=debug", vec![]),
        ("vault_gateway=debug", vec![]),
        ("hyper=debug,vault_gateway::cache=info", vec![]),
        ("verbose", vec![no_level("verbose")]),
        ("warning", vec![no_level("warning")]),
        ("vault_gateway", vec![no_level("vault_gateway")]),
        ("infos", text(r#"log: "infos" is no level; write info"#)),
        ("info,debgu", text(r#"log: "debgu" is no level; write debug"#)),
        ("info,vault_gatewya=debug", text(r#"log: "vault_gatewya" is no target of the service; write vault_gateway"#)),
        ("vault-gateway::x=debug", text(r#"log: "vault-gateway::x" is no target of the service; write vault_gateway"#)),
        ("hyper=debug", vec![silent("hyper=debug")]),
        ("a=loud", text(r#"log: "a=loud" is no filter; write a level, or a list like info,vault_gateway=debug"#)),
    ] {
        assert_eq!(faults(&format!("log = \"{log}\"{LEAST}"), &[]), lines, "{log}");
    }
}

#[test]
fn a_file_for_the_audit_is_in_a_folder_that_is_there() {
    for (audit, kind, line) in [
        ("FOLDER/nope/a.log", FaultKind::Missing, "the folder FOLDER/nope is missing; make it, or name another file"),
        ("FOLDER/jwt/a.log", FaultKind::Wrong, "FOLDER/jwt is no folder; name another file"),
        ("FOLDER", FaultKind::Wrong, "FOLDER is a folder; name a file"),
    ] {
        let found = found(&format!("audit = \"{audit}\"{LEAST}"), &[]);
        assert_eq!(found, [Fault { line: Some(1), kind, ..Fault::new(format!("audit: {line}")) }], "{audit}");
    }
}

#[test]
fn a_burst_needs_a_rate() {
    for (limits, lines) in [
        ("burst = 5", &["[limits] burst: has no effect without rate; write rate, or remove it"][..]),
        ("burst = 5\nrate = 0", &["[limits] burst: has no effect without rate; write rate, or remove it"]),
        ("burst = 5\nrate = 1", &[]),
        ("burst = 0", &[]),
        ("burst = 5\nrate = -1", &["[limits] rate: -1 is too small; write a whole number from 0 to 1000000"]),
    ] {
        assert_eq!(faults(&least(&format!("[limits]\n{limits}\n")), &[]), lines, "{limits}");
    }
}

#[test]
fn each_fault_has_its_line() {
    let text = "listen = \"127.0.0.1:1\"\nops = 1\n[[issuer]]\nurl = \"https://a.example\"\naudience = [\n  \"a\",\n  5,\n]\n\
                [[tenant]]\nname = \"a\"\nnmae = \"b\"\n[[issuer]]\nurl = \"https://a.example\"\ntenants = [\"a\"]\n\
                [[rule]]\ntenant = \"a\"\nallow = [\"renew\"]\n[rule.claim]\nx = []\n[limits]\nrate = 1\n\nburst = -1\n";
    let lines: Vec<_> = found(text, &[]).into_iter().map(|fault| (fault.line, fault.text)).collect();
    let lines: Vec<_> = lines.iter().map(|(line, text)| (*line, text.split(':').next().unwrap_or_default())).collect();
    assert_eq!(
        lines,
        [
            (Some(2), "ops"),
            (Some(11), "[[tenant]] \"a\" nmae"),
            (Some(13), "[[issuer]] \"https"),
            (Some(7), "[[issuer]] \"https"),
            (Some(3), "[[issuer]] \"https"),
            (Some(12), "[[issuer]] \"https"),
            (Some(19), "[[rule]] 1 claim.x"),
            (Some(23), "[limits] burst"),
        ]
    );
}

#[test]
fn what_is_no_toml_is_one_line_with_its_place() {
    for (text, place) in [
        ("listen = \n", "line 1: column 10: "),
        ("a = 1\n\nä = 5\n", "line 3: column 1: "),
        ("[cache]\nttl = \"1s\"\nttl = \"2s\"\n", "line 3: column 1: "),
        ("[[tenant]\n", "line 1: column 10: "),
    ] {
        let found: Vec<_> = found(text, &[]).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{place}the text is no TOML: ")), "{found:?}");
        assert!(!found[0].contains('\n'), "{found:?}");
    }
}

#[test]
fn a_file_that_is_missing_is_66_and_one_that_is_wrong_78() {
    let folder = folder();
    let missing = folder.path().join("nope.toml");
    let faults = Config::read(&missing).err().unwrap();
    let name = missing.to_str().unwrap();
    let line = format!("{name}: the configuration file is missing; put it there, or name another one with --config");
    assert_eq!((faults.to_string(), faults.exit_code()), (line, 66));
    for (text, code) in [
        (&least("[tls]\ncert = \"nope.crt\"\nkey = \"nope.key\"\n"), 66),
        (&least("[tls]\ncert = \"nope.crt\"\n"), 78),
        (&"\u{fffd}".to_owned(), 78),
    ] {
        let file = folder.path().join("gateway.toml");
        fs::write(&file, text).unwrap();
        assert_eq!(Config::read(&file).err().unwrap().exit_code(), code, "{text}");
    }
    let latin = folder.path().join("latin.toml");
    fs::write(&latin, b"# \xe4").unwrap();
    let faults = Config::read(&latin).err().unwrap();
    let line = format!("{}: the configuration is not UTF-8 text; write it as UTF-8", latin.to_str().unwrap());
    assert_eq!((faults.to_string(), faults.exit_code()), (line, 78));
    let faults = Config::read(folder.path()).err().unwrap();
    let line = format!("{}: the configuration is a folder; name a file with --config", folder.path().to_str().unwrap());
    assert_eq!((faults.to_string(), faults.exit_code()), (line, 78));
}

#[test]
fn a_line_names_the_file_and_what_is_found_later_stands_below() {
    let folder = folder();
    let file = folder.path().join("gateway.toml");
    let further = |config: &Config, is_good: bool| {
        vec![Fault::new(format!(
            "{} tenants, {} so far",
            config.tenants.len(),
            if is_good { "good" } else { "faulty" }
        ))]
    };
    let name = file.to_str().unwrap();
    for (text, lines) in [
        (LEAST.to_owned(), "1 tenants, good so far".to_owned()),
        (
            least("mout = 1"),
            format!("{name}:8: [[tenant]] \"team-a\" mout: is an unknown key; write mount\n1 tenants, faulty so far"),
        ),
        (
            least("auth_mount = 1"),
            format!(
                "{name}:8: [[tenant]] \"team-a\" auth_mount: is a whole number; write a text in quotes\n0 tenants, faulty so far"
            ),
        ),
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(Config::read_with(&file, &further).err().unwrap().to_string(), lines);
    }
}

#[test]
fn relative_names_count_from_the_folder_of_the_file() {
    let folder = folder();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, least("[tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"\n")).unwrap();
    let tls = Config::read(&file).ok().and_then(|config| config.tls);
    let at = |name: &str| folder.path().join(name);
    assert_eq!(tls, Some(TlsFiles { cert: at("tls.crt"), key: at("tls.key"), client_ca: None }));
}

#[test]
fn a_configuration_without_an_end_is_not_read() {
    let faults = Config::read(Path::new("/dev/zero")).err().unwrap();
    let line = "/dev/zero: the configuration has more than 4194304 bytes; name a shorter file with --config";
    assert_eq!((faults.to_string().as_str(), faults.exit_code()), (line, 78));
}

#[test]
fn what_looks_like_a_credential_is_not_shown() {
    let token = "hvs.CAESIJ3pVxQe1ZkT5bWm8nY2rL7sD4fG";
    let text = format!(
        "ops = \"{token}\"\nlog = \"x={token}\"\n\"{token}\" = 1{LEAST}auth_method = \"{token}\"\n[[rule]]\nname = \"{token}\"\n"
    );
    let found = faults(&text, &[]);
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(!found.concat().contains("CAESIJ"), "{found:?}");
}
