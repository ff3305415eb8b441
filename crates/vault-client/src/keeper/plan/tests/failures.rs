//! What follows a failed act, a lost token and a changed credential.

use std::time::Duration;

use super::super::{Act, Due, Failed, Lease, Origin, Plan, Rules};
use super::server::secs;
use super::{DAY, HOUR, holding, log_in, plan, renew};

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
fn an_unanswered_renewal_is_repeated_after_ten_seconds_that_double_to_two_minutes_and_leave_time_for_more() {
    let mut plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
    let mut waits = |now: u64| {
        plan.failed(Act::Renew, Failed::Silent, secs(now), 1.0);
        plan.next(secs(now)).map(|due| (due.act, due.at.as_secs() - now))
    };
    // At most a quarter of what is left, and ten seconds at least.
    let rows = [(700, 10), (700, 20), (700, 40), (700, 75), (700, 75), (800, 50), (900, 25), (960, 10), (980, 10)];
    for (now, wait) in rows {
        assert_eq!(waits(now), Some((Act::Renew, wait)), "{now}");
    }
    plan.renewed(secs(981), Lease::Renewable(secs(10_000)), 0.0);
    for wait in [10, 20, 40, 80, 120, 120] {
        plan.failed(Act::Renew, Failed::Silent, secs(1700), 1.0);
        assert_eq!(plan.next(secs(1700)), Some(Due { at: secs(1700 + wait), act: Act::Renew }));
    }
    plan.renewed(secs(1700), Lease::Renewable(secs(10_000)), 0.0);
    plan.failed(Act::Renew, Failed::Silent, secs(1700), 1.0);
    assert_eq!(plan.next(secs(1700)), Some(renew(1710.0)));
}

#[test]
fn a_login_that_fails_does_not_put_off_a_renewal_that_is_planned() {
    let mut plan = holding(Origin::Login, Lease::Renewable(secs(1000)));
    for now in [700, 705] {
        plan.failed(Act::Renew, Failed::Broken(503), secs(now), 0.0);
    }
    plan.failed(Act::LogIn, Failed::Broken(503), secs(706), 1.0);
    assert_eq!(plan.next(secs(706)), Some(renew(715.0)));
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
        let at = if act == Act::LogIn { secs(680) } else { secs(680 + [5, 10, 20][failures.len() - 1]) };
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
fn a_refusal_is_an_answer_so_the_next_silence_counts_anew() {
    let mut plan = holding(Origin::Login, Lease::Final(secs(1000)));
    for (failed, due) in
        [(Failed::Silent, 2005), (Failed::Silent, 2010), (Failed::Refused, 2060), (Failed::Silent, 2005)]
    {
        plan.failed(Act::LogIn, failed, secs(2000), 0.0);
        assert_eq!(plan.next(secs(2000)), Some(Due { at: secs(due), act: Act::LogIn }));
    }
}

#[test]
fn a_new_token_ends_the_wait_after_a_refusal() {
    for origin in [Origin::Login, Origin::LoginOnce] {
        let mut plan = holding(origin, Lease::Final(secs(20)));
        plan.failed(Act::LogIn, Failed::Refused, secs(14), 0.0);
        plan.obtained(secs(15), Lease::Final(secs(20)), 0.0);
        assert_eq!((plan.next(secs(15)), plan.may_log_in(secs(15))), (Some(log_in(28.5)), true));
    }
}

#[test]
fn a_hundred_refusals_are_waited_for_like_six() {
    let mut plan = holding(Origin::Login, Lease::Final(secs(1000)));
    for _ in 0..100 {
        plan.failed(Act::LogIn, Failed::Refused, secs(1000), 0.0);
    }
    assert_eq!(plan.next(secs(1000)), Some(log_in(2800.0)));
}

#[test]
fn a_pause_of_any_length_keeps_requests_a_second_apart() {
    for (pause, first, second) in [(0, 1, 1), (1, 1, 1), (4, 2, 4), (50, 25, 30), (300, 150, 150)] {
        let rules = Rules { pause: secs(pause), ..Rules::default() };
        let mut plan = Plan::new(rules, Origin::Login);
        plan.obtained(Duration::ZERO, Lease::Renewable(secs(1000)), 0.0);
        plan.failed(Act::Renew, Failed::Silent, secs(700), 0.0);
        assert_eq!(plan.next(secs(700)), Some(Due { at: secs(700 + first), act: Act::Renew }));
        plan.lost(secs(700));
        for wait in [first, second] {
            plan.failed(Act::LogIn, Failed::Silent, secs(700), 0.0);
            assert_eq!(plan.next(secs(700)), Some(Due { at: secs(700 + wait), act: Act::LogIn }));
        }
        plan.obtained(secs(700), Lease::Renewable(secs(1000)), 0.0);
        plan.lost(secs(700));
        assert_eq!(plan.next(secs(700)), Some(Due { at: secs(700 + pause.max(1)), act: Act::LogIn }));
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
