//! What comes to the file, and what does not.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::json;
use vault_testkit::eventually;
use vault_testkit::on_both;
use vault_testkit::server::Server;

use super::{await_content, change, content, end, first, last, watched, write};
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

on_both! {
    a_change_comes_to_the_file_and_the_token_is_revoked_at_the_end,
    an_unchanged_secret_costs_one_request_a_refresh_over_one_connection_and_leaves_the_file_alone,
    a_file_with_other_content_is_replaced_at_the_start_and_one_with_the_same_is_left,
    a_change_that_cannot_be_used_is_told_with_every_problem_and_the_next_good_one_is_written,
    a_folder_of_files_is_kept_current_as_a_file_is,
    a_change_beside_the_keys_that_are_taken_leaves_the_file_alone,
    a_deleted_secret_leaves_the_file_and_is_told_once,
    of_several_paths_each_change_is_written_and_a_clash_is_not,
    without_vault_the_file_is_empty_and_nothing_is_asked,
}

fn a_change_comes_to_the_file_and_the_token_is_revoked_at_the_end(server: &Server) {
    let scenario = watched(server, &json!({"A": "the first", "B": "b"}));
    let started = scenario.start();
    await_content(&scenario, "export A='the first'\nexport B='b'\n");
    write(server, &scenario, &json!({"A": "the second"}));
    await_content(&scenario, "export A='the second'\n");
    let [audit, written] = change("1 variable", 2, "replaced");
    started.await_log("app.env replaced");
    let lines = [first("2 variables", 1, "created"), audit, written, last()];
    let outcome = end(started).expect(Expect::done().stderr(lines));
    let requests = outcome.requests();
    let (first, rest) = requests.split_first().expect("requests");
    let (last, reads) = rest.split_last().expect("requests");
    assert_eq!([first.as_str(), last.as_str()], ["update auth/kubernetes/login", "update auth/token/revoke-self"]);
    let read = scenario.expand("read kv/data/{path}");
    assert!(reads.len() >= 2 && reads.iter().all(|it| *it == read), "{requests:?}");
}

fn an_unchanged_secret_costs_one_request_a_refresh_over_one_connection_and_leaves_the_file_alone(server: &Server) {
    let scenario = watched(server, &json!({"A": "a-value"}));
    let started = scenario.start();
    started.await_log("app.env created");
    let inode = || std::fs::metadata(scenario.file("app.env")).expect("a file").ino();
    let (before, reads) = (inode(), || server.asked(&scenario.name).len());
    eventually("it was refreshed three times", || reads() >= 5);
    assert_eq!(inode(), before);
    let outcome = end(started).expect(Expect::done().stderr([first("1 variable", 1, "created"), last()]));
    assert_eq!(outcome.connections(), 1);
}

fn a_file_with_other_content_is_replaced_at_the_start_and_one_with_the_same_is_left(server: &Server) {
    for (there, became) in [("export A='old'\n", "replaced"), ("export A='a'\n", "unchanged")] {
        let scenario = watched(server, &json!({"A": "a"}));
        let file = scenario.file("app.env");
        std::fs::write(&file, there).expect("a file");
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
        let started = scenario.start();
        started.await_log(became);
        end(started).expect(Expect::done().stderr([first("1 variable", 1, became), last()]));
        assert_eq!(content(&scenario), "export A='a'\n");
    }
}

fn a_change_that_cannot_be_used_is_told_with_every_problem_and_the_next_good_one_is_written(server: &Server) {
    let scenario = watched(server, &json!({"A": "a-value"})).options(["--require", "A", "--format", "docker"]);
    let started = scenario.start();
    started.await_log("app.env created");
    write(server, &scenario, &json!({"B": "two\nlines", "LD_PRELOAD": "x"}));
    started.await_log("stays as it is");
    assert_eq!(content(&scenario), "A=a-value\n");
    write(server, &scenario, &json!({"A": "another"}));
    await_content(&scenario, "A=another\n");
    started.await_log("app.env replaced");
    let [second, _] = change("", 2, "");
    let [third, written] = change("1 variable", 3, "replaced");
    let refused = "WARN  vault-exec: secret kv/{path} version 2: denied: LD_PRELOAD (rename the key, or permit it with \
                   VAULT_ALLOW_NAMES); missing: A (add it to the secret, or take it out of VAULT_REQUIRED_KEYS); {any}: B (a \
                   newline) ({any}); {folder}/app.env stays as it is";
    let lines = [first("1 variable", 1, "created"), second, refused.to_owned(), third, written, last()];
    end(started).expect(Expect::done().stderr(lines));
}

fn a_folder_of_files_is_kept_current_as_a_file_is(server: &Server) {
    let scenario = watched(server, &json!({"A": "a-first", "PATH": "not denied"})).options(["--format", "dir"]);
    let started = scenario.start();
    let file = |name: &str| std::fs::read_to_string(scenario.file("app.env").join(name)).ok();
    eventually("the folder has its files", || file("A").as_deref() == Some("a-first"));
    assert_eq!(file("PATH").as_deref(), Some("not denied"));
    write(server, &scenario, &json!({"A": "a-second\n", "B": "b-new"}));
    eventually("the folder has other files", || file("B").as_deref() == Some("b-new"));
    started.await_log("app.env replaced");
    assert_eq!((file("A").as_deref(), file("PATH")), (Some("a-second\n"), None));
    let [audit, written] = change("2 variables", 2, "replaced");
    end(started).expect(Expect::done().stderr([first("2 variables", 1, "created"), audit, written, last()]));
}

fn a_change_beside_the_keys_that_are_taken_leaves_the_file_alone(server: &Server) {
    let scenario = watched(server, &json!({"A": "a-value", "B": "1"})).options(["--keys", "A"]);
    let started = scenario.start();
    started.await_log("app.env created");
    write(server, &scenario, &json!({"A": "a-value", "B": "2"}));
    let [audit, written] = change("1 variable", 2, "unchanged");
    started.await_log("app.env unchanged");
    end(started).expect(Expect::done().stderr([first("1 variable", 1, "created"), audit, written, last()]));
}

fn a_deleted_secret_leaves_the_file_and_is_told_once(server: &Server) {
    let scenario = watched(server, &json!({"A": "a-value"}));
    let started = scenario.start();
    started.await_log("app.env created");
    let path = format!("kv/data/{}", scenario.path());
    server.must("DELETE", &path, &json!(null));
    started.await_log("was deleted");
    let before = server.asked(&scenario.name).len();
    eventually("it was refreshed twice more", || server.asked(&scenario.name).len() >= before + 2);
    assert_eq!(content(&scenario), "export A='a-value'\n");
    server.must("POST", &path.replace("data", "undelete"), &json!({"versions": [1]}));
    started.await_log("read again");
    let lines = [
        first("1 variable", 1, "created"),
        "WARN  vault-exec: vault at {addr}: kv/{path} version 1 was deleted at 20{any}Z; undelete it, write a new version, or \
         pin another one with VAULT_SECRET_VERSION; what was read before is kept"
            .to_owned(),
        "INFO  vault-exec: secret kv/{path}: read again, version 1 is still the latest".to_owned(),
        last(),
    ];
    end(started).expect(Expect::done().stderr(lines));
}

fn of_several_paths_each_change_is_written_and_a_clash_is_not(server: &Server) {
    let scenario = watched(server, &json!({"A": "a", "C": "same"})).secret_at("other", &json!({"B": "b", "C": "same"}));
    let scenario = scenario.env("VAULT_PATH", "{path},{name}/other");
    let started = scenario.start();
    await_content(&scenario, "export A='a'\nexport B='b'\nexport C='same'\n");
    server.write_secret("", "kv", &format!("{}/other", scenario.name), &json!({"B": "2", "C": "same"}));
    await_content(&scenario, "export A='a'\nexport B='2'\nexport C='same'\n");
    write(server, &scenario, &json!({"A": "a", "C": "another"}));
    started.await_log("different values: C of");
    assert_eq!(content(&scenario), "export A='a'\nexport B='2'\nexport C='same'\n");
    server.write_secret("", "kv", &format!("{}/other", scenario.name), &json!({"C": "another"}));
    await_content(&scenario, "export A='a'\nexport C='another'\n");
    end(started).expect(Expect::done().any_stderr());
}

fn without_vault_the_file_is_empty_and_nothing_is_asked(server: &Server) {
    let scenario = Scenario::new(server).unset("VAULT_ADDR").no_command().options(super::OPTIONS);
    let started = scenario.start();
    started.await_log("without variables");
    assert!(scenario.file("app.env").is_file());
    let lines = [
        "INFO  vault-exec: VAULT_ADDR is unset: {folder}/app.env created, without variables, and nothing is watched",
        "INFO  vault-exec: SIGTERM: ended by it; {folder}/app.env stays",
    ];
    let outcome = end(started).expect(Expect::done().stderr(lines));
    assert_eq!((content(&scenario).as_str(), outcome.requests()), ("", Vec::new()));
}
