use super::*;

#[test]
fn faults_of_an_issuer() {
    for (keys, lines) in [
        (
            "",
            &[
                r"url: is missing; write the iss of its tokens",
                "audience: is missing; write the aud of tokens for this service",
            ][..],
        ),
        (
            r#"
url = "http://idp.example"
jwks = "http://keys.example"
ca = "nope.crt"
token_file = ""
audience = []
algorithms = ["HS256", "none", "rs256", "ES256"]
typ = ["a b", 1]
tenant = { claim = "", clam = "x" }
tenants = ["team-x", "team-a"]
"#,
            &[
                "url: the URL is http to another machine; write https",
                "jwks: the URL is http to another machine; write https",
                "ca: the file FOLDER/nope.crt is missing; put it there, or name another one",
                "token_file: is empty; write a text, or remove it",
                "audience: is an empty list; write at least one element",
                "algorithms: HS256 is symmetric: whoever can check a token could make one; write an asymmetric one, RS256 or ES256",
                r#"algorithms: "none" is no algorithm; write one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"#,
                r#"algorithms: "rs256" is no algorithm; write RS256"#,
                r#"typ: "a b" has a space or a control character in it; write it without"#,
                "typ: is a whole number; write a text in quotes",
                "tenant claim: is empty; write a text, or remove it",
                "tenant clam: is an unknown key; write claim",
                r#"tenants: "team-x" is no tenant; write one of team-a, or add [[tenant]] with this name"#,
            ],
        ),
        (
            r#"
url = "https://user:password@idp.example"
jwks = "file:keys.json"
audience = ["", 5]
algorithms = []
typ = []
tenant = "team-x"
"#,
            &[
                "url: the URL has a user name or password; leave them out",
                "jwks: the file's path is not absolute; write file:/path",
                "audience: is empty; write a text, or remove it",
                "audience: is a whole number; write a text in quotes",
                "algorithms: is an empty list; write at least one element",
                "typ: is an empty list; write at least one element",
                r#"tenant: "team-x" is no tenant; write one of team-a, or add [[tenant]] with this name"#,
            ],
        ),
        (
            "url = \"https://idp.example/#x\"\njwks = \"file:///nope.json\"\naudience = true\ntenant = { claim = \"/a~b\" }",
            &[
                "url: the URL has a fragment; leave out everything from # on",
                "jwks: the file /nope.json is missing; put it there, or name another one",
                "audience: is true or false; write a text in quotes, or a list of texts in [ ]",
                r#"tenant claim: "/a~b" is no JSON Pointer; write ~0 for ~ and ~1 for / inside a name"#,
            ],
        ),
        (
            "url = \"https://idp.example/?x\"\njwks = \"ftp://idp.example\"\naudience = \"a\\u0000\"\ntenant = 5",
            &[
                "url: the URL has a query; leave out everything from ? on",
                "jwks: the URL is neither https nor http; write https://host or https://host/path",
                r#"audience: "a\0" has spaces around it or control characters in it; write it without them"#,
                "tenant: is a whole number; write a text in quotes",
            ],
        ),
        (
            "url = \"idp.example\"\njwks = \"https://:8080/x\"\naudience = \"a\"",
            &[
                "url: the text is no URL; write https://host or https://host/path",
                "jwks: the URL has no host, or a port that is none; write https://host or https://host/path",
            ],
        ),
        (
            "url = \"https://idp.example:99999\"\naudience = \"a\"",
            &["url: the URL has no host, or a port that is none; write https://host or https://host/path"],
        ),
        (
            "url = \"https://idp.example\"\njwks = \"file:FOLDER/jwks.json\"\naudience = \"a\"\nca = \"ca.crt\"\ntoken_file = \"nope\"",
            &[
                "token_file: the file FOLDER/nope is missing; put it there, or name another one",
                "ca: has no effect: jwks is a file; remove one of the two",
                "token_file: has no effect: jwks is a file; remove one of the two",
            ],
        ),
        ("url = \"http://localhost:1/x\"\naudience = \"a\"", &[]),
        ("url = \"http://[::1]\"\naudience = \"a\"\ntenant = \"team-a\"", &[]),
    ] {
        let text = format!("listen = \"127.0.0.1:1\"\n[[tenant]]\nname = \"team-a\"\n[[issuer]]\n{keys}");
        let found = faults(&text, &[]);
        let found: Vec<_> = found.iter().map(|line| unplaced(line, "[[issuer]]")).collect();
        assert_eq!(found, lines, "{keys}");
    }
}

#[test]
fn each_of_two_issuers_says_for_whom_it_may_speak() {
    let other = |tenants: &str| {
        let text = LEAST.replace("audience", "tenants = [\"team-a\"]\naudience");
        format!("{text}[[issuer]]\nurl = \"https://b.example\"\naudience = \"a\"\n{tenants}\n")
    };
    let missing = r#"[[issuer]] "https://b.example" tenants: is missing or empty beside another issuer; list the tenants that this issuer may speak for"#;
    for (text, lines) in [
        (other(""), &[missing][..]),
        (other("tenants = []"), &[missing]),
        (other("tenant = \"team-a\""), &[missing]),
        (other("tenants = [\"team-a\"]"), &[]),
        (
            other("tenants = [\"team-a\"]").replace("b.example", "idp.example"),
            &[r#"[[issuer]] "https://idp.example" url: is there twice; write another one"#],
        ),
        (
            format!(
                "{}[[tenant]]\nname = \"team-b\"\nmount = \"b\"\nrole = \"b\"",
                other("tenant = \"team-b\"\ntenants = [\"team-a\"]")
            ),
            &[
                r#"[[issuer]] "https://b.example" tenants: the tenant "team-b" of this issuer is not among them; add it, or write another tenant"#,
            ],
        ),
    ] {
        assert_eq!(faults(&text, &[]), lines, "{text}");
    }
}
