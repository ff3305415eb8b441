use super::*;

#[test]
fn faults_of_a_tenant() {
    let bad = |text: &str| SecretPath::of_canonical(text).unwrap_err();
    let long = "a".repeat(64);
    for (keys, lines) in [
        ("role = \"x\"", &["name: is missing; write a name of a-z, 0-9 and -"][..]),
        ("name = \"Team\"", &[r#"name: "Team" cannot be a tenant's name; write 1 to 63 of a-z, 0-9 and -"#]),
        ("name = \"\"", &[r#"name: "" cannot be a tenant's name; write 1 to 63 of a-z, 0-9 and -"#]),
        (
            &format!("name = \"{long}\""),
            &[&*format!("name: \"{long}\" cannot be a tenant's name; write 1 to 63 of a-z, 0-9 and -")],
        ),
        (
            "name = \"a\"\nnamespace = \"a/\"\nmount = \"\"\nprefix = \"a/../b\"\nauth_mount = \"a b\"\nauth_namespace = 1\ntoken = \"x\"",
            &[
                r#"namespace: "a/" cannot be used; write a"#,
                &format!(r#"mount: "" cannot be used; {}"#, bad("")),
                &format!(r#"prefix: "a/../b" cannot be used; {}"#, bad("a/../b")),
                &format!(r#"auth_mount: "a b" cannot be used; {}"#, bad("a b")),
                "auth_namespace: is a whole number; write a text in quotes",
                "token: is an unknown key; remove it; the keys here are name, namespace, mount, prefix, role, auth_method, auth_mount, auth_namespace, token_file, jwt_file, shared_identity, overlap",
            ],
        ),
        (
            "name = \"a\"\nrole = \"\"\nauth_method = \"kubernets\"\ntoken_file = [1]\njwt_file = \" x\"\nshared_identity = 1\noverlap = \"\"",
            &[
                "role: is empty; write a text, or remove it",
                r#"auth_method: "kubernets" is no method; write kubernetes"#,
                "token_file: is a list; write a text in quotes",
                r#"jwt_file: " x" has spaces around it or control characters in it; write it without them"#,
                "shared_identity: is a whole number; write true or false without quotes",
                "overlap: is a text; write true or false without quotes",
            ],
        ),
        (
            "name = \"a\"\nauth_method = \"oidc\"",
            &[r#"auth_method: "oidc" asks a person; write one of token, kubernetes, approle, jwt, cert, none, auto"#],
        ),
        (
            "name = \"a\"\nauth_method = \"approle\"\nrole = \"x\"\njwt_file = \"j\"\ntoken_file = \"t\"",
            &[
                "role: has no effect: auth_method is approle; remove it, or write another auth_method: kubernetes",
                "jwt_file: has no effect: auth_method is approle; remove it, or write another auth_method: kubernetes",
                "token_file: has no effect: auth_method is approle; remove it, or write another auth_method: token",
            ],
        ),
        (
            "name = \"a\"\ntoken_file = \"t\"\nrole = \"x\"\nauth_mount = \"m\"\nauth_namespace = \"n\"\njwt_file = \"j\"",
            &["role", "auth_mount", "auth_namespace", "jwt_file"]
                .map(|key| format!("{key}: has no effect beside token_file; remove one of the two"))
                .each_ref()
                .map(String::as_str),
        ),
        (
            "name = \"a\"\nauth_method = \"auto\"\ntoken_file = \"t\"\nrole = \"x\"",
            &["role: has no effect beside token_file; remove one of the two"],
        ),
        (
            "name = \"a\"\ntoken_file = \"nope\"",
            &["token_file: the file FOLDER/nope is missing; put it there, or name another one"],
        ),
        ("name = \"a\"\ntoken_file = \".\"", &["token_file: FOLDER/. is no file; name a file"]),
        (
            "name = \"a\"\njwt_file = \"nope\"",
            &["jwt_file: the file FOLDER/nope is missing; put it there, or name another one"],
        ),
        ("name = \"a\"\nnamespace = \"a/b\"\nprefix = \"ä/b.c\"\nauth_method = \"jwt\"\njwt_file = \"j\"", &[]),
        ("name = \"a\"\nauth_method = \"token\"\ntoken_file = \"t\"", &[]),
        ("name = \"a\"\nauth_method = \"auto\"\njwt_file = \"j\"\nrole = \"x\"", &[]),
    ] {
        let head = "listen = \"127.0.0.1:1\"\n[[issuer]]\nurl = \"https://idp.example\"\naudience = \"a\"";
        let found = faults(&format!("{head}\n[[tenant]]\n{keys}"), &[]);
        let found: Vec<_> = found.iter().map(|line| unplaced(line, "[[tenant]]")).collect();
        assert_eq!(found, lines, "{keys}");
    }
}

/// Two tenants with these keys.
fn two(a: &str, b: &str) -> String {
    let head = "listen = \"127.0.0.1:1\"\n[[issuer]]\nurl = \"https://idp.example\"\naudience = \"a\"";
    format!("{head}\n[[tenant]]\nname = \"a\"\n{a}\n[[tenant]]\nname = \"b\"\n{b}")
}

#[test]
fn two_tenants_with_one_login_must_both_say_so() {
    let same = r#"[[tenant]] "b": its login is that of the tenant "a"; give each its own role or file, or write shared_identity = true in both"#;
    let none = r#"[[tenant]] "b": it has no login of its own, and neither has the tenant "a"; write auth_method with role, or token_file, in each, or shared_identity = true in both"#;
    let (kubernetes, mount) = (("VAULT_AUTH_METHOD", "kubernetes"), ("VAULT_K8S_AUTH_MOUNT_POINT", "m"));
    let pod = ("VAULT_K8S_TOKEN_PATH", "FOLDER/jwt");
    for (a, b, variables, line) in [
        ("", "", &[][..], Some(none)),
        ("shared_identity = true", "", &[], Some(none)),
        ("shared_identity = true", "shared_identity = true", &[], None),
        ("role = \"x\"", "role = \"x\"", &[], Some(same)),
        ("role = \"x\"", "role = \"y\"", &[], None),
        ("role = \"x\"", "role = \"X\"", &[], Some(same)),
        ("role = \"x\"", "", &[("VAULT_ROLE", "x")], Some(same)),
        ("role = \"x\"", "", &[("VAULT_ROLE", "y")], None),
        ("role = \"x\"\nauth_method = \"kubernetes\"", "role = \"x\"", &[pod], Some(same)),
        ("role = \"x\"\nauth_method = \"kubernetes\"", "role = \"x\"\nauth_method = \"cert\"", &[pod], None),
        ("role = \"x\"\nauth_method = \"kubernetes\"", "role = \"x\"\nauth_method = \"jwt\"", &[pod], None),
        ("role = \"x\"", "role = \"x\"\nauth_mount = \"m\"", &[("VAULT_AUTH_METHOD", "jwt")], None),
        ("role = \"x\"", "role = \"x\"\nauth_mount = \"jwt\"", &[("VAULT_AUTH_METHOD", "jwt")], Some(same)),
        ("role = \"x\"", "role = \"x\"\nauth_namespace = \"n\"", &[], None),
        ("role = \"x\"\nnamespace = \"m\"", "role = \"x\"\nnamespace = \"n\"", &[], None),
        ("role = \"x\"\nnamespace = \"m\"", "role = \"x\"", &[("BAO_NAMESPACE", "m/")], Some(same)),
        ("role = \"x\"\njwt_file = \"j\"", "role = \"x\"\njwt_file = \"k\"", &[], None),
        ("role = \"x\"\njwt_file = \"j\"", "role = \"x\"\njwt_file = \"./j\"", &[], Some(same)),
        ("auth_method = \"approle\"", "auth_method = \"approle\"", &[], Some(same)),
        ("token_file = \"t\"", "token_file = \"FOLDER/t\"", &[], Some(same)),
        ("token_file = \"t\"", "token_file = \"u\"", &[], None),
        ("token_file = \"t\"", "role = \"x\"", &[], None),
        ("token_file = \"t\"", "token_file = \"t\"", &[kubernetes, pod], Some(same)),
        ("token_file = \"t\"", "token_file = \"u\"", &[kubernetes, pod], None),
        ("role = \"x\"\nauth_mount = \"m\"", "role = \"x\"\nauth_mount = \"n\"", &[kubernetes, mount, pod], None),
        ("role = \"x\"\nauth_mount = \"m\"", "role = \"x\"", &[kubernetes, mount, pod], Some(same)),
        ("role = \"x\"\nauth_mount = \"auth/m\"", "role = \"x\"", &[kubernetes, mount, pod], Some(same)),
    ] {
        let text = two(a, &format!("mount = \"other\"\n{b}"));
        assert_eq!(faults(&text, variables), Vec::from_iter(line), "{a} | {b} | {variables:?}");
    }
}

#[test]
fn files_with_tokens_are_the_same_where_a_link_leads_to_the_other() {
    let folder = folder();
    std::os::unix::fs::symlink("t", folder.path().join("link")).unwrap();
    for (other, is_same) in [("link", true), ("u", false)] {
        let text = two("token_file = \"t\"", &format!("mount = \"other\"\ntoken_file = \"{other}\""));
        let read = Config::parse_with(&text, folder.path(), &|_| None);
        assert_eq!(read.err().map(|faults| faults.iter().count()), is_same.then_some(1), "{other}");
    }
}

#[test]
fn the_file_of_a_login_that_is_certain_must_be_there() {
    let line = |tenant: &str, file: &str| {
        format!("[[tenant]] \"{tenant}\": the file {file} is missing; write jwt_file, or run it where the file is")
    };
    let pod = ("VAULT_K8S_TOKEN_PATH", "FOLDER/nope");
    let of_environment = [pod, ("VAULT_AUTH_METHOD", "kubernetes")];
    let of_jwt = [("VAULT_JWT_FILE", "FOLDER/none")];
    for (a, b, variables, lines) in [
        ("auth_method = \"kubernetes\"", "auth_method = \"cert\"", &[pod][..], vec![line("a", "FOLDER/nope")]),
        ("", "auth_mount = \"m\"", &of_environment, vec![line("a", "FOLDER/nope"), line("b", "FOLDER/nope")]),
        ("jwt_file = \"j\"", "token_file = \"t\"", &of_environment, vec![]),
        ("auth_method = \"jwt\"", "auth_method = \"cert\"", &of_jwt, vec![line("a", "FOLDER/none")]),
        ("auth_method = \"jwt\"", "auth_method = \"cert\"", &[], vec![]),
        ("auth_method = \"auto\"", "auth_method = \"cert\"", &[pod], vec![]),
    ] {
        let role = |name: &str, keys: &str| {
            if keys.contains("token_file") { keys.to_owned() } else { format!("role = \"{name}\"\n{keys}") }
        };
        let found = found(&two(&role("a", a), &format!("mount = \"other\"\n{}", role("b", b))), variables);
        assert!(found.iter().all(|fault| fault.kind == FaultKind::Missing), "{found:?}");
        let found: Vec<_> = found.into_iter().map(|fault| fault.text).collect();
        assert_eq!(found, lines, "{a} | {b} | {variables:?}");
    }
}

#[test]
fn what_cannot_be_used_of_one_tenant_is_no_fault_of_another() {
    for (a, b, line) in [
        (
            "role = \"a\"\nprefix = \"a/\"",
            "role = \"b\"\nprefix = \"b\"",
            r#"[[tenant]] "a" prefix: "a/" cannot be used; write a"#,
        ),
        (
            "role = \"a\"\nmount = \"m\"\nauth_method = \"certs\"",
            "role = \"a\"",
            r#"[[tenant]] "a" auth_method: "certs" is no method; write cert"#,
        ),
    ] {
        assert_eq!(faults(&two(a, b), &[]), [line]);
    }
}

#[test]
fn two_tenants_that_reach_the_same_must_both_say_so() {
    let overlapping = r#"[[tenant]] "b": its secrets overlap those of the tenant "a"; give each its own namespace, mount or prefix, or write overlap = true in both"#;
    for (a, b, variables, overlap) in [
        ("", "", &[][..], true),
        ("overlap = true", "", &[], true),
        ("overlap = true", "overlap = true", &[], false),
        ("mount = \"kv\"", "", &[], true),
        ("mount = \"kv\"", "mount = \"kv2\"", &[], false),
        ("prefix = \"a\"", "prefix = \"ab\"", &[], false),
        ("prefix = \"a\"", "prefix = \"a/b\"", &[], true),
        ("prefix = \"a/b\"", "prefix = \"a\"", &[], true),
        ("prefix = \"a/b\"", "prefix = \"a/c\"", &[], false),
        ("prefix = \"a\"", "", &[], true),
        ("prefix = \"a\"", "mount = \"x\"", &[], false),
        ("namespace = \"n\"", "", &[], false),
        ("namespace = \"n\"", "mount = \"n/kv\"", &[], true),
        ("namespace = \"n\"", "", &[("VAULT_NAMESPACE", "n")], true),
        ("namespace = \"n\"", "namespace = \"root\"", &[("VAULT_NAMESPACE", "n")], false),
        ("namespace = \"n\"\nmount = \"a\"", "namespace = \"n\"\nmount = \"a\"\nprefix = \"x\"", &[], true),
    ] {
        let text = two(&format!("role = \"a\"\n{a}"), &format!("role = \"b\"\n{b}"));
        let expected = if overlap { vec![overlapping] } else { vec![] };
        assert_eq!(faults(&text, variables), expected, "{a} | {b} | {variables:?}");
    }
}

#[test]
fn a_token_of_the_environment_is_no_login_of_two_tenants() {
    let line = |tenant: &str, variable: &str| {
        format!(
            "[[tenant]] \"{tenant}\": its login would be the token of {variable}, which is every tenant's; write its \
             auth_method or its token_file"
        )
    };
    let own = "auth_method = \"cert\"";
    for (a, b, variable, named) in [
        ("", "", ("VAULT_TOKEN", "hvs.secret"), &["a", "b"][..]),
        ("", own, ("VAULT_TOKEN", "hvs.secret"), &["a"]),
        (own, "", ("BAO_TOKEN", "hvs.secret"), &["b"]),
        ("", "token_file = \"t\"", ("VAULT_TOKEN_FILE", "/u"), &["a"]),
        ("auth_method = \"token\"", own, ("VAULT_TOKEN_FILE", "/u"), &["a"]),
        ("auth_method = \"auto\"", own, ("VAULT_TOKEN_FILE", "/u"), &["a"]),
        ("auth_method = \"cert\"", own, ("VAULT_TOKEN", "hvs.secret"), &[]),
        ("", own, ("VAULT_TOKEN", " "), &[]),
    ] {
        let role = |name: &str, keys: &str| {
            if keys.contains("token") { keys.to_owned() } else { format!("role = \"{name}\"\n{keys}") }
        };
        let text = two(&role("a", a), &format!("mount = \"b\"\n{}", role("b", b)));
        let lines: Vec<String> = named.iter().map(|tenant| line(tenant, variable.0)).collect();
        assert_eq!(faults(&text, &[variable]), lines, "{a} | {b} | {}", variable.0);
    }
    let chosen = [("VAULT_TOKEN", "hvs.secret"), ("VAULT_AUTH_METHOD", "cert")];
    assert_eq!(faults(&two("role = \"a\"", "role = \"b\"\nmount = \"b\""), &chosen), [""; 0]);
    assert_eq!(faults(LEAST, &[("VAULT_TOKEN", "hvs.secret")]), [""; 0]);
}
