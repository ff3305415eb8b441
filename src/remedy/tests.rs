//! What an operator reads of each fault.

use std::sync::Arc;
use std::time::Duration;

use vault_client::fault::{Answered, Claims, JwtClaims, NotVault, Way, Why};
use vault_client::kv::Location;
use vault_client::{Address, AuthMethod, Endpoint, Limits, Options, Retry, ToLog, Token, TokenOf};

use super::*;

fn a_login() -> Step {
    Step::Login { method: AuthMethod::Kubernetes, mount: "kubernetes".into(), role: Some("shop".into()) }
}

fn a_read(path: &str, handed_in: bool) -> Step {
    let token = if handed_in { TokenOf::Caller } else { TokenOf::Login };
    Step::Read { mount: "kv".into(), path: path.into(), version: None, token }
}

fn answered(why: Why, status: u16) -> Answered {
    Answered { status, said: String::new(), why, found: None, jwt: None }
}

/// What to do about `what`.
fn remedy_of(what: What, step: &Step, namespace: Option<&str>) -> Option<String> {
    let fault = Fault { what, retry: Retry::Never, status: None, request_id: None };
    let namespace = namespace.map(|name| Namespace { name: name.into(), setting: "VAULT_NAMESPACE", login_in: None });
    of(&fault, step, namespace.as_ref()).map(Cow::into_owned)
}

const TOO_LONG: &str = "the request is longer than Vault, or a proxy before it, takes: look at its limits, and at how long \
                        the token or JWT, VAULT_PATH and VAULT_NAMESPACE are";

const DENIED: &str =
    "check that auth/kubernetes is enabled and that its role shop allows this service account, namespace and audience";
const UNEXPLAINED: &str = "Vault gives no reason: check that auth/kubernetes is enabled, that its role shop allows this address, and that the \
     TokenReview works: the reviewer JWT, its right system:auth-delegator, the API server as Vault reaches it";

/// An answer to a request of `step` in the namespace `team` has this remedy.
fn has_remedy(step: &Step, why: Why, status: u16, remedy: &str) {
    let found = remedy_of(What::Answered(Box::new(answered(why, status))), step, Some("team"));
    assert_eq!(found.as_deref(), Some(remedy), "{why:?} {status} {}", step.name());
}

#[test]
fn an_answer_that_refuses_nothing_has_the_same_remedy_for_every_step() {
    for step in [a_login(), a_read("shop/prod", false), Step::LookUp] {
        for (why, status, remedy) in [
            (Why::Upgrading, 400, "the KV mount becomes one of version 2: try again when the server has done that"),
            (Why::Behind, 412, "the node has not caught up yet: try again, or address the active one"),
            (Why::RateLimited, 429, "a rate limit: raise the quota, or let VAULT_STARTUP_TIMEOUT allow for it"),
            (
                Why::NamespaceSealed,
                503,
                "unseal the namespace team (VAULT_NAMESPACE): the server is unsealed, the namespace is not",
            ),
            (Why::NamespaceLocked, 503, "unlock the namespace team (VAULT_NAMESPACE)"),
            (Why::NotReady, 500, "look at the server's log: it may be starting, sealed or without a leader"),
            (Why::NotReady, 502, "the proxy in front of Vault got no answer from it: look there first"),
            (Why::NeedsTls, 400, "the port speaks TLS: write https:// in VAULT_ADDR"),
            (
                Why::Unexpected,
                418,
                "check that VAULT_ADDR points at Vault itself and that no proxy answers in its place",
            ),
        ] {
            has_remedy(&step, why, status, remedy);
        }
    }
}

#[test]
fn a_refused_login_names_mount_role_and_namespace() {
    for (why, status, remedy) in [
        (Why::TooLong, 413, TOO_LONG),
        (Why::Unconfigured, 500, "write auth/kubernetes/config on the server: the method is enabled, but not set up"),
        (
            Why::OtherMethod,
            405,
            "auth/kubernetes is not of type kubernetes; set VAULT_K8S_AUTH_MOUNT_POINT to a mount that is",
        ),
        (Why::NoServiceAccount, 500, "it is no service account's JWT; correct VAULT_K8S_TOKEN_PATH"),
        (Why::NoNamespace, 404, "check VAULT_NAMESPACE and VAULT_K8S_AUTH_MOUNT_POINT, and the path in VAULT_ADDR"),
        (
            Why::Malformed,
            400,
            "look for characters that cannot be seen in VAULT_K8S_AUTH_MOUNT_POINT (kubernetes) and VAULT_ADDR",
        ),
        (
            Why::Refused,
            400,
            "check VAULT_ROLE (shop), VAULT_K8S_AUTH_MOUNT_POINT (kubernetes) and the role's settings on the server",
        ),
        (Why::Denied, 403, DENIED),
        (Why::Unexplained, 403, UNEXPLAINED),
    ] {
        has_remedy(&a_login(), why, status, &format!("{remedy}; VAULT_NAMESPACE is team"));
    }
}

#[test]
fn a_refused_read_names_mount_path_and_namespace() {
    for (path, handed_in, why, status, remedy) in [
        ("shop/prod", false, Why::TooLong, 431, TOO_LONG),
        (
            "shop/prod",
            false,
            Why::DeadToken,
            403,
            "the server does not know the token that it gave out a moment ago: check that VAULT_ADDR leads to one cluster",
        ),
        (
            "shop/prod",
            true,
            Why::DeadToken,
            403,
            "the token has expired, was revoked or is another server's; hand in one that is alive",
        ),
        (
            "shop/prod",
            false,
            Why::Denied,
            403,
            "check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: path \"kv/data/shop/prod\" { \
             capabilities = [\"read\"] }",
        ),
        (
            "data/prod",
            true,
            Why::Denied,
            403,
            "leave data/ out of VAULT_PATH: it is added by itself; else check that the token is right, not expired and not wrapped (VAULT_UNWRAP), \
             VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: path \"kv/data/data/prod\" { \
             capabilities = [\"read\"] }",
        ),
        (
            "shop/prod",
            false,
            Why::NoNamespace,
            404,
            "check VAULT_NAMESPACE and VAULT_MOUNT_POINT, and the path in VAULT_ADDR",
        ),
        (
            "shop/prod",
            false,
            Why::Malformed,
            400,
            "look for characters that cannot be seen in VAULT_PATH, VAULT_MOUNT_POINT and VAULT_ADDR",
        ),
        ("shop/prod", false, Why::Refused, 405, "set VAULT_MOUNT_POINT to a KV version 2 mount"),
        ("shop/prod", false, Why::Refused, 400, "check VAULT_MOUNT_POINT, VAULT_PATH and VAULT_NAMESPACE"),
    ] {
        has_remedy(&a_read(path, handed_in), why, status, &format!("{remedy}; VAULT_NAMESPACE is team"));
    }
}

#[test]
fn another_step_that_is_refused_has_a_remedy_of_its_own() {
    let not_vault = "check that VAULT_ADDR points at Vault itself and that no proxy answers in its place";
    for (step, why, status, remedy) in [
        (Step::LookUp, Why::TooLong, 431, TOO_LONG),
        (
            Step::LookUp,
            Why::DeadToken,
            403,
            "the token is wrong, expired or revoked, or may not look itself up: hand in another one",
        ),
        (Step::LookUp, Why::Refused, 404, "check the namespace team (VAULT_NAMESPACE)"),
        (Step::LookUp, Why::Refused, 400, not_vault),
        (Step::Preflight, Why::Refused, 404, not_vault),
        (Step::Status, Why::Denied, 403, "check what stands between here and Vault"),
        (Step::Status, Why::Refused, 404, "check the path in VAULT_ADDR"),
    ] {
        has_remedy(&step, why, status, remedy);
    }
}

#[test]
fn a_refused_login_tells_what_the_jwt_claims_and_first_that_it_has_expired() {
    let claims = |exp| Claims { audience: vec!["vault".into()], subject: "sa".into(), exp, ..Claims::default() };
    let refused = |why, exp| {
        let jwt = Some(JwtClaims { claims: Some(claims(exp)), now: Duration::from_secs(1000), young: false });
        let answered = Answered { jwt, ..answered(why, 403) };
        remedy_of(What::Answered(Box::new(answered)), &a_login(), None).unwrap()
    };
    let good = "the JWT: audience vault, subject sa, expires in 10s";
    let expired = "the JWT: audience vault, subject sa, expired 10s ago by the clock here";
    assert_eq!(refused(Why::Denied, 1010), format!("{DENIED}; {good}"));
    assert_eq!(refused(Why::Denied, 990), format!("{DENIED}; {expired}"));
    assert_eq!(refused(Why::Unexplained, 1010), format!("{UNEXPLAINED}; {good}"));
    assert_eq!(
        refused(Why::Unexplained, 990),
        format!("the JWT has expired: let the kubelet write a new one; else {UNEXPLAINED}; {expired}")
    );
}

#[test]
fn what_else_can_be_wrong_has_a_remedy_and_a_cancelled_call_none() {
    let redirected = |onward| What::Redirected { status: 307, to: None, onward };
    let another = "write a new version, or pin another one with VAULT_SECRET_VERSION";
    for (what, remedy) in [
        (
            redirected(Onward::ToTheLeader),
            "the node does not lead and sends on to one that does: try again, or look whether a leader is elected",
        ),
        (redirected(Onward::ToHttps), "redirects are not followed; write https:// in VAULT_ADDR"),
        (redirected(Onward::Moved), "redirects are not followed; write that host in VAULT_ADDR, if Vault is there"),
        (
            redirected(Onward::Elsewhere),
            "redirects are not followed; a login page or a proxy stands there: point VAULT_ADDR at Vault itself",
        ),
        (
            What::NotVault(NotVault::NotHttp),
            "check that VAULT_ADDR points at Vault itself and that no proxy answers in its place",
        ),
        (
            What::TooManyNodes,
            "split the secret if it is this large, else check that VAULT_ADDR points at Vault itself and that no proxy \
             answers in its place",
        ),
        (What::NotInitialised, "run `operator init` on it, or let --wait wait for it"),
        (What::Sealed { given: 1, needed: 3 }, "unseal it, or let --wait wait for it"),
        (What::Version1, "set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one"),
        (
            What::Wrapped { control_group: false },
            "take the control group off this path, or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here",
        ),
        (
            What::Wrapped { control_group: true },
            "a control group wants each request approved, which a start-up cannot wait for: take it off this path",
        ),
        (What::WithoutToken, "take MFA off the role: a start-up has nobody to answer it"),
        (What::Null { number: 3 }, another),
        (What::Destroyed { number: 3 }, another),
        (
            What::Deleted { number: 3, at: None },
            "undelete it, write a new version, or pin another one with VAULT_SECRET_VERSION",
        ),
        (
            What::Absent { version: None, said: String::new() },
            "check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that VAULT_MOUNT_POINT is a KV version 2 mount",
        ),
    ] {
        let found = remedy_of(what.clone(), &a_read("shop/prod", false), None);
        assert_eq!(found.as_deref(), Some(remedy), "{what:?}");
    }
    assert_eq!(remedy_of(What::Cancelled, &a_read("shop/prod", false), None), None);
}

#[test]
fn the_way_to_the_server_is_suspected_whatever_the_names_say() {
    let unresolved = Unreachable::Unresolved { host: "my-proxy".into(), reason: "unknown".into() };
    let suspected = "check VAULT_PROXY_ADDR, which everything goes through, then VAULT_ADDR";
    let socket =
        "check VAULT_ADDR, that the agent or server listens on this socket, and that its volume is mounted here";
    let refused = "check VAULT_PROXY_ADDR, and that the proxy lets CONNECT through to Vault";
    for (why, way, remedy) in [
        (unresolved.clone(), Way::Proxy, suspected),
        (unresolved, Way::Network, "check VAULT_ADDR, and the DNS of this host or pod"),
        (Unreachable::Proxy("403".into()), Way::Proxy, refused),
        (Unreachable::NotPermitted, Way::Proxy, suspected),
        (
            Unreachable::NotPermitted,
            Way::Network,
            "a firewall, a network policy or the container's seccomp profile forbids it",
        ),
        (
            Unreachable::ConnectionRefused,
            Way::Network,
            "check VAULT_ADDR, and that the service is up and reachable from here",
        ),
        (Unreachable::NoSocket, Way::Socket, socket),
        (Unreachable::ConnectionRefused, Way::Socket, socket),
        (
            Unreachable::NotPermitted,
            Way::Socket,
            "let this user write to the socket and pass through the folders above it",
        ),
    ] {
        let found = remedy_of(What::Unreachable { why: why.clone(), way }, &Step::Status, None);
        assert_eq!(found.as_deref(), Some(remedy), "{why:?}");
    }
}

#[test]
fn a_limit_that_is_over_is_named_by_its_setting() {
    let length = Duration::from_secs(30);
    for (limit, said) in [
        (Limit::Request, "no complete answer within 30s (VAULT_TIMEOUT)"),
        (Limit::Whole, "no complete answer in the 30s left of VAULT_STARTUP_TIMEOUT"),
        (Limit::Deadline, "no complete answer in the 30s left of VAULT_STARTUP_TIMEOUT"),
        (Limit::Wait, "no complete answer within 30s"),
        (Limit::Own, "no complete answer within 30s"),
    ] {
        let late = What::Unreachable { why: Unreachable::Late { limit, length }, way: Way::Network };
        for what in [late, What::Unread { limit, length }] {
            let fault = Fault { what, retry: Retry::Soon, status: None, request_id: None };
            assert_eq!(cause(&fault, &Step::Status), said);
        }
    }
    let unread = What::Unread { limit: Limit::Request, length };
    let remedy = "raise the time limit, or the CPU limit of the container";
    assert_eq!(remedy_of(unread, &Step::Status, None).as_deref(), Some(remedy));
}

#[test]
fn an_effort_names_the_setting_that_stopped_it() {
    let effort = |tries, stopped_by| effort(Effort { tries, spent: Duration::from_millis(1500), stopped_by });
    assert_eq!(effort(1, None), "");
    assert_eq!(effort(4, None), " (4 tries in 1.5s)");
    assert_eq!(effort(9, Some(Stop::Wait(Duration::from_secs(1)))), " (waited 1.5s, VAULT_WAIT is 1s)");
    assert_eq!(
        effort(1, Some(Stop::Budget { limit: Duration::from_secs(2), pause: Duration::from_secs(5) })),
        " (1 try in 1.5s; a pause of 5s is beyond VAULT_STARTUP_TIMEOUT, 2s)"
    );
}

/// The sentence for a read of `path` in `namespace` that gets this answer.
fn sentence_of_read(path: &str, namespace: Option<&str>, answer: &str) -> String {
    let options = Options {
        namespace: namespace.map(str::to_owned),
        auth_namespace: namespace.map(str::to_owned),
        ..Options::new(Address::parse("http://vault.example:8200").unwrap())
    };
    let limits = Limits { retries: 0, whole: Duration::from_secs(1), ..Limits::default() };
    let client = Endpoint::canned(&options, limits, Arc::new(ToLog), answer.as_bytes());
    let session = client.login(&Token::given("hvs.example")).unwrap();
    let location = Location { mount: "kv".into(), path: path.into(), version: Some(2) };
    sentence(&session.read(&location).err().expect("it fails"))
}

#[test]
fn a_sentence_has_subject_cause_remedy_and_effort() {
    let team = Some("team");
    for (path, namespace, answer, said) in [
        (
            "shop",
            team,
            "HTTP/1.1 403 Forbidden\r\n\r\n{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}",
            "vault at http://vault.example:8200: the read of kv/shop version 2 was answered with 403: 1 error occurred: * \
             permission denied; check that the token is right, not expired and not wrapped (VAULT_UNWRAP), VAULT_MOUNT_POINT and VAULT_PATH, and that a \
             policy of the token has: path \"kv/data/shop\" { capabilities = [\"read\"] }; VAULT_NAMESPACE is team",
        ),
        (
            "data/shop",
            None,
            "HTTP/1.1 404 Not Found\r\n\r\n{\"errors\":[]}",
            "vault at http://vault.example:8200: no version 2 at kv/data/shop; leave data/ out of VAULT_PATH: it is added \
             by itself",
        ),
        (
            "shop",
            team,
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n{\"errors\":[\"quota\"]}",
            "vault at http://vault.example:8200: the read of kv/shop version 2 was answered with 429: quota; a rate limit: \
             raise the quota, or let VAULT_STARTUP_TIMEOUT allow for it (1 try in TIME; a pause of TIME is beyond \
             VAULT_STARTUP_TIMEOUT, 1s)",
        ),
        (
            "shop",
            None,
            "HTTP/1.1 200 OK\r\n\r\n{\"data\":",
            "vault at http://vault.example:8200: the read of kv/shop version 2: the connection was closed before the answer \
             was complete; check VAULT_ADDR, and that the service is up and reachable from here",
        ),
    ] {
        assert_eq!(without_times(&sentence_of_read(path, namespace, answer)), said);
    }
}

/// `sentence` with `TIME` in the place of what is another time in each run.
fn without_times(sentence: &str) -> String {
    let cut = |text: String, before: &str, after: &str| match text.split_once(before) {
        Some((head, rest)) => format!("{head}{before}TIME{after}{}", rest.split_once(after).unwrap_or_default().1),
        None => text,
    };
    cut(cut(sentence.to_owned(), "try in ", ";"), "a pause of ", " is")
}
