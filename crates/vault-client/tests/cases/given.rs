//! Tokens that were handed in: whether one that is denied is dead.

use serde_json::json;
use vault_client::fault::Why;
use vault_client::{ErrorKind, Limits, VaultClient, What};
use vault_testkit::raw::{Gate, LOOK_UP, READ, Raw, Reply};

/// What a token that is denied is.
#[derive(Clone, Copy)]
enum Token {
    Alive,
    Dead,
}

/// What a server answers of a token that it does not know, and of one whose policies do not allow it.
fn said_of(token: Token) -> Reply {
    let said = match token {
        Token::Dead => "permission denied",
        Token::Alive => "1 error occurred:\n\t* permission denied\n\n",
    };
    Reply::json(403, &json!({"errors": [said]}))
}

#[test]
fn a_dead_token_that_was_handed_in_is_told_with_the_first_denial() {
    let folder = vault_testkit::scratch("dead-token");
    let (file, alive) = (folder.join("token"), json!({"data": {"ttl": 3600, "renewable": false, "policies": ["p"]}}));
    std::fs::write(&file, "hvs.handed-in").unwrap();
    let why = |client: &VaultClient, path: &str| match &client.kv_read("kv", path).unwrap_err().fault().what {
        What::Answered(answered) => Some(answered.why),
        What::DeadAgain => None,
        other => panic!("{other}"),
    };
    for from_file in [true, false] {
        let raw =
            Raw::start([("kv/data/denied", vec![said_of(Token::Alive)]), (LOOK_UP, vec![Reply::json(200, &alive)])]);
        let builder = VaultClient::builder().address(&raw.addr()).limits(Limits::default()).ignore_environment();
        let client = if from_file { builder.token_file(&file) } else { builder.token("hvs.handed-in") };
        let client = client.build().unwrap();
        assert_eq!(why(&client, "denied"), Some(Why::Denied));
        for path in [READ, LOOK_UP] {
            raw.script(path, vec![said_of(Token::Dead)]);
        }
        assert_eq!(why(&client, "shop/app"), Some(Why::DeadToken), "{:?}", raw.requests());
        // The file is not read for each request.
        assert_eq!(why(&client, "shop/app"), Some(Why::DeadToken).filter(|_| !from_file));
        assert_eq!(client.look_up().unwrap_err().kind(), ErrorKind::Denied);
    }
}

#[test]
fn a_token_that_may_not_look_itself_up_lives() {
    let folder = vault_testkit::scratch("no-look-up");
    let file = folder.join("token");
    std::fs::write(&file, "hvs.handed-in").unwrap();
    let raw = Raw::start([("kv/data/denied", vec![said_of(Token::Alive)]), (LOOK_UP, vec![said_of(Token::Alive)])]);
    let builder = VaultClient::builder().address(&raw.addr()).limits(Limits::default()).ignore_environment();
    let client = builder.token_file(&file).build().unwrap();
    for told in [client.token(), client.look_up()] {
        assert!(told.is_ok_and(|token| token.is_static() && token.policies.is_empty()));
    }
    for _ in 0..3 {
        assert_eq!(client.kv_read("kv", "denied").unwrap_err().kind(), ErrorKind::Denied);
        assert!(client.kv_read("kv", "shop/app").is_ok());
    }
}

#[test]
fn denials_that_come_together_share_their_look_ups() {
    let gate = Gate::default();
    let raw = Raw::start([("kv/data/denied", vec![said_of(Token::Alive)]), (LOOK_UP, vec![said_of(Token::Alive)])]);
    let client = VaultClient::builder().address(&raw.addr()).token("hvs.handed-in").limits(Limits::default()).lanes(20);
    let client = client.ignore_environment().build().unwrap();
    client.token().unwrap();
    raw.script(LOOK_UP, vec![said_of(Token::Alive).held(&gate)]);
    let count = |what: &str| raw.requests().iter().filter(|it| it.contains(what)).count();
    let before = count(LOOK_UP);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(client.kv_read("kv", "denied").unwrap_err().kind(), ErrorKind::Denied));
        }
        vault_testkit::eventually("all are denied", || count("kv/data/denied") == 20);
        gate.open();
    });
    // The first began before some of the requests were sent, and the second after all.
    assert!((1..=2).contains(&(count(LOOK_UP) - before)), "{:?}", raw.requests());
}
