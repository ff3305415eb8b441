//! `deploy/gateway`: each file is accepted by its own tool, and fits the others. The gateway itself is started with them by
//! the tests of its own crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vault_testkit::server::skip;
use vault_testkit::{missing, openbao, tally, tools};

use super::compose::{Laptop, project};
use super::kubernetes::manifests::{VERSIONS, read_for};
use super::systemd::{self, Unit};
use super::{deploy, installed, tool};
use crate::support::pod::manifests::{Manifests, parsed};
use crate::support::system::files;

pub(super) const FILES: &[&str] = &[
    "gateway/compose/compose.yaml",
    "gateway/compose/dex.yaml",
    "gateway/compose/gateway.toml",
    "gateway/config.schema.json",
    "gateway/gateway.toml",
    "gateway/kubernetes/deployment.yaml",
    "gateway/kubernetes/gateway.toml",
    "gateway/kubernetes/kustomization.yaml",
    "gateway/kubernetes/network-policy.yaml",
    "gateway/kubernetes/pod-disruption-budget.yaml",
    "gateway/kubernetes/service-account.yaml",
    "gateway/kubernetes/service-monitor/kustomization.yaml",
    "gateway/kubernetes/service-monitor/service-monitor.yaml",
    "gateway/kubernetes/service-monitor/service.yaml",
    "gateway/kubernetes/service.yaml",
    "gateway/systemd/vault-gateway.service",
];

const BASE: &str = "gateway/kubernetes";
const MONITOR: &str = "gateway/kubernetes/service-monitor";
const UNIT: &str = "gateway/systemd/vault-gateway.service";
const COMPOSE: &str = "gateway/compose/compose.yaml";

/// The seconds that the gateway takes requests for after TERM, before it drains.
const FAREWELL: u64 = 5;

/// A configuration, as JSON; `None` where nothing can read it.
fn configuration(file: &str) -> Option<Value> {
    let python = "import json, sys, tomllib; json.dump(tomllib.load(open(sys.argv[1], 'rb')), sys.stdout)";
    let json = tool(installed("python3"), |it| it.args(["-c", python]).arg(deploy(file)))?;
    Some(serde_json::from_slice(&json).unwrap())
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_schema_is_a_json_schema() {
    let python =
        "import json, sys, jsonschema; jsonschema.Draft202012Validator.check_schema(json.load(open(sys.argv[1])))";
    tool(installed("python3"), |it| it.args(["-c", python]).arg(deploy("gateway/config.schema.json")));
}

#[test]
fn every_manifest_is_rendered_and_valid_from_1_34_to_1_37() {
    let validate = tools().join("bin/kubernetes-validate");
    if !validate.exists() && !missing("kubernetes-validate in target/tools") {
        return;
    }
    let Some(rendered) = Manifests::rendered(&deploy(BASE)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    fs::write(&file, &rendered.yaml).unwrap();
    for version in VERSIONS {
        let mut command = Command::new(&validate);
        let output = command.args(["--kubernetes-version", version, "--strict"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let mut read = BTreeSet::new();
    for folder in [BASE, MONITOR] {
        read_for(folder, &mut read);
    }
    let ours: BTreeSet<_> = FILES.iter().filter(|it| it.starts_with(BASE)).map(|it| (*it).to_owned()).collect();
    assert_eq!(read, ours);
}

#[test]
fn the_pods_are_admitted_where_the_standard_restricted_is_enforced() {
    let Some(rendered) = Manifests::rendered(&deploy(BASE)) else { return };
    let template = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&template, rendered.pod()).unwrap();
    tool(installed("pod-security"), |it| it.stdin(template.reopen().unwrap()));
    // What goes beyond the standard.
    let spec = &rendered.pod()["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    let [container] = &spec["containers"].as_array().unwrap()[..] else { panic!("one container") };
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
    assert_eq!(rendered.all("ServiceAccount")[0]["automountServiceAccountToken"], false);
}

#[test]
fn the_deployment_fits_its_configuration() {
    let Some(rendered) = Manifests::rendered(&deploy(BASE)) else { return };
    let Some(config) = configuration("gateway/kubernetes/gateway.toml") else { return };
    let spec = &rendered.pod()["spec"];
    let container = &spec["containers"][0];
    // The ports.
    let port = |name: &str| {
        let ports = container["ports"].as_array().unwrap();
        ports.iter().find(|it| it["name"] == name).expect("a port")["containerPort"].as_u64().unwrap()
    };
    assert_eq!(
        [&config["listen"], &config["ops"]],
        [&json!(format!("0.0.0.0:{}", port("https"))), &json!(format!("0.0.0.0:{}", port("ops")))]
    );
    for (probe, path) in [("livenessProbe", "/health"), ("readinessProbe", "/ready")] {
        assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "ops"}), "{probe}");
    }
    // The time of an end.
    let drain: u64 = config["drain"].as_str().and_then(|it| it.strip_suffix('s')).unwrap().parse().unwrap();
    assert!(spec["terminationGracePeriodSeconds"].as_u64().unwrap() > FAREWELL + drain);
    // Each file that is named lies in a volume.
    let volumes = container["volumeMounts"].as_array().unwrap();
    let mounts: Vec<_> = volumes.iter().map(|it| format!("{}/", it["mountPath"].as_str().unwrap())).collect();
    let environment = rendered.all("ConfigMap");
    let named = |name: &str| {
        let all = environment.iter().find(|it| it["data"][name].is_string());
        all.expect("a ConfigMap")["data"][name].clone()
    };
    assert_eq!(container["args"], json!(["--config", "/etc/vault-gateway/gateway.toml"]));
    let issuer = &config["issuer"][0];
    let [ca, token] = ["VAULT_CACERT", "VAULT_K8S_TOKEN_PATH"].map(named);
    let of_tls = ["cert", "key"].map(|it| config["tls"][it].clone());
    for file in [ca, token, container["args"][1].clone(), issuer["ca"].clone(), issuer["token_file"].clone()]
        .into_iter()
        .chain(of_tls)
    {
        let file = file.as_str().unwrap();
        assert!(mounts.iter().any(|mount| file.starts_with(mount)), "{file}: {mounts:?}");
    }
    assert!(named("gateway.toml").as_str().unwrap().contains("[[tenant]]"));
}

#[test]
fn callers_reach_one_port_and_prometheus_the_other() {
    let Some(rendered) = Manifests::rendered(&deploy(BASE)) else { return };
    let policy = &rendered.all("NetworkPolicy")[0]["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let ingress = policy["ingress"].as_array().unwrap();
    let seen: Vec<_> = ingress.iter().map(|rule| (&rule["ports"][0]["port"], &rule["from"])).collect();
    let monitoring = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]);
    assert_eq!(seen, [(&json!(8443), &json!([{"namespaceSelector": {}}])), (&json!(9090), &monitoring)]);
    let rules = policy["egress"].as_array().unwrap();
    let ports = rules.iter().flat_map(|rule| rule["ports"].as_array().unwrap());
    assert_eq!(ports.map(|it| it["port"].as_u64().unwrap()).collect::<Vec<_>>(), [53, 53, 8200, 443, 6443]);
    // What selects pods selects these.
    let labels = &rendered.pod()["metadata"]["labels"];
    let budget = &rendered.all("PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"];
    let service = &rendered.all("Service")[0]["spec"];
    assert_eq!([&policy["podSelector"]["matchLabels"], budget, &service["selector"]], [labels; 3]);
    assert_eq!(service["ports"], json!([{"name": "https", "port": 443, "targetPort": "https"}]));
    assert_eq!(rendered.workload()["spec"]["replicas"], 2);
}

#[test]
fn the_service_monitor_is_one_and_finds_the_pods() {
    let file = deploy(MONITOR).join("service-monitor.yaml");
    let readers = installed("readers");
    if !readers.exists() && !missing("the types of the Prometheus operator (see tests/install-tools)") {
        return;
    }
    let Some(read) = tool(readers, |it| it.arg("service-monitor").arg(&file)) else { return };
    let monitor: Value = serde_json::from_slice(&read).unwrap();
    let (Some(own), Some(base)) = (Manifests::rendered(&deploy(MONITOR)), Manifests::rendered(&deploy(BASE))) else {
        return;
    };
    let service = own.all("Service")[0];
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]);
    let [endpoint] = &monitor["spec"]["endpoints"].as_array().unwrap()[..] else { panic!("one endpoint") };
    assert_eq!((&endpoint["port"], &endpoint["path"]), (&service["spec"]["ports"][0]["name"], &json!("/metrics")));
    assert_eq!(service["spec"]["selector"], base.pod()["metadata"]["labels"]);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "ops");
    assert_eq!(service["metadata"]["namespace"], base.workload()["metadata"]["namespace"]);
    // The callers' own Service is not selected.
    assert_ne!(base.all("Service")[0]["metadata"]["labels"], service["metadata"]["labels"]);
}

#[test]
fn the_unit_is_accepted_without_a_word_and_is_confined() {
    systemd::expect_accepted(UNIT);
    systemd::expect_confined(UNIT);
}

#[test]
fn the_unit_fits_its_configuration() {
    let Some(config) = configuration("gateway/gateway.toml") else { return };
    let unit = Unit::read(UNIT);
    let check = "/usr/bin/vault-gateway --config /etc/vault-gateway/gateway.toml --check";
    assert_eq!(unit.one("ExecStart"), check.strip_suffix(" --check").unwrap());
    assert_eq!(unit.one("ExecStartPre"), check);
    assert_eq!(unit.all("ExecReload"), [check, "/bin/kill -HUP $MAINPID"]);
    // Usage, a missing file, a wrong configuration.
    assert_eq!((unit.one("Restart"), unit.one("RestartPreventExitStatus")), ("on-failure", "64 66 78"));
    // The default of `drain`, which this configuration leaves as it is.
    assert!(config["drain"].is_null());
    let seconds: u64 = unit.one("TimeoutStopSec").strip_suffix('s').unwrap().parse().unwrap();
    assert!(seconds > FAREWELL + 30);
    assert!(unit.one("LimitNOFILE").parse::<u64>().unwrap() > 10_000);
    // What systemd hands over is what the configuration names.
    let of_tenants = config["tenant"].as_array().unwrap().iter().map(|it| &it["token_file"]);
    let named = of_tenants.chain([&config["tls"]["cert"], &config["tls"]["key"]]).map(|it| it.as_str().unwrap());
    let folder = "/run/credentials/vault-gateway.service/";
    let named: BTreeSet<_> = named.map(|it| it.strip_prefix(folder).expect("a credential")).collect();
    let given: BTreeSet<_> = unit.all("LoadCredential").into_iter().map(|it| it.split_once(':').unwrap().0).collect();
    assert_eq!(named, given);
}

#[test]
fn on_a_laptop_nobody_else_reaches_anything() {
    let Some(project) = project(&deploy(COMPOSE)) else { return };
    let project: Value = serde_json::from_str(&project).unwrap();
    let services = project["services"].as_object().unwrap().values();
    let ports = services.filter_map(|it| it["ports"].as_array()).flatten();
    let seen: BTreeSet<_> = ports.map(|it| (it["host_ip"].as_str(), it["target"].as_u64())).collect();
    assert_eq!(seen, [5556, 8200, 8443, 9090].map(|port| (Some("127.0.0.1"), Some(port))).into());
}

#[test]
fn on_a_laptop_the_gateway_takes_the_tokens_that_the_provider_makes() {
    let Some(project) = project(&deploy(COMPOSE)) else { return };
    let project: Value = serde_json::from_str(&project).unwrap();
    let provider = parsed(&fs::read_to_string(deploy("gateway/compose/dex.yaml")).unwrap());
    let (Some(provider), Some(config)) = (provider, configuration("gateway/compose/gateway.toml")) else { return };
    let (provider, issuer) = (&provider[0], &config["issuer"][0]);
    assert_eq!((&issuer["url"], &issuer["audience"]), (&provider["issuer"], &provider["staticClients"][0]["id"]));
    let people: BTreeSet<_> =
        provider["staticPasswords"].as_array().unwrap().iter().map(|it| it["email"].as_str().unwrap()).collect();
    let rules = config["rule"].as_array().unwrap().iter().map(|it| it["claim"]["email"].as_str().unwrap());
    assert_eq!(rules.collect::<BTreeSet<_>>(), people);
    // Both have one network, and the files where their commands look.
    let [gateway, dex] = ["vault-gateway", "dex"].map(|name| &project["services"][name]);
    assert_eq!(gateway["network_mode"], "service:dex");
    for (service, argument) in [(gateway, 1), (dex, 1)] {
        assert_eq!(service["volumes"][0]["target"], service["command"][argument]);
        let source = Path::new(service["volumes"][0]["source"].as_str().unwrap());
        assert!(source.is_file(), "{}", source.display());
    }
    assert_eq!(texts(&dex["entrypoint"]), ["dex"].into());
    // Where the unit's configuration and the provider's listen.
    assert_eq!(
        [&config["listen"], &config["ops"], &provider["web"]["http"]],
        ["0.0.0.0:8443", "0.0.0.0:9090", "0.0.0.0:5556"]
    );
}

#[test]
fn on_a_laptop_the_gateway_finds_a_token_for_its_prefix_and_a_secret() {
    let test = "on_a_laptop_the_gateway_finds_a_token_for_its_prefix_and_a_secret";
    let (Some(_), Some(project)) = (openbao::program(), project(&deploy(COMPOSE))) else { return skip(test) };
    let mut laptop = Laptop::new(&project, 90);
    laptop.prepare("setup");
    let bao = |words: &[&str]| {
        let words: Vec<_> = ["bao"].iter().chain(words).map(|it| json!(it)).collect();
        let output = laptop.command("setup", &words).stdout(std::process::Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    // Another start changes nothing but the secret's version.
    for version in ["1", "2"] {
        assert!(laptop.command("setup", &laptop.words("setup")).status().unwrap().success(), "{version}");
    }
    let token = laptop.services["vault-gateway"]["environment"]["VAULT_TOKEN"].as_str().unwrap();
    let may = |path: &str| bao(&["token", "capabilities", token, path]);
    assert_eq!(may("kv/data/team-a/apps/shop/config"), "create, read, update");
    assert_eq!(may("kv/metadata/team-a/apps/"), "list, read");
    assert_eq!([may("kv/data/team-b/a"), may("kv/delete/team-a/a"), may("sys/mounts")], ["deny"; 3]);
    assert_eq!(bao(&["kv", "get", "-mount=kv", "-field=host", "team-a/apps/shop/config"]), "db.shop.svc");
    let header = bao(&["read", "-format=json", "sys/config/auditing/request-headers/x-correlation-id"]);
    let header: Value = serde_json::from_str(&header).unwrap();
    assert_eq!(header["data"]["x-correlation-id"], json!({"hmac": false}));
    tally::note("openbao", test);
}

/// What `tests/image` has left; `None` where it has not run.
fn image(test: &str) -> Option<std::path::PathBuf> {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/image/gateway");
    if !image.join("root").is_dir() && !missing("target/image/gateway; `just image` makes it") {
        tally::note("skipped", test);
        return None;
    }
    Some(image)
}

#[test]
fn the_image_holds_the_program_and_the_authorities_and_nothing_else() {
    let Some(image) = image("the_image_holds_the_program_and_the_authorities_and_nothing_else") else { return };
    let files = files(&image.join("root"));
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["etc/ssl/certs/ca-certificates.crt", "vault-gateway"]);
    let written: Value = serde_json::from_slice(&fs::read(image.join("config.json")).unwrap()).unwrap();
    let config = &written["OCIv1"]["config"];
    assert_eq!((&config["User"], &config["Entrypoint"]), (&json!("65532:65532"), &json!(["/vault-gateway"])));
    // No shell, and no library: it runs with nothing around it.
    let root = image.join("root");
    let mut alone = Command::new("chroot");
    let output = alone.arg(&root).args(["/vault-gateway", "--version"]).output().unwrap();
    let version = format!("vault-gateway {}\n", config["Labels"]["org.opencontainers.image.version"].as_str().unwrap());
    assert_eq!(String::from_utf8_lossy(&output.stdout), version, "{}", String::from_utf8_lossy(&output.stderr));
}
