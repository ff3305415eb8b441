use vault_client::fault::{Answered, NotVault, Outline, Shape, Unsendable, Way};
use vault_client::{AuthMethod, TokenOf};

use super::*;

fn read() -> Step {
    Step::Read { mount: "kv".into(), path: "p/a".into(), version: None, token: TokenOf::Login }
}

fn of(verb: Verb) -> Step {
    Step::Secret { verb, mount: "kv".into(), path: "p/a".into() }
}

fn login() -> Step {
    Step::Login { method: AuthMethod::Kubernetes, mount: "kubernetes".into(), role: None }
}

fn fault(what: What, status: Option<u16>) -> Fault {
    Fault { what, retry: Retry::Never, status, request_id: Some("vault-id".into()) }
}

fn answered(status: u16, why: Why, said: &str) -> Fault {
    let answered = Answered { status, said: said.into(), why, found: Some(7), jwt: None };
    fault(What::Answered(Box::new(answered)), Some(status))
}

fn unreachable(why: Unreachable) -> Fault {
    fault(What::Unreachable { why, way: Way::Network }, None)
}

fn late() -> Fault {
    unreachable(Unreachable::Late { limit: vault_client::Limit::Request, length: Duration::from_secs(1) })
}

const ASKED: Asked = Asked { mount: "kv", path: "a" };

/// Kind, status, whether Vault is away, whether the path is denied, and the tenant's state.
fn outline(step: &Step, fault: &Fault, is_dead: bool) -> (&'static str, u16, bool, bool, Option<&'static str>) {
    let Judged { failure: Failure { problem, away, denied }, state } = judge(Some(step), fault, ASKED, is_dead);
    assert_eq!(problem.vault_request_id.as_deref(), Some("vault-id"));
    assert!(!problem.detail.is_empty() && !problem.detail.contains("SAID"), "{}", problem.detail);
    assert_eq!(problem.retry_after.is_some(), problem.kind == Kind::Unavailable);
    (problem.kind.word(), problem.status, away, denied, state.map(State::word))
}

#[test]
fn each_fault_of_vault_is_told_as_the_contract_says() {
    let outlined = |status| Box::new(Outline { status, content_type: "text/html".into(), bytes: 3 });
    let (ok, denied, unavailable) = (Some("ok"), Some("denied"), Some("unavailable"));
    let absent = || fault(What::Absent { version: None, said: "SAID".into() }, Some(404));
    let unsure = |what| fault(What::Unsure(Box::new(what)), None);
    for (step, fault, expected) in [
        (read(), absent(), ("not-found", 404, false, false, ok)),
        (read(), fault(What::Deleted { number: 2, at: None }, Some(404)), ("not-found", 404, false, false, ok)),
        (read(), fault(What::Destroyed { number: 2 }, Some(404)), ("not-found", 404, false, false, ok)),
        (read(), fault(What::Null { number: 2 }, Some(200)), ("not-found", 404, false, false, ok)),
        (of(Verb::Metadata), absent(), ("not-found", 404, false, false, ok)),
        (read(), answered(403, Why::Denied, "SAID"), ("upstream-denied", 403, false, true, ok)),
        (of(Verb::Write), answered(403, Why::Denied, "SAID"), ("upstream-denied", 403, false, true, ok)),
        (read(), answered(403, Why::DeadToken, "SAID"), ("upstream-identity", 503, false, false, denied)),
        (Step::LookUp, fault(What::DeadAgain, None), ("upstream-identity", 503, false, false, denied)),
        (login(), answered(403, Why::Unexplained, "SAID"), ("upstream-identity", 503, false, false, denied)),
        (login(), answered(400, Why::Refused, "SAID"), ("upstream-identity", 503, false, false, denied)),
        (login(), fault(What::WithoutToken, Some(200)), ("upstream-identity", 503, false, false, denied)),
        (Step::Renew, answered(400, Why::Refused, "SAID"), ("upstream-identity", 503, false, false, denied)),
        (login(), answered(400, Why::NoKeys, "SAID"), ("unavailable", 503, true, false, unavailable)),
        (login(), late(), ("timeout", 504, true, false, unavailable)),
        (login(), unreachable(Unreachable::ConnectionRefused), ("unavailable", 503, true, false, unavailable)),
        (read(), late(), ("timeout", 504, true, false, unavailable)),
        (read(), unreachable(Unreachable::NoTokenInTime), ("timeout", 504, true, false, unavailable)),
        (read(), unreachable(Unreachable::ConnectionRefused), ("unavailable", 503, true, false, unavailable)),
        (read(), unreachable(Unreachable::CutShort), ("unavailable", 503, true, false, unavailable)),
        (
            read(),
            fault(What::Sealed { given: 0, needed: 1 }, Some(503)),
            ("unavailable", 503, true, false, unavailable),
        ),
        (read(), answered(503, Why::NotReady, "SAID"), ("unavailable", 503, true, false, unavailable)),
        (read(), answered(429, Why::RateLimited, "SAID"), ("unavailable", 503, false, false, unavailable)),
        (read(), fault(What::Exhausted("SAID".into()), None), ("unavailable", 503, false, false, None)),
        (read(), fault(What::Cancelled, None), ("unavailable", 503, false, false, None)),
        (read(), fault(What::Closed, None), ("unavailable", 503, false, false, None)),
        (read(), NotVault::NotHttp.told(), ("upstream-invalid", 502, false, false, unavailable)),
        (read(), NotVault::Foreign(outlined(404)).told(), ("upstream-invalid", 502, false, false, unavailable)),
        (read(), fault(What::NoMount { said: "SAID".into() }, Some(404)), ("upstream-invalid", 502, false, false, ok)),
        (of(Verb::Write), fault(What::Version1, None), ("upstream-invalid", 502, false, false, ok)),
        (
            read(),
            fault(What::Shape(Shape::Twice("SAID".into())), Some(200)),
            ("upstream-invalid", 502, false, false, ok),
        ),
        (of(Verb::Write), fault(What::Shape(Shape::NoObject), None), ("body", 400, false, false, ok)),
        (of(Verb::Write), unsure(late().what), ("outcome-unknown", 504, true, false, unavailable)),
        (
            of(Verb::Write),
            unsure(What::NotVault(NotVault::NotHttp)),
            ("outcome-unknown", 504, false, false, unavailable),
        ),
        (Step::Unwrap, unsure(late().what), ("unavailable", 503, true, false, unavailable)),
        (of(Verb::Destroy), late(), ("outcome-unknown", 504, true, false, unavailable)),
        (of(Verb::Undelete), answered(502, Why::NotReady, "SAID"), ("outcome-unknown", 504, true, false, unavailable)),
        (of(Verb::Undelete), answered(503, Why::NotReady, "SAID"), ("unavailable", 503, true, false, unavailable)),
        (of(Verb::Metadata), late(), ("timeout", 504, true, false, unavailable)),
        (of(Verb::Write), answered(400, Why::OtherVersion, "SAID"), ("conflict", 409, false, false, ok)),
        (
            of(Verb::Write),
            answered(400, Why::Refused, "check-and-set parameter required for this call"),
            ("precondition-required", 428, false, false, ok),
        ),
        (
            of(Verb::Write),
            answered(400, Why::Refused, "refused JSON input due to high complexity: SAID"),
            ("schema", 422, false, false, ok),
        ),
        (of(Verb::Write), answered(413, Why::TooLong, "SAID"), ("too-large", 413, false, false, ok)),
        (of(Verb::Write), answered(500, Why::TooLarge, "SAID"), ("too-large", 413, false, false, ok)),
        (of(Verb::Destroy), answered(400, Why::Refused, "SAID"), ("body", 400, false, false, ok)),
        (read(), fault(What::Path(Unsendable::Segment), None), ("path", 400, false, false, ok)),
        (read(), fault(What::NoVersion, None), ("path", 400, false, false, ok)),
    ] {
        assert_eq!(outline(&step, &fault, false), expected, "{step:?} {fault:?}");
    }
}

/// A fault of its own.
trait Told {
    fn told(self) -> Fault;
}

impl Told for NotVault {
    fn told(self) -> Fault {
        fault(What::NotVault(self), None)
    }
}

#[test]
fn a_denial_with_a_token_whose_life_is_over_is_about_the_token() {
    let denial = answered(403, Why::Denied, "SAID");
    assert_eq!(outline(&read(), &denial, true), ("upstream-identity", 503, false, false, Some("denied")));
}

#[test]
fn a_conflict_and_a_deleted_version_name_the_version_that_is_there() {
    let found = |fault| judge(Some(&of(Verb::Write)), &fault, ASKED, false).failure.problem.version;
    assert_eq!(found(answered(400, Why::OtherVersion, "SAID")), Some(7));
    assert_eq!(found(answered(403, Why::Denied, "SAID")), None);
    assert_eq!(found(fault(What::Deleted { number: 2, at: None }, Some(404))), Some(2));
    assert_eq!(found(fault(What::Absent { version: None, said: String::new() }, Some(404))), None);
}

#[test]
fn whoever_writes_the_mount_into_the_path_is_told_to_leave_it_out() {
    let detail = |path| absent(Asked { mount: "team/kv", path });
    for (path, hints) in [
        ("data/a", true),
        ("team/kv/a", true),
        ("team/kv/data/a", true),
        ("data", false),
        ("database/a", false),
        ("team/kvs/a", false),
        ("a/data/b", false),
    ] {
        assert_eq!(detail(path).contains("leave mount and data/ out"), hints, "{path}");
    }
}

#[test]
fn the_pause_is_the_one_that_vault_asks_for_or_a_few_seconds() {
    let seconds = Duration::from_secs;
    for (retry, expected) in [
        (Retry::After(seconds(7)), 7..=7),
        (Retry::Patience(Duration::from_millis(1500)), 2..=2),
        (Retry::Quick(Duration::ZERO), LATER),
        (Retry::After(seconds(1 << 40)), LONGEST..=LONGEST),
        (Retry::Never, LATER),
        (Retry::Soon, LATER),
    ] {
        assert!(expected.contains(&pause(retry)), "{retry:?}");
    }
}
