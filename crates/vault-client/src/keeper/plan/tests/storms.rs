//! No answers and no events make a client ask too often, too early or too late.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{Act, Failed, Lease, Origin, Plan, Rules};
use super::HOUR;
use super::server::{Client, Fault, Server, Spreads, most_within, secs};

/// Renewals in an hour that are a second apart.
const EACH_SECOND: usize = 3600 + 1;
/// The shortest pause after a failure is half of ten seconds.
const EACH_PAUSE: usize = 3600 / 5 + 1;
/// Tokens lost two minutes after the one before are replaced at once.
const LOSSES: usize = 3600 / 120 + 1;

/// Something that happens after a request was answered.
#[derive(Debug, Clone, Copy)]
enum Event {
    Nothing,
    Lost,
    CredentialChanged,
}

/// The answer to one request.
#[derive(Debug, Clone, Copy)]
struct Answer {
    outcome: Result<Lease, Failed>,
    took: Duration,
    spread: f64,
    event: Event,
    /// Time from the answer to the event.
    after: Duration,
}

fn origins() -> impl Strategy<Value = Origin> {
    prop_oneof![
        Just(Origin::Login),
        Just(Origin::LoginOnce),
        Just(Origin::Browser),
        Just(Origin::TokenFile),
        Just(Origin::Token)
    ]
}

fn failures() -> impl Strategy<Value = Failed> {
    prop_oneof![Just(Failed::Refused), (500_u16..503).prop_map(Failed::Broken), Just(Failed::Silent)]
}

fn leases(lengths: &'static [u64]) -> impl Strategy<Value = Lease> {
    let length = prop::sample::select(lengths).prop_map(secs);
    (length, any::<bool>())
        .prop_map(|(length, renewable)| if renewable { Lease::Renewable(length) } else { Lease::Final(length) })
}

/// Returns scripts of answers with leases of these lengths.
fn scripts(lengths: &'static [u64]) -> impl Strategy<Value = Vec<Answer>> {
    let outcome = prop_oneof![leases(lengths).prop_map(Ok), failures().prop_map(Err)];
    let event = prop_oneof![4 => Just(Event::Nothing), 1 => Just(Event::Lost), 1 => Just(Event::CredentialChanged)];
    let answer =
        (outcome, 0_u64..50, 0.0..1.0, event, 0_u64..2000).prop_map(|(outcome, took, spread, event, after)| Answer {
            outcome,
            took: Duration::from_millis(took),
            spread,
            event,
            after: Duration::from_millis(after),
        });
    prop::collection::vec(answer, 1..12)
}

/// Gives the answers again and again for three hours, and returns when each request was sent.
fn play(origin: Origin, first: Lease, script: &[Answer]) -> Vec<(Duration, Act)> {
    let mut plan = Plan::new(Rules::default(), origin);
    plan.obtained(Duration::ZERO, first, 0.0);
    let mut sent = vec![(Duration::ZERO, Act::LogIn)];
    let mut now = Duration::ZERO;
    for answer in script.iter().cycle() {
        let at = plan.next(now).map_or(now + secs(60), |due| due.at.max(now));
        if at >= secs(3 * HOUR) {
            break;
        }
        let Some(due) = plan.next(at) else {
            now = at;
            wake(&mut plan, first, now);
            continue;
        };
        assert!(sent.len() < 3 * 3 * EACH_SECOND, "a storm");
        sent.push((at, due.act));
        now = at + answer.took;
        match (answer.outcome, due.act) {
            (Ok(lease), Act::LogIn) => plan.obtained(at, lease, answer.spread),
            (Ok(lease), Act::Renew) => plan.renewed(at, lease, answer.spread),
            (Err(failed), act) => plan.failed(act, failed, now, answer.spread),
        }
        let happens = now + answer.after;
        if plan.next(now).is_none_or(|due| due.at > happens) {
            match answer.event {
                Event::Nothing => continue,
                Event::Lost => plan.lost(happens),
                Event::CredentialChanged => plan.credential_changed(happens),
            }
            now = happens;
        }
    }
    sent
}

/// Does for a plan without anything to do what others can do: change the credential, or hand it a token.
fn wake(plan: &mut Plan, token: Lease, now: Duration) {
    plan.credential_changed(now);
    if plan.next(now).is_none() {
        plan.obtained(now, token, 0.0);
    }
}

fn times(sent: &[(Duration, Act)], wanted: Option<Act>) -> Vec<Duration> {
    sent.iter().filter(|(_, act)| wanted.is_none_or(|wanted| wanted == *act)).map(|(at, _)| *at).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answers_make_a_storm(
        origin in origins(),
        first in leases(&[0, 1, 2, 60, 3600]),
        script in scripts(&[0, 1, 2, 5, 20, 299, 300, 3600]),
    ) {
        let sent = play(origin, first, &script);
        let renewals = most_within(secs(HOUR), &times(&sent, Some(Act::Renew)));
        let logins = most_within(secs(HOUR), &times(&sent, Some(Act::LogIn)));
        let all = most_within(secs(HOUR), &times(&sent, None));
        prop_assert!(renewals <= EACH_SECOND, "{renewals} renewals");
        prop_assert!(logins <= EACH_SECOND + LOSSES, "{logins} logins");
        // A login follows closer than a second on a renewal only. If that failed or shrank, the next renewal is a pause
        // later, or the shortest lease that is renewed.
        let most = match origin {
            Origin::Login | Origin::LoginOnce => EACH_SECOND + EACH_PAUSE + LOSSES,
            Origin::TokenFile => 2 * EACH_SECOND + LOSSES,
            Origin::Browser | Origin::Token => EACH_SECOND,
        };
        prop_assert!(all <= most, "{all} requests");
    }

    #[test]
    fn leases_that_are_long_enough_make_a_request_in_five_seconds_of_a_kind_at_most(
        origin in origins(),
        mut script in scripts(&[600, 3600, 86_400]),
    ) {
        for answer in &mut script {
            if let Event::CredentialChanged = answer.event {
                answer.event = Event::Nothing;
            }
        }
        let sent = play(origin, Lease::Renewable(secs(300)), &script);
        let renewals = times(&sent, Some(Act::Renew));
        let logins = times(&sent, Some(Act::LogIn));
        prop_assert!(renewals.windows(2).all(|pair| pair[1] >= pair[0] + secs(5)));
        prop_assert!(most_within(secs(5), &logins) <= 2);
        prop_assert!(most_within(secs(HOUR), &logins) <= EACH_PAUSE + LOSSES);
    }

    #[test]
    fn a_server_that_works_is_asked_in_time_and_a_token_is_always_live(
        origin in prop_oneof![Just(Origin::Login), Just(Origin::LoginOnce)],
        ttl in prop_oneof![2_u64..10, 10_u64..300, 300_u64..7200],
        most in prop::option::of(1_u64..40),
        over in 0_u64..60,
        renewable in any::<bool>(),
        way in 0.0..0.02_f64,
        seed in any::<u64>(),
    ) {
        let mut server = Server::new(ttl, most.map(|times| ttl * times + over));
        server.renewable = renewable;
        server.way = secs(ttl).mul_f64(way).min(Duration::from_millis(500));
        let late = 2 * server.way;
        let mut client = Client::new(origin, server, Spreads::Drawn(seed));
        client.run(secs(100 * ttl));
        prop_assert_eq!(client.bare(), Duration::ZERO);
        for pair in client.sent.windows(2) {
            let length = pair[0].lease.and_then(Lease::length).expect("a server that works");
            let gap = pair[1].at.saturating_sub(pair[0].at);
            prop_assert!(gap + Duration::from_nanos(1) >= length.mul_f64(0.675), "{:?}", pair);
            prop_assert!(gap <= length.mul_f64(0.75).max(late), "{:?}", pair);
        }
    }

    #[test]
    fn an_outage_ends_for_the_client_a_minute_after_it_ends_for_the_server(
        outages in prop::collection::vec((0_u64..3000, 1_u64..4000, 0..4), 1..6),
        ttl in prop_oneof![5_u64..300, 300_u64..7200],
        seed in any::<u64>(),
    ) {
        let mut server = Server::new(ttl, Some(20 * ttl));
        let mut from = 1;
        for (pause, length, kind) in outages {
            let kinds = [Fault::Away, Fault::Status(503), Fault::LoginStatus(500), Fault::RenewalStatus(502)];
            server.faults.push((secs(from + pause)..secs(from + pause + length), kinds[usize::try_from(kind).unwrap_or(0)]));
            from += pause + length;
        }
        let mut client = Client::new(Origin::Login, server, Spreads::Drawn(seed));
        client.run(secs(from + 60));
        let before = client.bare();
        client.run(secs(from + 60 + 20 * ttl));
        prop_assert_eq!(client.bare(), before);
    }
}
