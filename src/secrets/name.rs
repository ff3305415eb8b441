//! Which names a variable may have. Whoever can write the secret must not be able to get code run in the application,
//! to change whom it trusts, or to send it elsewhere.

use crate::text::escaped;

/// What a name comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be set.
    Good,
    /// No variable can have it.
    Bad,
    /// It is denied unless it is permitted by name.
    Denied,
}

/// Denied names, in capitals, compared in any case; a `*` stands for any ending or, in front, for any beginning.
#[rustfmt::skip]
const DENIED: &[&str] = &[
    // The loader and the C library: https://man7.org/linux/man-pages/man8/ld.so.8.html
    "LD_*", "DYLD_*", "GLIBC_TUNABLES", "GCONV_PATH", "GETCONF_DIR", "LOCPATH", "NLSPATH", "TZDIR", "MALLOC_*",
    "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_*",
    // Shells: https://www.gnu.org/software/bash/manual/html_node/Bash-Variables.html
    "PATH", "IFS", "ENV", "BASH_*", "SHELLOPTS", "BASHOPTS", "PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT_COMMAND",
    "SHELL", "CDPATH", "FPATH", "ZDOTDIR", "HISTFILE", "INPUTRC",
    // Programs that others start
    "EDITOR", "VISUAL", "PAGER", "BROWSER", "LESSOPEN", "LESSCLOSE", "GIT_*",
    // Python: https://docs.python.org/3/using/cmdline.html#environment-variables
    "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONBREAKPOINT", "PYTHONINSPECT",
    "PYTHONWARNINGS", "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHON_*",
    // Node: https://nodejs.org/api/cli.html#environment-variables_1
    "NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE", "NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED",
    // Perl, Ruby, Lua, PHP
    "PERL5LIB", "PERL5OPT", "PERL5DB", "PERLLIB", "PERL5SHELL", "RUBYOPT", "RUBYLIB", "RUBYSHELL", "GEM_*", "BUNDLE_*",
    "LUA_INIT*", "LUA_PATH*", "LUA_CPATH*", "PHP_INI_SCAN_DIR", "PHPRC",
    // Java and .NET
    "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "IBM_JAVA_OPTIONS", "OPENJ9_JAVA_OPTIONS", "CLASSPATH",
    "DOTNET_STARTUP_HOOKS", "DOTNET_ADDITIONAL_DEPS", "DOTNET_SHARED_STORE", "CORECLR_*", "COR_*",
    // Erlang, Go
    "ERL_AFLAGS", "ERL_FLAGS", "ERL_ZFLAGS", "ERL_LIBS", "GODEBUG",
    // Whom to trust and where to send: OpenSSL, curl, requests, proxies
    "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSLKEYLOGFILE", "SSL_CERT_*", "CURL_CA_BUNDLE", "CURL_HOME",
    "REQUESTS_CA_BUNDLE", "*_PROXY",
    // The cluster's and this program's own
    "KUBERNETES_*", "VAULT_*", "BAO_*",
];

/// Words in a name that make its value worth hiding even from whoever sees only names.
const SENSITIVE: &[&str] = &["password", "passwd", "secret", "key", "token", "credential", "private"];

/// Judges `name`; `allowed` are the names permitted by the operator, compared exactly.
pub fn judge(name: &str, allowed: &[String]) -> Verdict {
    let printable = |b: u8| (b' '..=b'~').contains(&b) && b != b'=';
    if name.is_empty() || !name.bytes().all(printable) {
        Verdict::Bad
    } else if is_denied(name) && !allowed.iter().any(|a| a == name) {
        Verdict::Denied
    } else {
        Verdict::Good
    }
}

fn is_denied(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    DENIED.iter().any(|pattern| match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(beginning), _) => name.starts_with(beginning),
        (_, Some(ending)) => name.ends_with(ending),
        _ => name == *pattern,
    })
}

/// How the name is written to the log: `NAME=***masked***` where it looks sensitive, else the bare name. The value is
/// in neither.
pub fn masked(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let mask = if SENSITIVE.iter().any(|word| lower.contains(word)) { "=***masked***" } else { "" };
    format!("{}{mask}", escaped(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_ascii_and_denied_ones_need_leave() {
        let allowed = ["PATH".to_owned(), "x=y".to_owned()];
        for (name, verdict) in [
            ("DB_URL", Verdict::Good),
            ("db.url-1 ~", Verdict::Good),
            ("", Verdict::Bad),
            ("A=B", Verdict::Bad),
            ("x=y", Verdict::Bad),
            ("A\nB", Verdict::Bad),
            ("CAFÉ", Verdict::Bad),
            ("PATH", Verdict::Good),
            ("path", Verdict::Denied),
            ("Ld_Preload", Verdict::Denied),
            ("BASH_FUNC_x%%", Verdict::Denied),
            ("https_proxy", Verdict::Denied),
            ("NO_PROXY", Verdict::Denied),
            ("PROXY", Verdict::Good),
            ("VAULT_TOKEN", Verdict::Denied),
            ("BAOBAB", Verdict::Good),
            ("LUA_INIT_5_4", Verdict::Denied),
            ("PYTHONUNBUFFERED", Verdict::Good),
        ] {
            assert_eq!(judge(name, &allowed), verdict, "{name}");
        }
    }

    #[test]
    fn names_that_look_sensitive_are_masked_in_any_case_and_none_begins_a_line() {
        for (name, shown) in [
            ("DB_PASSWORD", "DB_PASSWORD=***masked***"),
            ("apiKey", "apiKey=***masked***"),
            ("MONKEY", "MONKEY=***masked***"),
            ("DB_URL", "DB_URL"),
            ("A\nERROR \u{1b}[31m", r"A\nERROR \u{1b}[31m"),
        ] {
            assert_eq!(masked(name), shown);
        }
    }
}
