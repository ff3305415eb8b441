//! Every block of commands in the documents is run as its reader would, or stands here with the reason why it is not.

use std::path::Path;
use std::process::Command;

use super::many_pods::quota;
use super::reader::Reader;
use super::{Block, ROOT, blocks, document, documents, plausible, table};
use crate::support::pod::manifests::Manifests;
use crate::support::system::example;

/// What is done with a block.
#[derive(Clone, Copy)]
enum How {
    /// It is run line by line, with the settings and the Vault of the example, and ends well.
    Run,
    /// The same, and the application is started with the secret's values.
    Starts,
    /// Run without any setting, as on a laptop.
    Laptop,
    /// A function of its own runs it.
    By(fn()),
    /// It is not run, for this reason; that its programs, flags and files exist is looked at.
    Elsewhere(&'static str),
}
use How::{By, Elsewhere, Laptop, Run, Starts};
use vault_testkit::missing;

const CLUSTER: &str = "needs a cluster";
const SETUP: &str = "asks for a token; `setup.sh` has tests of its own";
const GATEWAY: &str = "needs a gateway; the tests of its own crate ask one";
const FIRST: &str = "starts a gateway; the tests of its own crate follow these steps";

/// The first line of each block, and what is done with it.
const BLOCKS: &[(&str, How)] = &[
    ("cargo run --example quickstart", By(quickstart)),
    ("vault-exec -- env", Laptop),
    ("vault-exec --check -- env", Run),
    (
        "CARGO_PROFILE_RELEASE_STRIP=false cargo build --release --target-dir target/size",
        Elsewhere("builds everything once more, for minutes"),
    ),
    (
        "docker build -f deploy/Dockerfile --build-arg VERSION=0.1.0 --build-arg REVISION=\"$(git rev-parse HEAD)\" -t registry.example/vault-exec:0.1.0 .",
        Elsewhere("needs a registry"),
    ),
    ("export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_CACERT=ca.crt", Elsewhere(SETUP)),
    (
        "METHOD=approle VAULT_ROLE=shop VAULT_PATH=shop/prod SECRET_ID_TTL=1h SECRET_ID_NUM_USES=4 deploy/vault/setup.sh",
        Elsewhere(SETUP),
    ),
    (
        "METHOD=jwt-github JWT_REPOSITORY=acme/shop JWT_REF=refs/heads/main VAULT_PATH=shop/prod deploy/vault/setup.sh",
        Elsewhere(SETUP),
    ),
    (
        "METHOD=cert VAULT_ROLE=shop VAULT_PATH=shop/prod CERT_CA_FILE=clients-ca.pem CERT_COMMON_NAMES=shop deploy/vault/setup.sh",
        Elsewhere(SETUP),
    ),
    (
        "METHOD=oidc VAULT_ROLE=shop-dev VAULT_PATH=shop/test OIDC_ISSUER=https://login.example OIDC_CLIENT_ID=vault OIDC_CLIENT_SECRET_FILE=client-secret OIDC_CLAIMS=groups=shop-developers deploy/vault/setup.sh",
        Elsewhere(SETUP),
    ),
    (
        "export VAULT_ADDR=https://vault.example:8200 VAULT_ROLE=shop-dev VAULT_PATH=shop/test VAULT_AUTH_METHOD=oidc",
        Elsewhere("waits for a person before a browser"),
    ),
    ("bao kv put -mount=kv shop/prod @shop.json", Run),
    ("kubectl create namespace shop", Elsewhere(CLUSTER)),
    ("kubectl --namespace shop create configmap vault-ca --from-file=ca.crt", Elsewhere(CLUSTER)),
    ("kubectl kustomize deploy/kubernetes/overlays/shop", By(kustomize)),
    ("kubectl apply -k deploy/kubernetes/overlays/check", Elsewhere(CLUSTER)),
    ("kubectl apply -k deploy/kubernetes/overlays/shop", Elsewhere(CLUSTER)),
    (
        "cargo test --test it -- --nocapture cases::deploy::kubernetes::memory",
        Elsewhere("is among the tests that run beside this one"),
    ),
    ("kubectl --namespace shop rollout restart deployment/shop", Elsewhere(CLUSTER)),
    ("kubectl --namespace shop describe pod --selector app.kubernetes.io/name=shop", Elsewhere(CLUSTER)),
    ("docker compose logs --tail 20 shop", Elsewhere("needs a container that runs, and systemd as process 1")),
    (
        "pod=\"$(kubectl --namespace shop get pods --selector app.kubernetes.io/name=shop --output name | head -n 1)\"",
        Elsewhere(CLUSTER),
    ),
    ("(umask 077; kubectl --namespace shop create token shop --audience vault >jwt)", Elsewhere(CLUSTER)),
    ("export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_ROLE=shop VAULT_PATH=shop/prod", Run),
    ("bao kv metadata get -mount=kv shop/prod", Run),
    ("bao kv patch -mount=kv shop/prod SMTP_HOST=smtp.shop.svc", Run),
    ("bao secrets list -detailed", Run),
    ("bao write sys/quotas/rate-limit/logins path=auth/kubernetes/ rate=50", By(quota)),
    ("bao kv undelete -mount=kv -versions=1 shop/prod", Run),
    ("kubectl --namespace vault get service vault", Elsewhere(CLUSTER)),
    ("bao status", Run),
    ("vault-exec --help", Run),
    ("vault-exec --version", Run),
    ("ulimit -a", Run),
    ("id", Run),
    ("df -h /secrets/", Run),
    ("ls -l /shop", Run),
    ("kubectl --namespace shop get events --field-selector involvedObject.kind=Pod", Elsewhere(CLUSTER)),
    ("curl --silent --show-error \"$VAULT_ADDR/v1/sys/seal-status\"", Run),
    ("bao auth list", Run),
    ("bao read -field=token_policies auth/kubernetes/role/shop", Run),
    ("login=\"$(bao write -field=token auth/kubernetes/login role=shop jwt=@jwt)\" && (", Run),
    (
        "openssl s_client -connect vault.vault.svc:8200 -servername vault.vault.svc </dev/null | openssl x509 -noout -subject -issuer -dates -ext subjectAltName",
        Run,
    ),
    ("vault-exec --check -- /shop --port 8080", Run),
    ("vault-exec --check --env-file /secrets/app.env --watch 60s", Run),
    (
        "export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_ROLE=shop VAULT_MOUNT_POINT=kv VAULT_PATH=shop/prod",
        Starts,
    ),
    (
        "export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_ROLE=shop VAULT_PATH=shop/prod VAULT_REQUIRED_KEYS=DATABASE_URL,API_KEY",
        Starts,
    ),
    ("export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_ROLE=shop", Starts),
    (
        "export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_ROLE=shop VAULT_PATH=shop/prod VAULT_KEYS=DATABASE_URL,API_KEY",
        Starts,
    ),
    ("vault-exec --env-file /secrets/app.env", Starts),
    ("jwt=$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)", Starts),
    ("export VAULT_ROLE=shop VAULT_PATH=shop/prod VAULT_REQUIRED_KEYS=DATABASE_URL,API_KEY", Starts),
    ("exec vault-exec -- env VAULT_PATH=shop/shared vault-exec -- /shop --port 8080", Starts),
    ("cargo run -p vault-gateway --example tour", Elsewhere("builds the gateway; the tests of its own crate run it")),
    (
        "cargo install --profile gateway --path crates/vault-gateway",
        Elsewhere("builds everything once more, for minutes"),
    ),
    ("cargo build --profile gateway --package vault-gateway", Elsewhere("builds everything once more, for minutes")),
    ("mkdir -m 700 /tmp/vault-gateway", Elsewhere(FIRST)),
    ("cd /tmp/vault-gateway", Elsewhere(FIRST)),
    ("VAULT_ADDR=http://127.0.0.1:8200 vault-gateway --config /tmp/vault-gateway/gateway.toml", Elsewhere(FIRST)),
    ("header=$(printf '{\"alg\":\"EdDSA\",\"kid\":\"1\"}' | base64url)", Elsewhere(FIRST)),
    ("vault-gateway --config gateway.toml --check", Elsewhere(GATEWAY)),
    (
        "docker build -f deploy/Dockerfile --target gateway --build-arg VERSION=0.1.0 --build-arg REVISION=\"$(git rev-parse HEAD)\" -t registry.example/vault-gateway:0.1.0 .",
        Elsewhere("needs a registry"),
    ),
    (
        "FOR=gateway VAULT_ROLE=gateway-team-a VAULT_PATH=team-a ALLOW=read,write,list,history deploy/vault/setup.sh",
        Elsewhere(SETUP),
    ),
    ("kubectl create namespace vault-gateway", Elsewhere(CLUSTER)),
    ("kubectl apply -k deploy/gateway/kubernetes", Elsewhere(CLUSTER)),
    (
        "curl --cacert /var/run/vault-gateway/ca.crt -H \"Authorization: Bearer $(cat /var/run/vault-gateway/token)\" https://vault-gateway.vault-gateway.svc/vault/secrets/apps/shop/config",
        Elsewhere(CLUSTER),
    ),
    ("kubectl --namespace vault-gateway port-forward deployment/vault-gateway 9090", Elsewhere(CLUSTER)),
    (
        "sudo install -m 755 target/gateway/vault-gateway /usr/bin/vault-gateway",
        Elsewhere("changes the system that it is run on"),
    ),
    (
        "bao policy write gateway-team-a - <<'END'",
        Elsewhere("needs an administrator of Vault; the tests of its own crate hold its rights"),
    ),
    (
        "FOR=gateway METHOD=cert VAULT_ROLE=gateway-team-a VAULT_PATH=team-a ALLOW=read,write,list,history CERT_CA_FILE=machines-ca.pem CERT_COMMON_NAMES=gateway.example deploy/vault/setup.sh",
        Elsewhere(SETUP),
    ),
    (
        "vault-gateway --config gateway.toml --check --as claims.json GET /vault/secrets/apps/shop/config",
        Elsewhere(GATEWAY),
    ),
    (
        "curl --cacert ca.crt -H \"Authorization: Bearer $TOKEN\" https://vault-gateway.example/vault/secrets/apps/shop/config",
        Elsewhere(GATEWAY),
    ),
    (
        "curl --cacert ca.crt -X PUT -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -H 'If-None-Match: *' --data @config.json https://vault-gateway.example/vault/secrets/apps/shop/config",
        Elsewhere(GATEWAY),
    ),
    (
        "jq -c 'select(.path == \"apps/shop/config\" and .decision == \"allow\") | [.time, .issuer, .subject, .action]' audit.log",
        Elsewhere(GATEWAY),
    ),
    ("exec vault-exec -- sh -c 'export DSN=\"$DATABASE_URL?sslmode=require\"; exec /shop --port 8080'", Starts),
];

/// The document that lists what is not run, and the heading of its table.
const NOT_RUN: (&str, &str) = ("docs/commands-not-run.md", "| commands of | that begin with | why they are not run |");

/// What is in a document to be run.
fn commands() -> Vec<Block> {
    let mut names = documents();
    names.retain(|name| name != "CHANGELOG.md" && !name.starts_with("deploy/"));
    blocks(&names, &["sh", "bash", "console"])
}

/// The commands of a block; of a session those behind `$`.
fn script(block: &Block) -> String {
    if block.language != "console" {
        return block.text.clone();
    }
    block.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect::<Vec<_>>().join("\n")
}

/// What is done with the block; nothing where no row names it, which one test says.
fn how(block: &Block) -> Option<How> {
    BLOCKS.iter().find(|(line, _)| *line == block.first_line()).map(|(_, how)| *how)
}

#[test]
fn every_block_of_commands_is_in_the_table_and_every_row_in_a_document() {
    let all = commands();
    let unknown = all.iter().filter(|block| how(block).is_none());
    let rows: Vec<_> = unknown.map(|it| format!("{}: ({:?}, Run),", it.document, it.first_line())).collect();
    assert!(
        rows.is_empty(),
        "nothing runs these blocks; add a row for each to BLOCKS in tests/cases/documents/commands.rs, with Run, or Starts \
         where it starts /shop with the secret, or Elsewhere(\"why it is not run\"):\n{}",
        rows.join("\n")
    );
    let lines = BLOCKS.iter().map(|(line, _)| line);
    let gone: Vec<_> = lines.filter(|line| !all.iter().any(|block| block.first_line() == **line)).collect();
    assert!(gone.is_empty(), "no document has a block that begins so any more: {gone:#?}");
    let mut lines: Vec<_> = BLOCKS.iter().map(|(line, _)| line).collect();
    lines.sort_unstable();
    assert!(lines.windows(2).all(|pair| pair[0] != pair[1]), "a line stands in two rows");
}

#[test]
fn blocks_do_what_their_reader_expects() {
    for block in commands() {
        let how = match how(&block) {
            Some(By(run)) => {
                run();
                continue;
            }
            Some(Elsewhere(_)) | None => continue,
            Some(how) => how,
        };
        let (reader, script) = (Reader::new(), script(&block));
        if !reader.can(&script) && !missing("OpenBao in target/tools") {
            continue;
        }
        follow(&reader, &block.document, &script, how);
        // With the state of somebody who starts anew.
        drop(reader);
        let reader = Reader::new();
        if let Some(script) = reader.with_vault(&script) {
            follow(&reader, &block.document, &script, how);
        }
    }
}

/// Runs a block, which has to do what is said of it.
fn follow(reader: &Reader, document: &str, script: &str, how: How) {
    let output = reader.follow(script, !matches!(how, Laptop));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    let whole = format!("{document}: {}\n{script}--- stdout\n{stdout}--- stderr\n{stderr}", output.status);
    assert_eq!(output.status.code(), Some(0), "{whole}");
    if matches!(how, Starts) {
        let values = ["postgres://shop@db.shop.svc/shop", "API_KEY=k-0123456789", "arguments: --port 8080"];
        assert!(values.iter().all(|value| stdout.contains(value)), "{whole}");
    } else {
        assert!(!stdout.is_empty(), "nothing was said\n{whole}");
    }
    reader.expect_operators_token(&whole);
}

#[test]
fn blocks_that_are_not_run_name_what_exists() {
    for block in commands().iter().filter(|block| matches!(how(block), Some(Elsewhere(_)))) {
        plausible::check(&script(block)).unwrap_or_else(|wrong| panic!("{}: {wrong}\n{}", block.document, block.text));
    }
}

#[test]
fn what_is_not_run_is_said() {
    let row = |block: &Block| match how(block) {
        Some(Elsewhere(reason)) => {
            // A bar would end the cell.
            let first: String = block.first_line().chars().take(60).take_while(|c| *c != '|').collect();
            let dots = if first.len() < block.first_line().len() { "…" } else { "" };
            let first = format!("`{}{dots}`", first.trim_end());
            Some(vec![block.document.clone(), first, reason.to_owned()])
        }
        _ => None,
    };
    let expected: Vec<_> = commands().iter().filter_map(row).collect();
    let (name, heading) = NOT_RUN;
    let lines: Vec<_> = expected.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    assert_eq!(table(&document(name), heading), expected, "{name} needs these rows:\n{}", lines.join("\n"));
}

/// From the project's folder, where its reader is.
fn kustomize() {
    let rendered = Manifests::rendered(&Path::new(ROOT).join("deploy/kubernetes/overlays/shop"));
    assert!(rendered.is_none_or(|it| !it.yaml.is_empty()));
}

/// What cargo would start, and that the tests are the tests.
fn quickstart() {
    let shown = Command::new(example("quickstart")).output().expect("cargo has built it");
    let [said, log] = [shown.stdout, shown.stderr].map(|it| String::from_utf8(it).expect("text"));
    assert!(shown.status.success(), "{log}");
    for line in ["DATABASE_URL=post…", "POST auth/token/revoke-self -> 204", "(exit code 66)", "(exit code 75)"] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(log.contains("missing: SMTP_HOST") && log.contains("sealed (0 of 1 keys given)"), "{log}");
}
