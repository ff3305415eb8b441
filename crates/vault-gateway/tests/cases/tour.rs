//! The tour does what it says, and its whole output is compared.

use std::process::{Command, Stdio};

use serde_json::Value;

/// What it prints, with TIME and ID where each run has others; the last line is a line of the audit log.
const OUTPUT: &str = r#"A tour of vault-gateway, in front of VAULT.
The caller has a JWT with the tenant "team-a" and the role "shop". This is what the gateway knows:

   [[rule]]
   name = "the shop's own"
   tenant = "team-a"
   claim = { roles = "shop" }
   paths = ["apps/shop/**"]
   allow = ["read", "write", "history", "restore"]

   [[rule]]
   name = "banking"
   tenant = "team-a"
   claim = { roles = "bank" }
   paths = ["apps/bank/**"]
   allow = ["read"]

== A read
   The gateway checks the JWT, asks its rules, and then Vault.

   > GET /vault/secrets/apps/shop/config
   < 200  etag: "1"  cache-status: vault-gateway; fwd=miss
   < {"data":{"host":"db.internal","port":5432},"version":1,"created_time":"TIME"}

== The same again
   The cache has it. Rules are asked each time.

   > GET /vault/secrets/apps/shop/config
   < 200  etag: "1"  cache-status: vault-gateway; hit
   < {"data":{"host":"db.internal","port":5432},"version":1,"created_time":"TIME"}

== A read that no rule allows
   Vault is not asked. The answer is the same for every path.

   > GET /vault/secrets/apps/bank/config
   < 403
   < {"type":"urn:vault-gateway:denied","title":"No rule allows it","status":403,"detail":"no rule lets this caller do this here; ask the operator of the gateway for one","instance":"ID"}

== Why was that?
   A dry run has the same rules and needs no token: the claims are in a file.

   $ vault-gateway --config gateway.toml --check --as claims.json GET /vault/secrets/apps/bank/config
   tenant: team-a
   upstream: kv/apps/bank/config
   read: denied: no rule allows it
     rule "the shop's own": the path matches none of apps/shop/**
     rule "banking": the claim roles is not "bank"
   decision: denied

== A write
   It holds only if version 1 is still the latest one: ETags are versions.

   > PUT /vault/secrets/apps/shop/config  If-Match: "1"
   > {"host":"db.internal","port":5433}
   < 200  etag: "2"
   < {"version":2,"created_time":"TIME"}

== The same write again
   Version 1 is not the latest one any more. Nothing is overwritten.

   > PUT /vault/secrets/apps/shop/config  If-Match: "1"
   > {"host":"db.internal","port":5433}
   < 412
   < {"type":"urn:vault-gateway:precondition-failed","title":"The condition is not met","status":412,"detail":"the latest version is another one; read the secret, and decide on its version","instance":"ID","version":2}

== A rollback
   The data of version 1 become version 3.

   > POST /vault/versions/apps/shop/config/rollback
   > {"to":1}
   < 200  etag: "3"
   < {"version":3,"created_time":"TIME"}

== A read after it
   Each write takes the secret out of the cache.

   > GET /vault/secrets/apps/shop/config
   < 200  etag: "3"  cache-status: vault-gateway; fwd=miss
   < {"data":{"host":"db.internal","port":5432},"version":3,"created_time":"TIME"}

== The audit log
   A line for each request, written before its answer. No value is in it.

   action   path              version  decision  rule            cache  status
   read     apps/shop/config  1        allow     the shop's own  miss   200
   read     apps/shop/config  1        allow     the shop's own  hit    200
   read     apps/bank/config  –        deny      –               –      403
   write    apps/shop/config  2        allow     the shop's own  –      200
   write    apps/shop/config  –        allow     the shop's own  –      412
   restore  apps/shop/config  3        allow     the shop's own  –      200
   read     apps/shop/config  3        allow     the shop's own  miss   200

   The last one whole; vault_request_id is the one in Vault's own audit log:
"#;

/// A text of which each run has another one, as OUTPUT has it.
fn alike(text: &str) -> &str {
    let is_id = text.strip_prefix("urn:uuid:").is_some_and(|id| id.len() == 36);
    if is_id {
        "ID"
    } else if humantime::parse_rfc3339(text).is_ok() {
        "TIME"
    } else {
        text
    }
}

#[test]
fn the_tour_shows_what_it_says() {
    let tests = std::env::current_exe().expect("a program knows its file");
    let built = tests.parent().and_then(|deps| deps.parent()).expect("it is in a folder of target").join("examples");
    let tour = built.join("tour");
    assert!(tour.is_file(), "{}: cargo build --package vault-gateway --examples", tour.display());
    let output = Command::new(tour).stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let text = String::from_utf8(output.stdout).expect("text");
    let (shown, last) = text.trim_end().rsplit_once('\n').expect("lines");
    let shown = shown.replace("OpenBao", "VAULT").replace("a small Vault within this program", "VAULT");
    let lines = shown.lines().map(|line| line.trim_end().split('"').map(alike).collect::<Vec<_>>().join("\""));
    assert_eq!(lines.collect::<Vec<_>>().join("\n"), OUTPUT.trim_end());
    let last: Value = serde_json::from_str(last).expect("a line is JSON");
    let told = ["subject", "tenant", "decision", "status"].map(|name| last[name].to_string()).join(" ");
    assert_eq!(told, r#""ci" "team-a" "allow" 200"#);
    assert!(last["vault_request_id"].is_string(), "{last}");
}
