mod failures;
mod server;
mod storms;
mod weeks;

use std::time::Duration;

use self::server::secs;
use super::{Act, Due, Failed, Lease, Origin, Plan, Rules};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn plan(origin: Origin) -> Plan {
    Plan::new(Rules::default(), origin)
}

/// Returns a plan with a token of this lease, got at the moment 0 without spread.
fn holding(origin: Origin, lease: Lease) -> Plan {
    let mut plan = plan(origin);
    plan.obtained(Duration::ZERO, lease, 0.0);
    plan
}

fn renew(seconds: f64) -> Due {
    Due { at: Duration::from_secs_f64(seconds), act: Act::Renew }
}

fn log_in(seconds: f64) -> Due {
    Due { at: Duration::from_secs_f64(seconds), act: Act::LogIn }
}

#[test]
fn the_defaults_are_three_quarters_five_minutes_and_ten_seconds() {
    assert_eq!(Rules::default(), Rules { threshold: 0.75, shortest: secs(300), pause: secs(10) });
}

#[test]
fn nothing_is_due_before_the_first_token() {
    for origin in [Origin::Login, Origin::LoginOnce, Origin::Browser, Origin::TokenFile, Origin::Token] {
        let plan = plan(origin);
        assert_eq!(
            (plan.next(secs(DAY)), plan.ends(), plan.may_log_in(Duration::ZERO)),
            (None, None, origin != Origin::Token)
        );
    }
}

#[test]
fn what_follows_a_lease_depends_on_where_the_token_comes_from() {
    use Lease::{Final, Forever, Renewable};
    let (long, short) = (secs(1000), secs(100));
    let rows = [
        (Origin::Login, Renewable(long), Some(renew(675.0))),
        (Origin::Login, Renewable(short), Some(log_in(67.5))),
        (Origin::Login, Renewable(secs(300)), Some(renew(202.5))),
        (Origin::Login, Final(long), Some(log_in(675.0))),
        (Origin::Login, Forever, None),
        (Origin::LoginOnce, Renewable(long), Some(renew(675.0))),
        (Origin::LoginOnce, Renewable(short), Some(log_in(67.5))),
        (Origin::LoginOnce, Final(long), Some(log_in(675.0))),
        (Origin::Browser, Renewable(long), Some(renew(675.0))),
        (Origin::Browser, Renewable(short), Some(renew(67.5))),
        (Origin::Browser, Final(long), None),
        (Origin::TokenFile, Renewable(long), Some(renew(675.0))),
        (Origin::TokenFile, Renewable(short), Some(renew(67.5))),
        (Origin::TokenFile, Final(long), Some(log_in(1000.0))),
        (Origin::TokenFile, Forever, None),
        (Origin::Token, Renewable(long), Some(renew(675.0))),
        (Origin::Token, Renewable(short), Some(renew(67.5))),
        (Origin::Token, Final(long), None),
        (Origin::Token, Forever, None),
    ];
    for (origin, lease, due) in rows {
        assert_eq!(holding(origin, lease).next(Duration::ZERO), due, "{origin:?} {lease:?}");
    }
}

#[test]
fn a_lease_counts_from_when_its_request_was_sent() {
    let mut plan = plan(Origin::Login);
    plan.obtained(secs(50), Lease::Renewable(secs(1000)), 0.0);
    assert_eq!((plan.next(secs(60)), plan.ends()), (Some(renew(725.0)), Some(secs(1050))));
    plan.renewed(secs(725), Lease::Renewable(secs(1000)), 0.5);
    assert_eq!((plan.next(secs(730)), plan.ends()), (Some(renew(1437.5)), Some(secs(1725))));
}

#[test]
fn the_threshold_is_what_the_user_set() {
    let mut plan = Plan::new(Rules { threshold: 0.5, ..Rules::default() }, Origin::Login);
    plan.obtained(Duration::ZERO, Lease::Renewable(secs(1000)), 0.0);
    assert_eq!(plan.next(Duration::ZERO), Some(renew(450.0)));
}

#[test]
fn a_lease_that_shrank_is_replaced_at_the_same_point() {
    let mut plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
    plan.renewed(secs(675), Lease::Renewable(secs(999)), 0.0);
    assert_eq!(plan.next(secs(675)), Some(log_in(675.0 + 674.325)));
    plan.obtained(secs(1350), Lease::Renewable(secs(999)), 0.0);
    assert_eq!(plan.next(secs(1350)), Some(renew(1350.0 + 674.325)));
    plan.renewed(secs(2025), Lease::Renewable(Duration::ZERO), 0.0);
    assert_eq!(plan.next(secs(2025)), Some(log_in(2025.0)));
}

#[test]
fn a_lease_that_shrank_is_renewed_where_it_cannot_be_replaced() {
    for origin in [Origin::Token, Origin::Browser] {
        let mut plan = holding(origin, Lease::Renewable(secs(1000)));
        plan.renewed(secs(675), Lease::Renewable(secs(500)), 0.0);
        assert_eq!(plan.next(secs(675)), Some(renew(675.0 + 337.5)), "{origin:?}");
    }
}

#[test]
fn a_token_that_has_less_than_a_second_left_is_replaced_after_a_second() {
    for lease in [Lease::Renewable(Duration::ZERO), Lease::Final(Duration::ZERO)] {
        assert_eq!(holding(Origin::Login, lease).next(Duration::ZERO), Some(log_in(1.0)));
        assert_eq!(holding(Origin::TokenFile, lease).next(Duration::ZERO), Some(log_in(1.0)));
    }
}

#[test]
fn a_short_lease_is_renewed_after_a_second_at_the_earliest() {
    let of = |milliseconds| holding(Origin::Token, Lease::Renewable(Duration::from_millis(milliseconds)));
    assert_eq!(
        [of(1000), of(1200), of(2000)].map(|plan| plan.next(Duration::ZERO)),
        [None, Some(renew(1.0)), Some(renew(1.35))]
    );
}

#[test]
fn numbers_out_of_range_neither_panic_nor_hurry() {
    for (threshold, spread) in [(f64::NAN, 0.5), (-1.0, 0.5), (5.0, 0.5), (f64::INFINITY, 0.5), (0.75, f64::NAN)] {
        let mut plan = Plan::new(Rules { threshold, ..Rules::default() }, Origin::Login);
        plan.obtained(secs(5), Lease::Renewable(secs(1000)), spread);
        assert_eq!(plan.next(Duration::ZERO), Some(log_in(1005.0)), "{threshold} {spread}");
    }
    let mut plan = Plan::new(Rules { threshold: 1.0, shortest: secs(300), pause: Duration::MAX }, Origin::Login);
    plan.obtained(Duration::MAX, Lease::Renewable(Duration::MAX), 1.0);
    plan.failed(Act::LogIn, Failed::Silent, Duration::MAX, 1.0);
    plan.failed(Act::Renew, Failed::Broken(500), Duration::MAX, 1.0);
    plan.lost(Duration::MAX);
    plan.credential_changed(Duration::MAX);
    assert_eq!(plan.next(Duration::MAX), Some(Due { at: Duration::MAX, act: Act::LogIn }));
}

#[test]
fn a_machine_suspended_past_the_end_of_the_lease_logs_in() {
    let plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
    assert_eq!(plan.next(secs(999)), Some(renew(675.0)));
    assert_eq!(plan.next(secs(1000)), Some(log_in(1000.0)));
    assert_eq!(holding(Origin::Token, Lease::Renewable(secs(1000))).next(secs(1000)), None);
}
