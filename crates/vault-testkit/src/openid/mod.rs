//! A real OpenID provider on a free port: the npm package `oidc-provider`, started with node from `target/tools`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::folders::{scratch, tools, unique};
use crate::loopback::{self, Request};
use crate::openbao::spawn_bound;
use crate::parts::missing;

/// Written to a folder of its own, where node finds the packages.
const PROGRAM: &str = include_str!("provider.mjs");

/// What a provider is started with.
#[derive(Clone, Copy, Default)]
pub struct Settings<'a> {
    /// The redirect URIs of the web client, to the letter; see
    /// [`Server::direct_callback`](crate::server::Server::direct_callback).
    pub redirect_uris: &'a [&'a str],
    /// This user is signed in without a page. `&login_hint=USER` behind the URL of a login does the same for one.
    pub auto_login: Option<&'a str>,
}

/// What happens to requests of a path.
#[derive(Clone, Copy)]
pub enum Fault<'a> {
    /// They are answered with this status and an empty body.
    Status(u16),
    /// They are answered with 200 and this body.
    Body(&'a str),
    /// They are answered as ever, so much later.
    Delay(Duration),
    /// They are never answered.
    Hang,
}

/// A running provider; dropping it kills it.
///
/// Its users are `alice`, in the groups `dev` and `ops`, and `bob`, in none. Who signs in as `!deny` cancels.
///
/// It has two clients with one secret. For [`client_id`](Self::client_id) the port of a loopback redirect URI does not
/// count. For [`web_client_id`](Self::web_client_id) it does.
pub struct OpenIdProvider {
    process: Child,
    issuer: String,
    client_id: String,
    client_secret: String,
}

impl OpenIdProvider {
    /// Starts it; `None` where node or the package is missing. With `CI` set they must be there.
    pub fn start(settings: Settings) -> Option<Self> {
        let packages = tools().join("node_modules");
        let is_there = packages.join("oidc-provider").is_dir() && Command::new("node").arg("-v").output().is_ok();
        if !is_there {
            missing("node, and oidc-provider in target/tools; tests/install-tools installs it");
            return None;
        }
        let folder = scratch(&format!("openid-{}", unique()));
        fs::write(folder.join("provider.mjs"), PROGRAM).expect("a program is written");
        // Node looks for packages beside the file that imports them.
        symlink(packages, folder.join("node_modules")).expect("a link is made");
        let log = File::create(folder.join("log")).expect("the log is created");
        let arguments = json!({"redirect_uris": settings.redirect_uris, "auto_login": settings.auto_login});
        let mut command = Command::new("node");
        command.arg(folder.join("provider.mjs")).arg(arguments.to_string()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut process = spawn_bound(command);
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let ready: Value = serde_json::from_str(&lines.next().unwrap_or_default()).unwrap_or_else(|_| {
            panic!("the provider does not start:\n{}", fs::read_to_string(folder.join("log")).unwrap_or_default())
        });
        // The package warns there too, and a program whose pipe is closed ends.
        std::thread::spawn(move || lines.count());
        let text = |name: &str| ready[name].as_str().expect("a text").to_owned();
        let [issuer, client_id, client_secret] = ["issuer", "client_id", "client_secret"].map(text);
        Some(Self { process, issuer, client_id, client_secret })
    }

    /// Its URL, without a slash at the end; discovery is below it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The URL of its keys.
    pub fn jwks_url(&self) -> String {
        format!("{}/jwks", self.issuer)
    }

    /// The client that a program with a listener of its own is; devices too.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client that a web server is.
    pub fn web_client_id(&self) -> String {
        format!("{}-web", self.client_id)
    }

    /// The secret of both clients.
    pub fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// A JWT with these claims, signed with the key that it publishes. Where they are not given, `iss` is the issuer,
    /// `sub` is `ci`, `aud` is `vault`, and it is valid from now on for five minutes. A claim that is null is left out.
    pub fn mint(&self, claims: &Value) -> String {
        self.sign(&json!({"claims": claims}))
    }

    /// The same, signed with another key.
    pub fn mint_forged(&self, claims: &Value) -> String {
        self.sign(&json!({"claims": claims, "forged": true}))
    }

    /// The same as [`mint`](Self::mint), with a key's name in the header that it does not publish.
    pub fn mint_with_unknown_kid(&self, claims: &Value) -> String {
        self.sign(&json!({"claims": claims, "kid": "unknown"}))
    }

    fn sign(&self, wanted: &Value) -> String {
        self.ask("mint", wanted)["jwt"].as_str().expect("a JWT").to_owned()
    }

    /// From now on this happens to requests of `path`, e.g. `/jwks`, `/token`, `/device/auth` or
    /// `/.well-known/openid-configuration`. The latest fault of a path counts.
    ///
    /// OpenBao sends a request to `/token` twice where the first is refused, with its secret in another place.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.put(path, fault, None);
    }

    /// The same, for so many requests.
    pub fn fault_times(&self, path: &str, fault: Fault, times: u32) {
        self.put(path, fault, Some(times));
    }

    fn put(&self, path: &str, fault: Fault, times: Option<u32>) {
        let mut asked = match fault {
            Fault::Status(status) => json!({"status": status}),
            Fault::Body(body) => json!({"status": 200, "body": body}),
            Fault::Delay(delay) => json!({"delay_ms": u64::try_from(delay.as_millis()).expect("a delay")}),
            Fault::Hang => json!({"hang": true}),
        };
        asked["path"] = json!(path);
        asked["times"] = json!(times);
        self.ask("fault", &asked);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.ask("clear", &json!({}));
    }

    /// How many requests of `path` there were, with faults or without.
    pub fn hits(&self, path: &str) -> u64 {
        self.ask("hits", &json!({"path": path}))["hits"].as_u64().expect("a number")
    }

    fn ask(&self, what: &str, body: &Value) -> Value {
        let body = Some(("application/json", body.to_string()));
        let page = loopback::send(&Request { url: &format!("{}/-/{what}", self.issuer), cookies: "", body });
        assert_eq!(page.status, 200, "{what}: {}", page.text);
        serde_json::from_str(&page.text).expect("JSON")
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
