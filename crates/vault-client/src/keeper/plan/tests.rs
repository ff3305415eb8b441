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
fn a_refused_renewal_is_followed_by_a_login_at_once() {
    for origin in [Origin::Login, Origin::LoginOnce, Origin::TokenFile] {
        let mut plan = holding(origin, Lease::Renewable(secs(1000)));
        plan.failed(Act::Renew, Failed::Refused, secs(680), 0.0);
        assert_eq!((plan.next(secs(680)), plan.ends()), (Some(log_in(680.0)), Some(secs(1000))), "{origin:?}");
    }
}

#[test]
fn a_token_that_cannot_be_replaced_is_not_renewed_after_a_refusal() {
    for origin in [Origin::Token, Origin::Browser] {
        let mut plan = holding(origin, Lease::Renewable(secs(1000)));
        plan.failed(Act::Renew, Failed::Refused, secs(680), 0.0);
        assert_eq!((plan.next(secs(680)), plan.ends()), (None, Some(secs(1000))), "{origin:?}");
    }
}

#[test]
fn an_unanswered_renewal_is_repeated_with_jitter_until_the_lease_ends() {
    let mut plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
    plan.failed(Act::Renew, Failed::Silent, secs(980), 0.0);
    assert_eq!(plan.next(secs(980)), Some(renew(985.0)));
    plan.failed(Act::Renew, Failed::Silent, secs(985), 0.5);
    assert_eq!(plan.next(secs(985)), Some(renew(992.5)));
    plan.failed(Act::Renew, Failed::Silent, secs(993), 0.5);
    assert_eq!(plan.next(secs(993)), Some(log_in(1000.0)));
}

#[test]
fn a_5xx_that_repeats_is_followed_by_a_login() {
    use Failed::{Broken, Silent};
    let rows: [(&[Failed], Act); 6] = [
        (&[Broken(500)], Act::Renew),
        (&[Broken(500), Broken(500)], Act::LogIn),
        (&[Broken(500), Broken(503)], Act::Renew),
        (&[Broken(500), Broken(503), Broken(503)], Act::LogIn),
        (&[Broken(500), Silent, Broken(500)], Act::Renew),
        (&[Silent, Silent, Silent], Act::Renew),
    ];
    for (failures, act) in rows {
        let mut plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
        for failed in failures {
            plan.failed(Act::Renew, *failed, secs(680), 0.0);
        }
        let at = if act == Act::LogIn { secs(680) } else { secs(685) };
        assert_eq!(plan.next(secs(680)), Some(Due { at, act }), "{failures:?}");
    }
}

#[test]
fn a_5xx_counts_anew_after_a_renewal() {
    let mut plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
    plan.failed(Act::Renew, Failed::Broken(500), secs(680), 0.0);
    plan.renewed(secs(685), Lease::Renewable(secs(1000)), 0.0);
    plan.failed(Act::Renew, Failed::Broken(500), secs(1400), 0.0);
    assert_eq!(plan.next(secs(1400)), Some(renew(1405.0)));
}

#[test]
fn an_unanswered_login_is_repeated_after_ten_seconds_that_double_to_a_minute() {
    for failed in [Failed::Silent, Failed::Broken(503)] {
        let mut plan = holding(Origin::Login, Lease::Final(secs(1000)));
        let mut waits = Vec::new();
        for spread in [0.0, 0.5, 0.0, 0.0, 0.5, 0.0] {
            plan.failed(Act::LogIn, failed, secs(2000), spread);
            waits.push(plan.next(secs(2000)).expect("a login").at.as_secs_f64() - 2000.0);
        }
        assert_eq!(waits, [5.0, 15.0, 20.0, 30.0, 45.0, 30.0]);
        plan.obtained(secs(2000), Lease::Final(secs(1000)), 0.0);
        plan.failed(Act::LogIn, failed, secs(2700), 0.0);
        assert_eq!((plan.next(secs(2700)), plan.may_log_in(secs(2700))), (Some(log_in(2705.0)), true));
    }
}

#[test]
fn a_refused_login_is_repeated_after_one_two_four_to_thirty_minutes() {
    for origin in [Origin::Login, Origin::TokenFile] {
        let mut plan = holding(origin, Lease::Final(secs(1000)));
        let mut now = secs(1000);
        let mut minutes = Vec::new();
        for _ in 0..8 {
            plan.failed(Act::LogIn, Failed::Refused, now, 0.9);
            let due = plan.next(now).expect("a login");
            let before = due.at.checked_sub(Duration::from_nanos(1)).expect("a moment before");
            assert_eq!((due.act, plan.may_log_in(before), plan.may_log_in(due.at)), (Act::LogIn, false, true));
            minutes.push(due.at.saturating_sub(now).as_secs() / 60);
            now = due.at;
        }
        assert_eq!((minutes, plan.is_refused()), (vec![1, 2, 4, 8, 16, 30, 30, 30], true));
        plan.obtained(now, Lease::Final(secs(1000)), 0.0);
        assert!(!plan.is_refused());
        let later = now + secs(1000);
        plan.failed(Act::LogIn, Failed::Refused, later, 0.0);
        assert_eq!(plan.next(later), Some(Due { at: later + secs(60), act: Act::LogIn }));
    }
}

#[test]
fn a_credential_that_must_not_be_tried_twice_waits_until_it_changes() {
    let mut plan = holding(Origin::LoginOnce, Lease::Final(secs(1000)));
    plan.failed(Act::LogIn, Failed::Refused, secs(700), 0.0);
    assert_eq!((plan.next(secs(100 * DAY)), plan.may_log_in(secs(100 * DAY)), plan.is_refused()), (None, false, true));
    plan.lost(secs(900));
    assert_eq!((plan.next(secs(100 * DAY)), plan.may_log_in(secs(100 * DAY))), (None, false));
    plan.credential_changed(secs(2000));
    assert_eq!((plan.next(secs(2000)), plan.may_log_in(secs(2001))), (Some(log_in(2001.0)), true));
    plan.failed(Act::LogIn, Failed::Refused, secs(2001), 0.0);
    assert_eq!(plan.next(secs(100 * DAY)), None);
}

#[test]
fn a_changed_credential_ends_the_wait_after_a_refusal_and_nothing_else() {
    let mut plan = holding(Origin::Login, Lease::Final(secs(1000)));
    plan.credential_changed(secs(10));
    assert_eq!((plan.next(secs(10)), plan.may_log_in(secs(10))), (Some(log_in(675.0)), true));
    plan.failed(Act::LogIn, Failed::Silent, secs(675), 0.0);
    plan.credential_changed(secs(676));
    assert_eq!(plan.next(secs(676)), Some(log_in(680.0)));
    plan.failed(Act::LogIn, Failed::Refused, secs(680), 0.0);
    plan.credential_changed(secs(690));
    plan.credential_changed(secs(690) + Duration::from_millis(900));
    assert_eq!(plan.next(secs(691)), Some(log_in(691.0)));
    plan.failed(Act::LogIn, Failed::Refused, secs(691), 0.0);
    assert_eq!(plan.next(secs(691)), Some(log_in(691.0 + 120.0)));
}

#[test]
fn a_person_is_asked_by_callers_alone_and_once() {
    let mut plan = holding(Origin::Browser, Lease::Renewable(secs(1000)));
    plan.lost(secs(10));
    assert_eq!((plan.next(secs(DAY)), plan.may_log_in(secs(10))), (None, true));
    plan.failed(Act::LogIn, Failed::Refused, secs(20), 0.0);
    assert_eq!((plan.next(secs(DAY)), plan.may_log_in(secs(DAY))), (None, false));
}

#[test]
fn a_lost_token_is_replaced_at_once_and_later_if_it_happens_again_and_again() {
    let mut plan = plan(Origin::Login);
    let mut now = secs(1000);
    let mut waits = Vec::new();
    for _ in 0..7 {
        plan.obtained(now, Lease::Renewable(secs(HOUR)), 0.0);
        plan.lost(now);
        plan.lost(now);
        let due = plan.next(now).expect("a login");
        let before = due.at.checked_sub(Duration::from_nanos(1)).expect("a moment before");
        assert_eq!((due.act, plan.ends(), plan.may_log_in(due.at)), (Act::LogIn, None, true));
        assert_eq!(plan.may_log_in(before.max(now)), due.at == now);
        waits.push(due.at.saturating_sub(now).as_secs());
        now = due.at;
    }
    assert_eq!(waits, [0, 10, 20, 40, 60, 60, 60]);
    let previous = now.saturating_sub(secs(60));
    for (after, wait) in [(119, 60), (119 + 119, 60), (119 + 119 + 120, 0)] {
        plan.obtained(previous + secs(60), Lease::Renewable(secs(HOUR)), 0.0);
        let lost = previous + secs(after);
        plan.lost(lost);
        assert_eq!(plan.next(lost), Some(Due { at: lost + secs(wait), act: Act::LogIn }));
    }
}

#[test]
fn a_lost_token_does_not_shorten_the_wait_after_a_refusal() {
    let mut plan = holding(Origin::Login, Lease::Renewable(secs(100)));
    plan.failed(Act::LogIn, Failed::Refused, secs(68), 0.0);
    plan.lost(secs(70));
    assert_eq!((plan.next(secs(70)), plan.may_log_in(secs(70))), (Some(log_in(128.0)), false));
}

#[test]
fn a_lost_token_ends_the_wait_after_a_login_without_an_answer() {
    let mut plan = holding(Origin::Login, Lease::Renewable(secs(100)));
    plan.failed(Act::LogIn, Failed::Silent, secs(68), 0.0);
    plan.lost(secs(70));
    assert_eq!((plan.next(secs(70)), plan.may_log_in(secs(70))), (Some(log_in(70.0)), true));
}

#[test]
fn a_lost_token_that_was_handed_in_is_the_end() {
    let mut plan = holding(Origin::Token, Lease::Renewable(secs(1000)));
    plan.lost(secs(70));
    assert_eq!((plan.next(secs(70)), plan.may_log_in(secs(70))), (None, false));
    plan.renewed(secs(71), Lease::Renewable(secs(1000)), 0.0);
    plan.failed(Act::Renew, Failed::Silent, secs(71), 0.0);
    assert_eq!((plan.next(secs(70)), plan.ends()), (None, None));
}

#[test]
fn the_token_in_hand_is_renewed_while_logins_fail() {
    for failed in [Failed::Refused, Failed::Silent, Failed::Broken(500)] {
        let mut plan = holding(Origin::LoginOnce, Lease::Renewable(secs(100)));
        plan.failed(Act::LogIn, failed, secs(68), 0.0);
        assert_eq!(plan.next(secs(68)).map(|due| due.at), Some(secs(73)), "{failed:?}");
    }
    let mut plan = holding(Origin::LoginOnce, Lease::Renewable(secs(100)));
    plan.failed(Act::LogIn, Failed::Refused, secs(68), 0.0);
    plan.renewed(secs(73), Lease::Renewable(secs(100)), 0.0);
    assert_eq!(plan.next(secs(73)), Some(renew(73.0 + 67.5)));
    let mut plan = holding(Origin::LoginOnce, Lease::Final(secs(100)));
    plan.failed(Act::LogIn, Failed::Refused, secs(68), 0.0);
    assert_eq!(plan.next(secs(68)), None);
}

#[test]
fn a_machine_suspended_past_the_end_of_the_lease_logs_in() {
    let plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
    assert_eq!(plan.next(secs(999)), Some(renew(675.0)));
    assert_eq!(plan.next(secs(1000)), Some(log_in(1000.0)));
    assert_eq!(holding(Origin::Token, Lease::Renewable(secs(1000))).next(secs(1000)), None);
}
