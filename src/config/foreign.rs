//! What belongs to other programs: ways to write a value, and names of the official clients that have no effect here.

use super::setting::{self, Setting};
use super::value::is_quoted;
use crate::process::environ::Environ;
use crate::secrets::reference::is_reference;

/// Why `text` cannot be a setting's value, where it is written as for another program, with what to write instead.
pub fn syntax(text: &str) -> Option<&'static str> {
    let holds = |open: &str, close: char| text.find(open).is_some_and(|at| text[at..].contains(close));
    if is_quoted(text) {
        // docker run --env-file keeps them.
        Some("in quotes, which are a part of it here; write it without them")
    } else if is_reference(text.as_bytes()) || text == "vault:login" || text == "bao:login" {
        Some(
            "another tool's reference, which nothing resolves here; write the path in VAULT_PATH, the key in VAULT_KEYS",
        )
    } else if holds("$(", ')') || holds("${", '}') || holds("{{", '}') {
        Some("a placeholder that nothing has filled in; write what it stands for")
    } else {
        None
    }
}

/// An official name without its prefix, what its lack of effect means, and the settings that make up for it.
type Official = (&'static str, &'static str, &'static [&'static Setting]);

/// Names that the official clients read and this program does not, where that matters to whoever set them
/// ([OpenBao](https://github.com/openbao/openbao/blob/df6ce2cebaa823979215c116a16820aa913fe3b1/api/client.go),
/// [Vault](https://developer.hashicorp.com/vault/docs/commands#environment-variables)).
const WITHOUT_EFFECT: &[Official] = &[
    ("AGENT_ADDR", "every request goes to VAULT_ADDR; set that to the agent's address", &[]),
    ("HTTP_PROXY", "no proxy is used; set VAULT_PROXY_ADDR", &[&setting::PROXY_ADDR]),
    ("SRV_LOOKUP", "no SRV record is asked for; name host and port in VAULT_ADDR", &[]),
    ("HEADERS", "no header is added to a request; let a proxy add it", &[]),
    ("WRAP_TTL", "no answer is wrapped; a policy with min_wrapping_ttl refuses the read", &[]),
    ("MFA", "a login that needs MFA is refused; take MFA off the role", &[]),
    ("TOKEN_PATH", "the token is not looked for there; set VAULT_TOKEN_FILE", &[&setting::TOKEN, &setting::TOKEN_FILE]),
    ("CONFIG_PATH", "no token helper is run; set VAULT_TOKEN_FILE", &[&setting::TOKEN, &setting::TOKEN_FILE]),
    ("CLIENT_CERT_BYTES", "set VAULT_CLIENT_CERT to a file", &[&setting::CLIENT_CERT]),
    ("CLIENT_KEY_BYTES", "set VAULT_CLIENT_KEY to a file", &[&setting::CLIENT_KEY]),
];

/// A warning for each official name that is set in vain; `find` returns the text of a setting.
pub fn without_effect(mut find: impl FnMut(&Setting) -> Option<String>, environ: &Environ) -> Vec<String> {
    let mut warnings = Vec::new();
    for (rest, instead, made_up_for_by) in WITHOUT_EFFECT {
        let names = [format!("BAO_{rest}"), format!("VAULT_{rest}")];
        let Some((name, value)) = names.iter().find_map(|name| Some((name, environ.get(name)?))) else { continue };
        let value = std::str::from_utf8(value).unwrap_or("?").trim();
        let off = value.is_empty() || ["0", "f", "false"].contains(&value.to_ascii_lowercase().as_str());
        // An agent that is addressed already.
        let same = *rest == "AGENT_ADDR" && find(&setting::ADDR).is_some_and(|addr| addr == value);
        if !off && !same && !made_up_for_by.iter().any(|setting| find(setting).is_some()) {
            warnings.push(format!("{name} has no effect here: {instead}"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Flags, Reader};
    use super::*;

    #[test]
    fn what_is_written_for_another_program_is_recognised() {
        for (text, cause) in [
            ("\"https://vault\"", Some("in quotes")),
            ("'shop'", Some("in quotes")),
            ("vault:kv/data/shop#KEY", Some("another tool's reference")),
            ("vault:login", Some("another tool's reference")),
            ("$(VAULT_ROLE)", Some("a placeholder")),
            ("shop/${STAGE}", Some("a placeholder")),
            ("{{ .Values.role }}", Some("a placeholder")),
            ("shop/prod", None),
            ("\"", None),
            ("shop's", None),
            ("a$b", None),
            ("https://vault:8200", None),
        ] {
            let found = syntax(text);
            assert_eq!(found.and_then(|found| found.split([',', ' ']).next()), cause.and_then(|c| c.split(' ').next()));
            assert!(cause.is_none_or(|cause| found.is_some_and(|found| found.starts_with(cause))), "{text}: {found:?}");
        }
    }

    /// Every name in OpenBao's api/client.go and Vault's page on its commands is a setting here, warned about, or of no
    /// consequence for a start.
    #[test]
    fn every_official_name_is_judged() {
        const OF_CLIENTS: &str = "ADDR AGENT_ADDR CACERT CACERT_BYTES CAPATH CLIENT_CERT CLIENT_CERT_BYTES CLIENT_KEY \
            CLIENT_KEY_BYTES CLIENT_TIMEOUT HEADERS SRV_LOOKUP SKIP_VERIFY NAMESPACE TLS_SERVER_NAME WRAP_TTL MAX_RETRIES \
            TOKEN MFA RATE_LIMIT HTTP_PROXY PROXY_ADDR DISABLE_REDIRECTS TOKEN_PATH CONFIG_PATH FORMAT DETAILED \
            CLI_NO_COLOR CLUSTER_ADDR REDIRECT_ADDR LICENSE LICENSE_PATH LOG_LEVEL LOG_FORMAT";
        // A start sends four requests; redirects are never followed; the others shape what a client prints, or are the
        // server's.
        const OF_NO_CONSEQUENCE: &str = "RATE_LIMIT DISABLE_REDIRECTS FORMAT DETAILED CLI_NO_COLOR CLUSTER_ADDR \
            REDIRECT_ADDR LICENSE LICENSE_PATH";
        let settings: Vec<String> = setting::ALL.iter().flat_map(|setting| setting.groups().flatten()).collect();
        for name in OF_CLIENTS.split_whitespace() {
            let read = settings.contains(&format!("VAULT_{name}"));
            let warned = WITHOUT_EFFECT.iter().any(|row| row.0 == name);
            let left = OF_NO_CONSEQUENCE.split_whitespace().any(|it| it == name);
            assert_eq!([read, warned, left].iter().filter(|it| **it).count(), 1, "{name}");
        }
        assert!(WITHOUT_EFFECT.iter().all(|row| OF_CLIENTS.split_whitespace().any(|name| name == row.0)));
    }

    #[test]
    fn an_official_name_is_warned_about_unless_it_is_off_or_made_up_for() {
        let warned = |pairs: &[(&str, &str)]| {
            let environ = Environ::from_pairs(pairs.iter().copied());
            without_effect(|it| Reader::new(&environ, &Flags::default()).find(it).map(|it| it.text), &environ)
        };
        assert_eq!(
            warned(&[("VAULT_HTTP_PROXY", "http://p"), ("BAO_AGENT_ADDR", "http://a"), ("VAULT_FORMAT", "json")]),
            [
                "BAO_AGENT_ADDR has no effect here: every request goes to VAULT_ADDR; set that to the agent's address",
                "VAULT_HTTP_PROXY has no effect here: no proxy is used; set VAULT_PROXY_ADDR",
            ]
        );
        for pairs in [
            &[("VAULT_HTTP_PROXY", "http://p"), ("VAULT_PROXY_ADDR", "http://p")][..],
            &[("VAULT_AGENT_ADDR", "http://a"), ("VAULT_ADDR", "http://a")],
            &[("VAULT_AGENT_ADDR", " ")],
            &[("VAULT_AGENT_ADDR", "http://a"), ("BAO_AGENT_ADDR", "")],
            &[("VAULT_SRV_LOOKUP", "False")],
            &[("BAO_TOKEN_PATH", "/t"), ("VAULT_TOKEN", "x")],
        ] {
            assert_eq!(warned(pairs), Vec::<String>::new(), "{pairs:?}");
        }
    }
}
