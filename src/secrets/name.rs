//! Which names a variable may have. Whoever can write the secret must not be able to get code run in the application,
//! to change whom it trusts, or to send it elsewhere.

use super::denied;
use vault_client::text;

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

/// Words in a name that make its value worth hiding even from whoever sees only names.
const SENSITIVE: &[&str] =
    &["password", "passwd", "pwd", "secret", "key", "token", "credential", "private", "auth", "dsn", "url"];

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
/// assert_eq!(judge("PATH=x", &[]), Verdict::Denied);
/// ```
pub fn judge(name: &str, allowed: &[String]) -> Verdict {
    let printable = |b: u8| (b' '..=b'~').contains(&b) && b != b'=';
    if is_denied(name) && !allowed.iter().any(|a| a == name) {
        Verdict::Denied
    } else if name.is_empty() || !name.bytes().all(printable) {
        Verdict::Bad
    } else {
        Verdict::Good
    }
}

/// Whether a shell can have a variable of this name:
/// <https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap03.html#tag_03_216>.
pub fn is_identifier(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Whether a carrier that takes any name could set a denied variable with this one: `json` and what reads it may take
/// `LD_PRELOAD=x` or `LD_PRELOAD`, NUL and more for `LD_PRELOAD`, and each line for a variable of its own.
fn is_denied(name: &str) -> bool {
    let ends = |c: char| c == '=' || c == '\0' || c.is_whitespace();
    let lines = name.split(['\n', '\r', '\0']).map(|line| line.trim_start().split(ends).next().unwrap_or_default());
    // Spring and MicroProfile look a variable up by the property's own spelling too.
    let spelt = |name: &str| name.contains(['.', '-']) && denied::holds(&name.replace(['.', '-'], "_"));
    lines.into_iter().any(|name| denied::holds(name) || spelt(name))
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
    format!("{}{mask}", text::name(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
            ("PATH=x", Verdict::Denied),
            ("LD_PRELOAD\nx", Verdict::Denied),
            ("LD_PRELOAD\0", Verdict::Denied),
            ("LD_PRELOAD\u{a0}", Verdict::Denied),
            ("\t ld_preload x", Verdict::Denied),
            ("x\r\nLD_PRELOAD=y", Verdict::Denied),
            ("=LD_PRELOAD", Verdict::Bad),
            ("x LD_PRELOAD", Verdict::Good),
            ("PATHS", Verdict::Good),
            ("A\nB", Verdict::Bad),
            ("CAFÉ", Verdict::Bad),
            ("PATH", Verdict::Good),
            ("path", Verdict::Denied),
            ("Ld_Preload", Verdict::Denied),
            ("BASH_FUNC_x%%", Verdict::Denied),
            ("spring.config.import", Verdict::Denied),
            ("loader-path", Verdict::Denied),
            ("spring.datasource.password", Verdict::Good),
            ("restic_password_command", Verdict::Denied),
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
        let names = "DATABASE_URL REDIS_URL NODE_ENV PORT LANG TZ RAILS_MASTER_KEY SECRET_KEY_BASE RAILS_ENV MIX_ENV \
            DJANGO_SETTINGS_MODULE ASPNETCORE_ENVIRONMENT DOTNET_ENVIRONMENT SPRING_DATASOURCE_PASSWORD \
            SPRING_PROFILES_ACTIVE RELEASE_COOKIE ERL_COOKIE GITHUB_TOKEN PYTHONUNBUFFERED GOMAXPROCS RUST_LOG HOST \
            USERNAME PASSWORD USER PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGAPPNAME MYSQL_PWD MYSQL_HOST MYSQL_USER \
            AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_ROLE_ARN AZURE_CLIENT_ID \
            AZURE_CLIENT_SECRET AZURE_TENANT_ID ARM_CLIENT_SECRET GOOGLE_API_KEY GOOGLE_CLIENT_SECRET \
            CLOUDSDK_AUTH_ACCESS_TOKEN GIT_TOKEN GIT_USERNAME GIT_PASSWORD GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL \
            LD_SDK_KEY LD_CLIENT_ID BUNDLE_GITHUB__COM BUNDLE_RUBYGEMS__PKG__GITHUB__COM GEM_HOST_API_KEY \
            RUBYGEMS_API_KEY YARN_NPM_AUTH_TOKEN YARN_NPM_AUTH_IDENT NPM_TOKEN COREPACK_NPM_TOKEN BUN_AUTH_TOKEN \
            DENO_AUTH_TOKENS DENO_DEPLOY_TOKEN CARGO_REGISTRY_TOKEN CARGO_REGISTRIES_MINE_TOKEN HEX_API_KEY \
            COMPOSER_AUTH POETRY_PYPI_TOKEN_MINE POETRY_HTTP_BASIC_MINE_PASSWORD UV_PUBLISH_TOKEN \
            UV_INDEX_MINE_PASSWORD TWINE_PASSWORD SMTP_PROXY MAIL_PROXY DOCKER_PASSWORD DOCKER_AUTH_CONFIG \
            HELM_KUBETOKEN TF_VAR_password TF_TOKEN_app_example_com ANSIBLE_PASSWORD ANSIBLE_SSH_PASS RSYNC_PASSWORD \
            LDAP_PASSWORD LDAPBINDDN KRB5_PASSWORD SSH_PRIVATE_KEY SSH_KEY GPG_PASSPHRASE KAFKA_PASSWORD \
            KAFKA_SASL_JAAS_CONFIG CONSUL_HTTP_TOKEN NOMAD_TOKEN SSL_CERT_PASSWORD OPENSSL_KEY MALLOC_KEY LESS_SECRET \
            SENTRY_DSN OTEL_EXPORTER_OTLP_HEADERS GCM_API_KEY PIP_PASSWORD CURL_TOKEN WGET_PASSWORD DBUS_TOKEN";
        for name in names.split_whitespace() {
            assert_eq!(judge(name, &[]), Verdict::Good, "{name}");
        }
    }

    #[test]
    fn a_family_with_denied_names_still_has_room_for_credentials() {
        let whole: Vec<_> = denied::patterns().filter_map(|pattern| pattern.strip_suffix('*')).collect();
        let mut families = BTreeSet::new();
        for (family, _) in denied::patterns().filter_map(|pattern| pattern.split_once('_')) {
            if !family.is_empty() && !whole.iter().any(|it| family.starts_with(it) || *it == format!("{family}_")) {
                families.insert(family);
            }
        }
        for family in &families {
            for ending in ["TOKEN", "PASSWORD", "USERNAME", "API_KEY", "SECRET", "CLIENT_ID", "SDK_KEY"] {
                let name = format!("{family}_{ending}");
                assert_eq!(judge(&name, &[]), Verdict::Good, "{name}");
            }
        }
        assert!(families.len() > 100 && families.contains("GIT") && families.contains("AWS"), "{families:?}");
    }

    #[test]
    fn names_that_need_only_a_value_are_denied() {
        let names = "AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE \
            AWS_CONTAINER_CREDENTIALS_RELATIVE_URI DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS TAR_OPTIONS MAKEFLAGS \
            GNUMAKEFLAGS LESS PGHOSTADDR PGSSLMODE PYTHONOPTIMIZE PIP_INDEX_URL AWS_SHARED_CREDENTIALS_FILE SSH_ASKPASS \
            WGETRC MAKEFILES GIO_MODULE_DIR TCLLIBPATH MANPAGER GOFLAGS COMPILER_PATH PGSSLROOTCERT PGSERVICEFILE \
            LDAPTLS_CACERT LDAPTLS_REQCERT PERL_LWP_SSL_VERIFY_HOSTNAME PERL_LWP_SSL_CA_FILE \
            GRPC_DEFAULT_SSL_ROOTS_FILE_PATH GRPC_NOT_USE_SYSTEM_SSL_ROOTS GRPC_SYSTEM_SSL_ROOTS_DIR PIP_CERT \
            AZURE_AUTHORITY_HOST RANDOM SECONDS OPTIND REPORTTIME GIT_SSH_COMMAND GIT_CONFIG_COUNT BUNDLE_GEMFILE \
            GEM_HOME YARN_YARN_PATH LD_PRELOAD_64 MALLOC_CONF http_proxy HTTPS_PROXY ALL_PROXY";
        for name in names.split_whitespace() {
            assert_eq!(judge(name, &[]), Verdict::Denied, "{name}");
        }
    }

    #[test]
    fn names_that_look_sensitive_are_masked_in_any_case_and_none_begins_a_line() {
        for (name, shown) in [
            ("DB_PASSWORD", "DB_PASSWORD=***masked***"),
            ("apiKey", "apiKey=***masked***"),
            ("MONKEY", "MONKEY=***masked***"),
            ("DATABASE_URL", "DATABASE_URL=***masked***"),
            ("Sentry_Dsn", "Sentry_Dsn=***masked***"),
            ("MYSQL_PWD", "MYSQL_PWD=***masked***"),
            ("BASIC_AUTH", "BASIC_AUTH=***masked***"),
            ("DB_HOST", "DB_HOST"),
            ("A\nERROR \u{1b}[31m", r"A\nERROR \u{1b}[31m"),
        ] {
            assert_eq!(masked(name), shown);
        }
        assert_eq!(masked(&"TOKEN".repeat(1 << 14)), format!("{}…=***masked***", "TOKEN".repeat(20)));
    }
}
