//! Clients that keep a token for weeks. Each count is reckoned by hand.

use std::time::Duration;

use super::super::{Act, Failed, Lease, Origin, Plan, Rules};
use super::server::{Client, Fault, Sent, Server, Spreads, most_within, secs};
use super::{DAY, HOUR};

const WEEK: u64 = 7 * DAY;

/// Returns a client that renews and logs in as early as it ever does.
fn earliest(origin: Origin, server: Server) -> Client {
    Client::new(origin, server, Spreads::Always(0.0))
}

/// Returns renewals and logins of the client.
fn counts(client: &Client) -> (usize, usize) {
    (client.count(Act::Renew), client.count(Act::LogIn))
}

#[test]
fn a_periodic_token_is_renewed_for_four_weeks_and_never_replaced() {
    let mut client = earliest(Origin::Login, Server::new(HOUR, None));
    client.run(secs(4 * WEEK));
    // 2,419,200 s / 2,430 s = 995.6.
    assert_eq!((counts(&client), client.bare()), ((995, 1), Duration::ZERO));
}

#[test]
fn renewals_lie_between_nine_tenths_of_the_threshold_and_the_threshold() {
    for seed in 0..20 {
        let mut client = Client::new(Origin::Login, Server::new(HOUR, None), Spreads::Drawn(seed));
        client.run(secs(4 * WEEK));
        let (renewals, logins) = counts(&client);
        // 2,419,200 s / 2,700 s = 896, and the mean is 2,419,200 s / 2,565 s = 943. A mean of 942 draws strays by 0.1 %.
        assert!((933..=953).contains(&renewals), "{renewals}");
        assert_eq!((logins, client.bare()), (1, Duration::ZERO));
        for pair in client.sent.windows(2) {
            assert!((secs(2430)..=secs(2700)).contains(&pair[1].at.saturating_sub(pair[0].at)));
        }
    }
}

#[test]
fn a_token_with_a_maximum_ttl_is_replaced_when_its_lease_shrinks() {
    let mut client = earliest(Origin::Login, Server::new(HOUR, Some(DAY)));
    client.run(secs(4 * WEEK));
    // The 35th renewal, at 85,050 s, brings 1,350 s. The login follows at 85,050 + 911.25 = 85,961.25 s.
    // Four weeks hold 28 such rounds, which end at 2,406,915 s, and 12,285 s / 2,430 s = 5.06.
    assert_eq!((counts(&client), client.bare()), ((28 * 35 + 5, 1 + 28), Duration::ZERO));
}

#[test]
fn a_token_that_cannot_be_renewed_is_replaced_before_it_ends() {
    let mut server = Server::new(HOUR, None);
    server.renewable = false;
    let mut client = earliest(Origin::LoginOnce, server);
    client.run(secs(WEEK));
    // 604,800 s / 2,430 s = 248.9.
    assert_eq!((counts(&client), client.bare()), ((0, 1 + 248), Duration::ZERO));
}

#[test]
fn a_ttl_of_two_seconds_takes_at_most_46_logins_a_minute_and_no_renewal() {
    for spreads in [Spreads::Always(0.0), Spreads::Always(0.999), Spreads::Drawn(1), Spreads::Drawn(2)] {
        let mut server = Server::new(2, Some(6));
        server.way = Duration::from_millis(2);
        let mut client = Client::new(Origin::Login, server, spreads);
        client.run(secs(60));
        let (renewals, logins) = counts(&client);
        // 60 s / 1.5 s = 40 and 60 s / 1.35 s = 44.4, and the first.
        assert!(renewals == 0 && (40..=45).contains(&logins), "{renewals} {logins}");
        assert_eq!(client.bare(), Duration::ZERO);
    }
}

/// Returns how many requests meet an outage of half a minute.
fn met(client: &mut Client, fault: Fault, from: u64) -> usize {
    client.server.faults = vec![(secs(from)..secs(from + 30), fault)];
    client.run(secs(2 * HOUR));
    client.sent.iter().filter(|sent| (secs(from)..secs(from + 30)).contains(&sent.at)).count()
}

#[test]
fn a_server_that_is_away_for_half_a_minute_gets_at_most_twelve_requests() {
    for (ttl, from) in [(HOUR, 2690), (HOUR, 2400), (HOUR, 2430), (60, 30), (60, 40), (20, 5), (20, 13)] {
        for fault in [Fault::Away, Fault::Status(503), Fault::LoginStatus(500), Fault::RenewalStatus(500)] {
            for origin in [Origin::Login, Origin::LoginOnce, Origin::Browser, Origin::TokenFile, Origin::Token] {
                for spreads in (0..50).map(Spreads::Drawn).chain([Spreads::Always(0.0), Spreads::Always(0.999)]) {
                    let mut client = Client::new(origin, Server::new(ttl, None), spreads);
                    let count = met(&mut client, fault, from);
                    assert!(count <= 12, "{count} requests, {ttl} {from} {fault:?} {origin:?}");
                    assert!(ttl < HOUR || client.bare().is_zero(), "{from} {fault:?} {origin:?}");
                }
            }
        }
    }
}

#[test]
fn an_outage_is_met_by_logins_only_where_a_status_repeats() {
    use Act::{LogIn, Renew};
    let rows = [
        (Fault::Away, vec![(0, Renew), (5, Renew), (15, Renew)]),
        // The waits after the renewals are 5, 10 and 20 s, and so are those after the logins.
        (Fault::Status(503), vec![(0, Renew), (5, Renew), (5, LogIn), (10, LogIn), (15, Renew), (20, LogIn)]),
    ];
    for (fault, expected) in rows {
        let mut client = earliest(Origin::Login, Server::new(HOUR, None));
        assert_eq!(met(&mut client, fault, 2430), expected.len());
        let sent: Vec<_> = client.sent.iter().map(|sent| (sent.at, sent.act)).skip(1).take(expected.len()).collect();
        let expected: Vec<_> = expected.into_iter().map(|(after, act)| (secs(2430 + after), act)).collect();
        assert_eq!(sent, expected);
    }
}

#[test]
fn a_server_that_is_sealed_ten_minutes_a_day_costs_no_token() {
    for seed in 0..20 {
        let mut server = Server::new(HOUR, None);
        server.faults = (1..28).map(|day| (secs(day * DAY)..secs(day * DAY + 600), Fault::Status(503))).collect();
        let mut client = Client::new(Origin::Login, server, Spreads::Drawn(seed)).calling_every(secs(30));
        client.run(secs(4 * WEEK));
        let failed: Vec<Duration> = failed(&client.sent);
        // In ten minutes: a renewal and a login each 5, 10, 20, then 30 s at the most.
        assert!(most_within(secs(600), &failed) <= 2 * (3 + 20));
        assert_eq!(client.bare(), Duration::ZERO);
    }
}

/// Returns when requests failed.
fn failed(sent: &[Sent]) -> Vec<Duration> {
    sent.iter().filter(|sent| sent.lease.is_none()).map(|sent| sent.at).collect()
}

#[test]
fn a_server_that_forgets_its_tokens_costs_one_login_each_time() {
    let mut server = Server::new(HOUR, None);
    server.revocations = (1..10).map(|n| secs(n * 3 * DAY + 7)).collect();
    let mut client = earliest(Origin::Login, server).calling_every(secs(10));
    client.run(secs(4 * WEEK));
    assert_eq!(client.count(Act::LogIn), 1 + 9);
    // A call finds out after 3 s: calls are made at multiples of 10 s, revocations 7 s after one.
    assert_eq!((client.bare(), failed(&client.sent)), (9 * secs(3), vec![]));
}

#[test]
fn a_role_whose_tokens_are_never_accepted_gets_a_login_a_minute() {
    let mut server = Server::new(HOUR, None);
    server.faults = vec![(Duration::ZERO..Duration::MAX, Fault::UsesRefused)];
    let mut client = earliest(Origin::Login, server).calling_every(Duration::from_millis(100));
    client.run(secs(HOUR));
    // At 0, 0.1, 10.2, 30.3, 70.4, 130.5 s and then each 60.1 s: 3,469.5 s / 60.1 s = 57.7.
    assert_eq!(counts(&client), (0, 6 + 57));
}

#[test]
fn a_policy_without_renewals_costs_a_refusal_and_a_login_each_time() {
    let mut server = Server::new(HOUR, None);
    server.faults = vec![(Duration::ZERO..Duration::MAX, Fault::RenewalsRefused)];
    let mut client = earliest(Origin::Login, server);
    client.run(secs(DAY));
    // 86,400 s / 2,430 s = 35.6.
    assert_eq!((counts(&client), client.bare()), ((35, 1 + 35), Duration::ZERO));
}

#[test]
fn a_role_that_was_removed_gets_a_login_each_half_hour() {
    let mut server = Server::new(HOUR, Some(DAY));
    server.faults = vec![(secs(1)..Duration::MAX, Fault::LoginsRefused)];
    let mut client = earliest(Origin::Login, server).calling_every(secs(1));
    client.run(secs(2 * DAY));
    // Refused at 85,961.25 s, then 1, 3, 7, 15 and 31 min later, then each 30 min: 84,978.75 s / 1,800 s = 47.2.
    assert_eq!(client.count(Act::LogIn), 1 + 6 + 47);
    // The token lives to its end, as it is renewed meanwhile: 35 times, and then until nothing is left to gain.
    assert!(client.count(Act::Renew) <= 35 + 12, "{}", client.count(Act::Renew));
    assert_eq!(client.bare(), secs(DAY));
}

#[test]
fn a_secret_id_that_is_used_up_is_tried_once_and_the_token_lives_to_its_maximum() {
    let mut server = Server::new(60, Some(HOUR));
    server.faults = vec![(secs(1)..Duration::MAX, Fault::LoginsRefused)];
    let mut client = earliest(Origin::LoginOnce, server).calling_every(secs(1));
    client.run(secs(DAY));
    assert_eq!((client.times(Act::LogIn), client.bare()), (vec![0.0, 40.5], secs(DAY - HOUR)));
}

#[test]
fn a_token_handed_in_is_renewed_while_the_server_does_so() {
    let mut client = earliest(Origin::Token, Server::new(60, None));
    client.run(secs(WEEK));
    // 604,800 s / 40.5 s = 14,933.3.
    assert_eq!((counts(&client), client.bare()), ((14_933, 1), Duration::ZERO));
    let mut client = earliest(Origin::Token, Server::new(HOUR, Some(DAY))).calling_every(secs(1));
    client.run(secs(WEEK));
    assert!((35..=35 + 8).contains(&client.count(Act::Renew)));
    assert_eq!((client.count(Act::LogIn), client.bare()), (1, secs(WEEK - DAY)));
}

#[test]
fn a_suspended_client_logs_in_once_and_goes_on() {
    let mut client = earliest(Origin::Login, Server::new(HOUR, None));
    client.suspended = secs(10)..secs(5 * DAY);
    client.run(secs(5 * DAY + 2431));
    assert_eq!((client.times(Act::LogIn), client.times(Act::Renew)), (vec![0.0, 432_000.0], vec![434_430.0]));
}

#[test]
fn a_server_that_refuses_everything_gets_seven_requests_in_an_hour() {
    let mut plan = Plan::new(Rules::default(), Origin::Login);
    plan.obtained(Duration::ZERO, Lease::Renewable(secs(HOUR)), 0.0);
    let mut sent = Vec::new();
    while let Some(due) = plan.next(Duration::ZERO).filter(|due| due.at < secs(2430 + HOUR)) {
        assert!(sent.len() < 100, "a storm");
        sent.push((due.act, due.at.as_secs() - 2430));
        plan.failed(due.act, Failed::Refused, due.at, 0.0);
    }
    let logins = [0, 60, 180, 420, 900, 1860].map(|at| (Act::LogIn, at));
    assert_eq!((sent[0], &sent[1..]), ((Act::Renew, 0), &logins[..]));
}

#[test]
fn a_fleet_that_starts_together_spreads_over_a_tenth_of_the_threshold() {
    let clients = || (0..1000).map(|seed| Client::new(Origin::Login, Server::new(HOUR, None), Spreads::Drawn(seed)));
    let mut tenths = [0; 10];
    for client in clients() {
        let due = client.plan.next(Duration::ZERO).expect("a renewal").at.as_secs_f64();
        let tenth = (0..10).rfind(|n| 2430.0 + 27.0 * f64::from(*n) <= due).expect("not early");
        assert!(due < 2700.0);
        tenths[usize::try_from(tenth).expect("small")] += 1;
    }
    // Each tenth holds 100, and 40 more or less is four standard deviations.
    assert!(tenths.iter().all(|count| (60..=140).contains(count)), "{tenths:?}");
    // A month later nothing is left of the common start: 1,000 renewals in 2,565 s are 23 a minute.
    let mut late: Vec<Duration> = Vec::new();
    for mut client in clients() {
        client.run(secs(4 * WEEK));
        late.extend(client.sent.iter().map(|sent| sent.at).filter(|at| *at > secs(4 * WEEK - HOUR)));
    }
    late.sort();
    assert!(most_within(secs(60), &late) <= 2 * 24);
}
