//! What a new configuration takes along, and what not.

use std::thread;

use nix::sys::signal::Signal;
use serde_json::json;
use vault_testkit::eventually;
use vault_testkit::server::{Kind, Listener, on};

use crate::support::between::{Between, Way};
use crate::support::gateway::Gateway;
use crate::support::{Corner, Tables};

/// Writes the configuration, and waits until it is in force.
fn reload(corner: &Corner, gateway: &Gateway, tables: &Tables) {
    let reloads = || gateway.metric("vault_gateway_config_reloads_total{result=\"ok\"}");
    let before = reloads();
    corner.write(tables);
    gateway.signal(Signal::SIGHUP);
    eventually("it is read again", || reloads() > before);
}

#[test]
fn what_a_tenant_has_read_is_not_served_to_another_in_its_place() {
    on(Kind::OpenBao, "what_a_tenant_has_read_is_not_served_to_another_in_its_place", |server| {
        let corner = Corner::of(server);
        let other = Corner::of(server);
        corner.put("shared/a", &json!({"K": "hunter2"}));
        let tables = corner.tables();
        let gateway = corner.start(&tables);
        assert_eq!(gateway.ask("GET /vault/secrets/shared/a", &corner.token("reader")).status, 200);
        // The same mount, with a login that may read another one only.
        let mut renamed = tables.clone();
        renamed.tenant = renamed.tenant.replace("team-a", "team-b");
        renamed.tenant =
            renamed.tenant.replace(&format!("role = \"{}\"", corner.name), &format!("role = \"{}\"", other.name));
        renamed.rules = renamed.rules.replace("team-a", "team-b");
        reload(&corner, &gateway, &renamed);
        let token = corner.issuer.token(&json!({"roles": ["reader"], "tenant": "team-b"}));
        let reply = gateway.ask("GET /vault/secrets/shared/a", &token);
        assert_eq!(reply.told(), (403, "upstream-denied".to_owned()));
    });
}

#[test]
fn a_write_that_began_before_a_new_cache_empties_it_too() {
    on(Kind::OpenBao, "a_write_that_began_before_a_new_cache_empties_it_too", |server| {
        let corner = Corner::of(server);
        corner.put("shared/a", &json!({"K": "old"}));
        let between = Between::before(&server.addr(Listener::Plain));
        let mut tables = corner.tables();
        let gateway = Gateway::start(&corner.write(&tables), &between.url);
        let token = corner.token("admin");
        let read = || gateway.ask("GET /vault/secrets/shared/a", &token).json()["data"]["K"].clone();
        assert_eq!(read(), json!("old"));
        between.treat(&format!("POST /v1/{}/data/", corner.name), Way::Hold);
        thread::scope(|scope| {
            let written =
                scope.spawn(|| gateway.put("PUT /vault/secrets/shared/a", &token, &json!({"K": "new"})).status);
            eventually("the write is on its way", || between.held() == 1);
            tables.more = "[cache]\nttl = \"59s\"\n".into();
            reload(&corner, &gateway, &tables);
            assert_eq!(read(), json!("old"));
            between.release();
            assert_eq!(written.join().expect("no panic"), 200);
        });
        assert_eq!(read(), json!("new"));
    });
}
