//! No value of a watched secret is in what is shown, told or logged.

use serde_json::json;
use vault_client::{AgentToken, Cas, Secret, Secrets, VaultClient};
use vault_testkit::raw::{READ, Raw, Reply};

use super::scripted::version;
use super::{Told, quick, seldom};
use crate::support::{log, with_corner};

#[test]
fn nothing_of_a_watched_value_is_in_a_debug_an_error_an_audit_line_or_a_log() {
    log::collect();
    with_corner("nothing_of_a_watched_value_is_in_a_debug_an_error_an_audit_line_or_a_log", |corner| {
        let told = Told::default();
        // One client logs, and the other one tells its observer.
        let clients = [corner.builder(), corner.builder().observer(told.clone())];
        let mut shown = Vec::new();
        for client in clients.map(|builder| builder.limits(quick()).build().unwrap()) {
            let kv = client.kv(&corner.name);
            kv.write("d1/token", &json!({"token": "a-watched-value"}), Cas::Any).unwrap();
            let watched = kv.watch("d1/token", seldom()).unwrap();
            let secrets = Secrets::new(kv.clone(), seldom());
            let agent = AgentToken::watch(&kv, "d1", seldom(), Some(Secret::new("a-given-value").into())).unwrap();
            secrets.get("d1/token", "token").unwrap();
            let changes = watched.changes();
            agent.store(&Secret::new("a-later-value")).unwrap();
            watched.refresh().unwrap();
            agent.refresh().unwrap();
            agent.delete().unwrap();
            let errors = [watched.refresh(), agent.refresh(), secrets.get("d1/token", "absent").map(drop)];
            let failing = watched.failing();
            shown.push(format!("{watched:?} {changes:?} {secrets:?} {agent:?} {errors:?} {failing:?}"));
            shown.push(format!(
                "{:?} {:?} {:?}",
                watched.accepted(quick().whole),
                agent.accepted(quick().whole),
                agent.current()
            ));
            client.close();
        }
        let fixed = AgentToken::fixed(Secret::new("a-given-value").into(), "d1");
        shown.push(format!("{fixed:?} {:?} {:?}", told.lines(), told.0.lock().unwrap()));
        shown.extend(told.0.lock().unwrap().iter().map(ToString::to_string));
        let shown = shown.concat();
        assert!(shown.contains("Watched(***)") && shown.contains("version 4 in place of version 3"), "{shown}");
        // What is logged of it is there.
        assert!(!log::lines_with(&format!("secret {}/d1/token: version", corner.name)).is_empty());
        for secret in ["a-watched-value", "a-later-value", "a-given-value"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
            // The library below shows what it sends and receives, which the documentation says.
            let logged = log::lines_with(secret).into_iter().filter(|line| !line.starts_with("ureq_proto"));
            assert_eq!(logged.collect::<Vec<_>>(), Vec::<String>::new());
        }
    });
}

#[test]
fn what_a_server_repeats_of_a_value_in_hand_is_struck_out() {
    let echo = Reply::json(500, &json!({"errors": ["cannot read an-echoed-value again"]}));
    let raw = Raw::start([(READ, vec![version(1, 1, &json!({"K": "an-echoed-value"})), echo])]);
    let told = Told::default();
    let builder = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(quick()).ignore_environment();
    let client = builder.observer(told.clone()).build().unwrap();
    let watched = client.kv("kv").watch("shop/app", seldom()).unwrap();
    let error = watched.refresh().unwrap_err();
    let shown = format!("{error} {error:?} {:?}", told.lines());
    assert!(shown.contains("cannot read") && !shown.contains("an-echoed-value"), "{shown}");
}
