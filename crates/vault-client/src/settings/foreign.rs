//! What belongs to other programs: ways to write a value, and names of the official clients that have no effect here.

use super::reader::Reader;
use super::setting::{self, Setting};
use super::value::is_quoted;

/// Why `text` cannot be a setting's value, where quotes stand around it.
pub(super) fn quoted(text: &str) -> Option<&'static str> {
    // docker run --env-file keeps them.
    is_quoted(text).then_some("in quotes, which are a part of it here; write it without them")
}

/// Why `text` cannot be a setting's value, where a template has left a placeholder in it.
pub(super) fn placeholder(text: &str) -> Option<&'static str> {
    let holds = |open: &str, close: char| text.find(open).is_some_and(|at| text[at..].contains(close));
    let unfilled = holds("$(", ')') || holds("${", '}') || holds("{{", '}');
    unfilled.then_some("a placeholder that nothing has filled in; write what it stands for")
}

/// An official name without its prefix, what its lack of effect means, and the settings that make up for it.
type Official = (&'static str, &'static str, &'static [&'static Setting]);

/// Names that the official clients read and this one does not, where that matters to whoever set them
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

/// A warning for each official name that is set in vain.
pub(super) fn without_effect(reader: &mut Reader) -> Vec<String> {
    let mut warnings = Vec::new();
    for (rest, instead, made_up_for_by) in WITHOUT_EFFECT {
        let names = [format!("BAO_{rest}"), format!("VAULT_{rest}")];
        let Some((name, value)) = names.iter().find_map(|name| Some((name, reader.bytes(name)?))) else { continue };
        let value = std::str::from_utf8(value).unwrap_or("?").trim();
        let off = value.is_empty() || ["0", "f", "false"].contains(&value.to_ascii_lowercase().as_str());
        // An agent that is addressed already.
        let same = *rest == "AGENT_ADDR" && reader.find(&setting::ADDR).is_some_and(|addr| addr.text == value);
        if !off && !same && !made_up_for_by.iter().any(|setting| reader.find(setting).is_some()) {
            warnings.push(format!("{name} has no effect here: {instead}"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::Pairs;
    use super::super::setting::{ALL, TABLE};
    use super::*;

    #[test]
    fn what_is_written_for_another_program_is_recognised() {
        let said =
            |text| quoted(text).or_else(|| placeholder(text)).map(|cause| cause.split([',', ' ']).next().unwrap());
        for (text, cause) in [
            ("\"https://vault\"", Some("in")),
            ("'shop'", Some("in")),
            ("$(VAULT_ROLE)", Some("a")),
            ("shop/${STAGE}", Some("a")),
            ("{{ .Values.role }}", Some("a")),
            ("shop/prod", None),
            ("\"", None),
            ("shop's", None),
            ("a$b", None),
            ("https://vault:8200", None),
        ] {
            assert_eq!(said(text), cause, "{text}");
        }
    }

    /// Every name in OpenBao's api/client.go and Vault's page on its commands is a setting here, warned about, or of no
    /// consequence for a client.
    #[test]
    fn every_official_name_is_judged() {
        const OF_CLIENTS: &str = "ADDR AGENT_ADDR CACERT CACERT_BYTES CAPATH CLIENT_CERT CLIENT_CERT_BYTES CLIENT_KEY \
            CLIENT_KEY_BYTES CLIENT_TIMEOUT HEADERS SRV_LOOKUP SKIP_VERIFY NAMESPACE TLS_SERVER_NAME WRAP_TTL MAX_RETRIES \
            TOKEN MFA RATE_LIMIT HTTP_PROXY PROXY_ADDR DISABLE_REDIRECTS TOKEN_PATH CONFIG_PATH FORMAT DETAILED \
            CLI_NO_COLOR CLUSTER_ADDR REDIRECT_ADDR LICENSE LICENSE_PATH LOG_LEVEL LOG_FORMAT";
        // Requests have no rate to limit; redirects are never followed; the others shape what a program prints, or are
        // the server's.
        const OF_NO_CONSEQUENCE: &str = "RATE_LIMIT DISABLE_REDIRECTS FORMAT DETAILED CLI_NO_COLOR CLUSTER_ADDR \
            REDIRECT_ADDR LICENSE LICENSE_PATH LOG_LEVEL LOG_FORMAT";
        let settings: Vec<String> = ALL.iter().flat_map(|setting| setting.groups().flatten()).collect();
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
        let warned = |pairs: &[(&str, &str)]| without_effect(&mut Reader::new(&Pairs::of(pairs), &TABLE));
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
