//! The cached token: who logs in when several start, what becomes of a dead one, and the logout.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use vault_client::{
    Address, CachedLogin, Cancel, Endpoint, Event, Limits, LoggedOut, Observer, Options, VaultError, log_out_all,
};
use vault_testkit::server::{CallbackMode, Listener};

use super::keys;
use crate::support::desk::{Desk, Started, at_desk, opened};

#[test]
fn a_hundred_programs_that_start_together_open_one_browser_and_make_one_login() {
    at_desk("a_hundred_programs_that_start_together", CallbackMode::Client, &json!({}), |desk| {
        let (browser, folder) = desk.browser();
        let start = |_| {
            let mut command = desk.command("app", "localhost:0");
            command.env("BROWSER", &browser).env("PATH", "/usr/bin:/bin");
            Started::of(command)
        };
        let started: Vec<_> = (0..100).map(start).collect();
        vault_testkit::eventually("a browser is opened", || !opened(&folder).is_empty());
        vault_testkit::browser::browse(&opened(&folder)[0], "alice", None);
        for started in started {
            let said = started.end();
            assert_eq!((said.code, said.stdout), (Some(0), keys(desk)), "{:?}", said.stderr);
        }
        assert_eq!((opened(&folder).len(), desk.logins_and_tokens()), (1, (1, 1)));
        // No lock and nothing half written is left.
        assert_eq!(desk.cached().len(), 1);
    });
}

#[test]
fn who_waits_takes_over_where_the_first_program_is_ended() {
    at_desk("who_waits_takes_over", CallbackMode::Client, &json!({}), |desk| {
        let mut first = desk.start();
        first.url();
        let mut second = desk.start();
        let waiting = format!("Another program has begun the login at auth/{}; waiting for it.", desk.corner.name);
        second.line(|line| line == waiting);
        let pid = nix::unistd::Pid::from_raw(first.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        assert_eq!(first.end().code, None);
        second.sign_in("alice");
        assert_eq!(second.end().code, Some(0));
        assert_eq!((desk.logins_and_tokens(), desk.cached().len()), ((2, 1), 1));
    });
}

#[test]
fn a_dead_token_is_dropped_and_the_person_is_asked_again() {
    at_desk("a_dead_token_is_dropped", CallbackMode::Client, &json!({}), |desk| {
        log_in(desk);
        let dead = desk.cached_token();
        desk.corner.revoke_tokens();
        log_in(desk);
        assert_ne!(desk.cached_token(), dead);
        assert_eq!(desk.logins_and_tokens(), (2, 1));
    });
}

#[test]
fn a_denied_path_costs_no_cached_token() {
    at_desk("a_denied_path_costs_no_cached_token", CallbackMode::Client, &json!({}), |desk| {
        log_in(desk);
        let token = desk.cached_token();
        let server = desk.corner.server;
        server.write_policy("", &desk.corner.name, "path \"elsewhere/*\" { capabilities = [\"read\"] }");
        let said = desk.start().end();
        assert_eq!((said.code, said.stderr.len()), (Some(1), 1), "{:?}", said.stderr);
        assert!(said.stderr[0].contains("permission denied"), "{:?}", said.stderr);
        assert_eq!((desk.cached_token(), desk.logins_and_tokens()), (token, (1, 1)));
    });
}

#[test]
fn a_token_for_less_than_an_hour_or_for_some_uses_is_revoked_at_the_end() {
    for role in [json!({"token_ttl": "3599s", "token_max_ttl": "3599s"}), json!({"token_num_uses": 20})] {
        at_desk("a_token_for_less_than_an_hour", CallbackMode::Client, &role, |desk| {
            log_in(desk);
            assert_eq!((desk.logins_and_tokens(), desk.cached().len()), ((1, 0), 0), "{role}");
        });
    }
}

#[test]
fn an_entry_that_is_not_ours_alone_is_told_and_replaced() {
    at_desk("an_entry_that_is_not_ours_alone", CallbackMode::Client, &json!({}), |desk| {
        log_in(desk);
        let file = desk.cached().remove(0);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let stderr = log_in(desk);
        let told =
            format!("oidc: warning: the cached token in {} is not used: its mode 644 lets others in", told(&file));
        assert_eq!(stderr[0], told);
        assert_eq!((desk.logins_and_tokens(), desk.cached()), ((2, 2), vec![file.clone()]));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::set_permissions(desk.cache(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let stderr = log_in(desk);
        let told = format!(
            "oidc: warning: the cached token in {} is not used: its mode 755 lets others in",
            desk.cache().display()
        );
        assert_eq!((&stderr[0], stderr.iter().filter(|line| line.contains("warning")).count()), (&told, 1));
        // What could not be kept is revoked.
        assert_eq!(desk.logins_and_tokens(), (3, 2));
    });
}

#[test]
fn on_a_full_disk_the_login_works_with_one_warning() {
    at_desk("on_a_full_disk_the_login_works", CallbackMode::Client, &json!({}), |desk| {
        let inner = desk.command("app", "localhost:0");
        // Not a byte can be written to a file.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        command.env_clear().env("XDG_CACHE_HOME", &desk.caches);
        let mut started = Started::of(command);
        started.sign_in("alice");
        let said = started.end();
        assert_eq!((said.code, said.stdout), (Some(0), keys(desk)), "{:?}", said.stderr);
        let warnings: Vec<_> = said.stderr.iter().filter(|line| line.contains("warning")).collect();
        assert!(
            matches!(&warnings[..], [one] if one.contains("is not kept for the next start: ") && one.contains("File too large")),
            "{warnings:?}"
        );
        assert_eq!((desk.logins_and_tokens(), desk.cached().len()), ((1, 0), 0));
    });
}

#[test]
fn a_logout_revokes_the_token_and_removes_it_whatever_became_of_it() {
    at_desk("a_logout_revokes_the_token", CallbackMode::Client, &json!({}), |desk| {
        let (oidc, endpoint) = (desk.login(), endpoint(&desk.corner.server.addr(Listener::Plain)));
        assert_eq!(oidc.log_out(&endpoint).unwrap(), LoggedOut::NotCached);
        log_in(desk);
        assert_eq!(oidc.log_out(&endpoint).unwrap(), LoggedOut::Revoked);
        assert_eq!((desk.logins_and_tokens(), desk.cached().len()), ((1, 0), 0));

        log_in(desk);
        desk.corner.revoke_tokens();
        assert_eq!(oidc.log_out(&endpoint).unwrap(), LoggedOut::Refused);
        assert_eq!(desk.cached().len(), 0);
        assert_eq!(oidc.log_out(&endpoint).unwrap(), LoggedOut::NotCached);
    });
}

#[test]
fn a_logout_of_all_goes_to_the_server_of_each_and_what_is_away_or_no_entry_is_told() {
    at_desk("a_logout_of_all_goes_to_the_server_of_each", CallbackMode::Client, &json!({}), |desk| {
        log_in(desk);
        let here = desk.corner.server.addr(Listener::Plain);
        let away = here.replace("127.0.0.1", "localhost");
        let mut started = Started::of(desk.command_at(&away, "app", "localhost:0"));
        started.sign_in("alice");
        assert_eq!((started.end().code, desk.cached().len()), (Some(0), 2));
        let stranger = desk.cache().join("0".repeat(64) + ".json");
        std::fs::copy(&desk.cached()[0], &stranger).unwrap();
        let (told, warnings) = (Mutex::new(Vec::new()), Arc::new(Warnings::default()));
        let connect = |login: &CachedLogin| {
            let address = if login.address == away { "http://127.0.0.1:1" } else { &login.address };
            Ok::<_, VaultError>(watched(address, Arc::clone(&warnings)))
        };
        let all =
            log_out_all(&desk.cache(), &connect, &|warning| told.lock().unwrap().push(warning.to_owned())).unwrap();
        assert_eq!(all.left.len(), 0);
        let mut done: Vec<_> =
            all.done.into_iter().map(|(login, outcome)| (login.address, login.role, outcome)).collect();
        done.sort_by_key(|(address, ..)| *address == away);
        let [(_, _, revoked), (_, _, LoggedOut::Left(left))] = done[..] else { panic!("{done:?}") };
        assert_eq!((revoked, &done[0].0, &done[1].0), (LoggedOut::Revoked, &here, &away));
        assert!(left > Duration::from_secs(3600), "{left:?}");
        let warning = format!(
            "the cached token in {} is not revoked: of another login; it stays valid until it expires",
            self::told(&stranger)
        );
        assert_eq!(told.into_inner().unwrap(), [warning]);
        let warnings = warnings.0.lock().unwrap();
        assert!(
            matches!(&warnings[..], [one] if one.contains("connection refused; the token that was cached stays valid for ")),
            "{warnings:?}"
        );
        assert_eq!((desk.corner.live_tokens(), desk.cached().len()), (1, 0));
    });
}

/// A file of the cache, as warnings name it.
fn told(file: &Path) -> String {
    let (folder, name) = (file.parent().unwrap(), file.file_name().unwrap().to_str().unwrap());
    format!("{}/{}*.json", folder.display(), &name[..8])
}

/// Logs a person in by the example, and returns what it said.
fn log_in(desk: &Desk) -> Vec<String> {
    let mut started = desk.start();
    started.sign_in("alice");
    let said = started.end();
    assert_eq!((said.code, said.stdout), (Some(0), keys(desk)), "{:?}", said.stderr);
    said.stderr
}

fn endpoint(address: &str) -> Endpoint {
    watched(address, Arc::default())
}

/// What deserved a look.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn note(&self, event: &Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.lock().unwrap().push((*warning).to_owned());
        }
    }
}

/// A server whose warnings are taken down.
fn watched(address: &str, warnings: Arc<Warnings>) -> Endpoint {
    let address = Address::parse(address).unwrap();
    let limits = Limits { retries: 0, ..Limits::default() };
    Endpoint::new(&Options::new(address), limits, Cancel::never(), warnings)
}
