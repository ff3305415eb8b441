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
    "LD_*", "DYLD_*", "_RLD*", "GLIBC_TUNABLES", "GCONV_PATH", "GETCONF_DIR", "LOCPATH", "MUSL_LOCPATH", "PATH_LOCALE",
    "NLSPATH", "TZDIR", "TMPDIR", "MALLOC_*", "HOSTALIASES", "LOCALDOMAIN", "NIS_PATH", "RES_OPTIONS", "RESOLV_*",
    // Shells: https://www.gnu.org/software/bash/manual/html_node/Bash-Variables.html
    "PATH", "IFS", "ENV", "BASH_*", "SHELLOPTS", "BASHOPTS", "PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT_COMMAND",
    "SHELL", "CDPATH", "GLOBIGNORE", "FPATH", "NULLCMD", "READNULLCMD", "TMPPREFIX", "ZDOTDIR", "HISTFILE", "INPUTRC",
    // Where programs look for what they run or load, and programs that others start
    "HOME", "XDG_*", "TERMCAP", "TERMINFO*", "TERMPATH",
    "EDITOR", "VISUAL", "FCEDIT", "PAGER", "BROWSER", "LESSOPEN", "LESSCLOSE", "GIT_*", "KUBECONFIG", "KRB5_CONFIG",
    // Python: https://docs.python.org/3/using/cmdline.html#environment-variables
    "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONBREAKPOINT", "PYTHONINSPECT",
    "PYTHONWARNINGS", "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHON_*", "GUNICORN_CMD_ARGS",
    // Node: https://nodejs.org/api/cli.html#environment-variables_1
    "NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE", "NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED",
    "NODE_COMPILE_CACHE", "NODE_V8_COVERAGE", "NODE_REDIRECT_WARNINGS", "NODE_ICU_DATA", "NODE_USE_*", "NPM_CONFIG_*",
    "YARN_*", "COREPACK_*", "BUN_*", "DENO_*",
    // Perl, Ruby, Lua, PHP
    "PERL5*", "PERLLIB", "PERLDB_OPTS", "PERLIO*", "RUBYOPT", "RUBYLIB", "RUBYPATH", "RUBYSHELL", "RUBYGEMS_*", "GEM_*",
    "BUNDLE_*", "BUNDLER_*", "LUA_INIT*", "LUA_PATH*", "LUA_CPATH*", "PHP_INI_SCAN_DIR", "PHPRC",
    // Java and .NET
    "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "IBM_JAVA_OPTIONS", "OPENJ9_JAVA_OPTIONS", "CLASSPATH",
    "JAVA_OPTS", "JAVA_HOME", "JRE_HOME", "CATALINA_*", "DOTNET_STARTUP_HOOKS", "DOTNET_ADDITIONAL_DEPS",
    "DOTNET_SHARED_STORE", "DOTNET_ROOT*", "DOTNET_GC*", "DOTNET_DIAGNOSTIC*", "DOTNET_BUNDLE_*", "COMPLUS_*",
    "CORECLR_*", "COR_*", "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
    // Erlang, Elixir, Go
    "ERL_*", "ELIXIR_ERL_OPTIONS", "GODEBUG",
    // Whom to trust and where to send: OpenSSL, curl, requests, gRPC, AWS, proxies
    "OPENSSL_*", "SSLKEYLOGFILE", "SSL_CERT_*", "CURL_CA_BUNDLE", "CURL_HOME", "REQUESTS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_ENDPOINT_URL*", "*_PROXY",
    // The cluster's and this program's own
    "KUBERNETES_*", "VAULT_*", "BAO_*",
];

/// Words in a name that make its value worth hiding even from whoever sees only names.
const SENSITIVE: &[&str] = &["password", "passwd", "secret", "key", "token", "credential", "private"];

/// Judges `name`; `allowed` are the names permitted by the operator, compared exactly.
///
/// # Examples
///
/// ```
/// use vault_exec::secrets::name::{Verdict, judge};
///
/// assert_eq!(judge("DATABASE_URL", &[]), Verdict::Good);
/// assert_eq!(judge("https_proxy", &[]), Verdict::Denied);
/// assert_eq!(judge("https_proxy", &["https_proxy".to_owned()]), Verdict::Good);
/// assert_eq!(judge("A=B", &["A=B".to_owned()]), Verdict::Bad);
/// ```
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
///
/// # Examples
///
/// ```
/// use vault_exec::secrets::name::masked;
///
/// assert_eq!(masked("API_KEY"), "API_KEY=***masked***");
/// assert_eq!(masked("PORT"), "PORT");
/// ```
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
    fn what_others_do_not_trust_in_an_environment_is_denied_here_too() {
        // What the loader takes out for set-user-ID programs:
        // https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/generic/unsecvars.h
        let of_glibc = "GCONV_PATH GETCONF_DIR GLIBC_TUNABLES HOSTALIASES LD_AUDIT LD_BIND_NOT LD_BIND_NOW LD_DEBUG \
            LD_DEBUG_OUTPUT LD_DYNAMIC_WEAK LD_HWCAP_MASK LD_LIBRARY_PATH LD_ORIGIN_PATH LD_PRELOAD LD_PREFER_MAP_32BIT_EXEC \
            LD_PROFILE LD_PROFILE_OUTPUT LD_SHOW_AUXV LD_USE_LOAD_BIAS LD_VERBOSE LD_WARN LOCALDOMAIN LOCPATH MALLOC_ARENA_MAX \
            MALLOC_CHECK_ MALLOC_PERTURB_ MALLOC_TRACE NIS_PATH NLSPATH RESOLV_HOST_CONF RES_OPTIONS TMPDIR TZDIR";
        // What sudo takes out: https://www.sudo.ws/docs/man/sudoers.man/#Command_environment, `sudo -V` lists it
        let of_sudo = "IFS CDPATH LOCALDOMAIN RES_OPTIONS HOSTALIASES NLSPATH PATH_LOCALE LD_PRELOAD _RLD_LIST TERMINFO \
            TERMINFO_DIRS TERMPATH TERMCAP ENV BASH_ENV PS4 GLOBIGNORE BASHOPTS SHELLOPTS JAVA_TOOL_OPTIONS PERLIO_DEBUG \
            PERLLIB PERL5LIB PERL5OPT PERL5DB FPATH NULLCMD READNULLCMD ZDOTDIR TMPPREFIX PYTHONHOME PYTHONPATH \
            PYTHONINSPECT PYTHONUSERBASE RUBYLIB RUBYOPT";
        for name in of_glibc.split_whitespace().chain(of_sudo.split_whitespace()) {
            assert_eq!(judge(name, &[]), Verdict::Denied, "{name}");
        }
    }

    #[test]
    fn names_that_applications_are_configured_by_are_good() {
        for name in [
            "DATABASE_URL",
            "PGPASSWORD",
            "REDIS_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "NODE_ENV",
            "PORT",
            "TZ",
            "LANG",
            "RAILS_MASTER_KEY",
            "SECRET_KEY_BASE",
            "DJANGO_SETTINGS_MODULE",
            "ASPNETCORE_ENVIRONMENT",
            "DOTNET_ENVIRONMENT",
            "SPRING_DATASOURCE_PASSWORD",
            "RELEASE_COOKIE",
            "GITHUB_TOKEN",
            "PYTHONUNBUFFERED",
            "GOMAXPROCS",
            "RUST_LOG",
        ] {
            assert_eq!(judge(name, &[]), Verdict::Good, "{name}");
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
