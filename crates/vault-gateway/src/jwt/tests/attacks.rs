//! What is taken, and each way to be refused.

use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use serde_json::{Value, json};

use super::forge::{self, base64, changed, claims, jwk, sign, signed, token, token_of};
use crate::config::{Algorithm, Issuer};
use crate::jwt::{Rejected, Verifier};

const URL: &str = "https://idp.example";

/// Verifies with all keys; the key `rsa` is for RS256 alone, `rsa-any` for all of its kind.
async fn outcomes(issuer: impl FnOnce(Issuer) -> Issuer, tokens: &[String]) -> Vec<Result<Value, Rejected>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let small = json!({"n": base64([0x99; 128])});
    let keys = json!({"keys": [
        changed(jwk("rsa", "RS256"), &json!({"alg": "RS256"})), jwk("rsa-any", "RS256"),
        jwk("p256", "ES256"), jwk("p384", "ES384"), jwk("ed", "EdDSA"),
        jwk("twice", "RS256"), jwk("twice", "ES256"),
        changed(jwk("small", "RS256"), &small), changed(jwk("enc", "RS256"), &json!({"use": "enc"})),
        {"kid": "oct", "kty": "oct", "k": base64([7; 32])},
    ]});
    std::fs::write(&path, keys.to_string()).unwrap();
    let issuer = Arc::new(issuer(forge::issuer_of_file(URL, path)));
    let verifier = Verifier::new(&[issuer], Duration::ZERO, None, Arc::new(|_, _| ()));
    verifier.first_try().await;
    let mut outcomes = Vec::new();
    for token in tokens {
        let outcome = verifier.verify(token).await;
        outcomes.push(outcome.map(|caller| caller.claims.get("sub").cloned().unwrap_or_default()));
    }
    outcomes
}

/// The rows' tokens are refused for the reasons beside them.
async fn expect(rows: Vec<(&str, String, Rejected)>) {
    let tokens: Vec<_> = rows.iter().map(|(_, token, _)| token.clone()).collect();
    for (outcome, (name, _, expected)) in outcomes(|issuer| issuer, &tokens).await.into_iter().zip(rows) {
        assert_eq!(outcome, Err(expected), "{name}");
    }
}

/// A token that is good but for these members of its header.
fn with_header(changes: &Value) -> String {
    let header = changed(json!({"alg": "RS256", "typ": "JWT", "kid": "rsa"}), changes);
    token_of("RS256", &header.to_string(), &claims(URL, &json!({})).to_string())
}

/// A token that is good but for the text of its header.
fn with_header_text(header: &str) -> String {
    token_of("RS256", header, &claims(URL, &json!({})).to_string())
}

/// A token that is good but for these claims.
fn with_claims(changes: &Value) -> String {
    with_claims_text(&claims(URL, changes).to_string())
}

/// A token that is good but for the text of its claims.
fn with_claims_text(claims: &str) -> String {
    token_of("RS256", &json!({"alg": "RS256", "typ": "JWT", "kid": "rsa"}).to_string(), claims)
}

/// A token that is good but for its signature.
fn with_signature(alg: &str, kid: &str, signature: impl FnOnce(&str) -> Vec<u8>) -> String {
    let signed = signed(&json!({"alg": alg, "kid": kid}).to_string(), &claims(URL, &json!({})).to_string());
    format!("{signed}.{}", base64(signature(&signed)))
}

#[tokio::test]
async fn a_good_token_of_each_algorithm_is_taken() {
    let keys = [
        ("RS256", "rsa"),
        ("RS256", "rsa-any"),
        ("RS384", "rsa-any"),
        ("RS512", "rsa-any"),
        ("PS256", "rsa-any"),
        ("PS384", "rsa-any"),
        ("PS512", "rsa-any"),
        ("ES256", "p256"),
        ("ES384", "p384"),
        ("EdDSA", "ed"),
    ];
    let tokens = keys.map(|(alg, kid)| token(URL, alg, kid));
    for (outcome, key) in outcomes(|issuer| issuer, &tokens).await.into_iter().zip(keys) {
        assert_eq!(outcome, Ok(json!("ci")), "{key:?}");
    }
}

#[tokio::test]
async fn what_does_not_weaken_a_token_is_taken() {
    let deep = format!("{}1{}", "[".repeat(15), "]".repeat(15));
    let deep = claims(URL, &json!({"deep": serde_json::from_str::<Value>(&deep).unwrap()}));
    let good = with_claims(&json!({}));
    let full = claims(URL, &json!({"x": "x".repeat(11_000)}));
    let tokens = [
        // These name keys of the attacker, and nobody looks at them.
        with_header(&json!({"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u"})),
        with_header(&json!({"jwk": jwk("rsa", "ES256"), "x5c": ["evil"]})),
        with_header(&json!({"typ": null})),
        with_header(&json!({"typ": "AT+jwt"})),
        with_header(&json!({"typ": "Application/AT+JWT"})),
        with_claims(&json!({"nbf": null, "iat": null, "aud": "other-audience"})),
        with_claims_text(&deep.to_string()),
        with_claims_text(&full.to_string()),
        good,
    ];
    let outcomes = outcomes(|issuer| issuer, &tokens).await;
    assert_eq!(outcomes, vec![Ok(json!("ci")); tokens.len()]);
}

#[tokio::test]
async fn a_token_in_another_form_is_refused() {
    let good = with_claims(&json!({}));
    let [header, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    // The last of 342 characters holds two bits of the signature and four that must be zero.
    let stem = &signature[..signature.len() - 1];
    let last = signature.chars().last().unwrap();
    let other = char::from(u8::try_from(last).unwrap() + 1);
    let malformed = Rejected::Malformed;
    expect(vec![
        ("nothing", String::new(), malformed),
        ("a word", "token".into(), malformed),
        ("two parts", format!("{header}.{body}"), malformed),
        ("four parts", format!("{good}.{signature}"), malformed),
        ("five parts, as encrypted tokens have", format!("{header}.{body}.{body}.{body}.{signature}"), malformed),
        ("no header", format!(".{body}.{signature}"), Rejected::Header),
        ("no claims", format!("{header}..{signature}"), Rejected::Claims),
        ("padding", format!("{good}=="), malformed),
        ("a space before", format!(" {good}"), malformed),
        ("a space after", format!("{good} "), malformed),
        ("a line break after", format!("{good}\n"), malformed),
        ("a line break within", format!("{header}.{}\n{}.{signature}", &body[..4], &body[4..]), malformed),
        ("the other alphabet", format!("{header}.{body}.{stem}+"), malformed),
        ("a slash", format!("{header}.{body}.{stem}/"), malformed),
        ("bits after the last byte", format!("{header}.{body}.{stem}{other}"), malformed),
        ("not ASCII", format!("{header}.{body}.{stem}ä"), malformed),
        ("16 KiB and a byte", "a".repeat((16 << 10) + 1), Rejected::TooLarge),
        ("16 KiB", "a".repeat(16 << 10), malformed),
    ])
    .await;
}

#[tokio::test]
async fn a_header_that_asks_for_something_else_is_refused() {
    let kid = |kid: &Value| with_header(&json!({"kid": kid}));
    expect(vec![
        ("no JSON", with_header_text("alg"), Rejected::Header),
        ("an array", with_header_text("[]"), Rejected::Header),
        ("alg twice", with_header_text(r#"{"alg":"RS256","alg":"RS256","kid":"rsa"}"#), Rejected::Header),
        (
            "alg twice, once escaped",
            with_header_text(r#"{"alg":"RS256","\u0061lg":"none","kid":"rsa"}"#),
            Rejected::Header,
        ),
        ("kid twice", with_header_text(r#"{"alg":"RS256","kid":"rsa","kid":"ed"}"#), Rejected::Header),
        ("text after it", with_header_text(r#"{"alg":"RS256","kid":"rsa"}x"#), Rejected::Header),
        ("an unknown crit", with_header(&json!({"crit": ["x"], "x": 1})), Rejected::Header),
        ("an empty crit", with_header(&json!({"crit": []})), Rejected::Header),
        ("crit null", with_header_text(r#"{"alg":"RS256","kid":"rsa","crit":null}"#), Rejected::Header),
        ("b64 false", with_header(&json!({"b64": false})), Rejected::Header),
        ("b64 false in crit", with_header(&json!({"b64": false, "crit": ["b64"]})), Rejected::Header),
        ("b64 true", with_header(&json!({"b64": true})), Rejected::Header),
        ("no alg", with_header(&json!({"alg": null})), Rejected::Header),
        ("alg a list", with_header(&json!({"alg": ["RS256"]})), Rejected::Header),
        ("typ of others", with_header(&json!({"typ": "dpop+jwt"})), Rejected::Type),
        ("typ empty", with_header(&json!({"typ": ""})), Rejected::Type),
        ("typ a bare prefix", with_header(&json!({"typ": "application/"})), Rejected::Type),
        ("typ a list", with_header(&json!({"typ": ["JWT"]})), Rejected::Type),
        ("typ with a space", with_header(&json!({"typ": "JWT "})), Rejected::Type),
        ("kid missing", with_header(&json!({"kid": null})), Rejected::Key),
        ("kid null", with_header_text(r#"{"alg":"RS256","kid":null}"#), Rejected::Header),
        ("kid a list", kid(&json!(["rsa"])), Rejected::Header),
        ("kid a number", kid(&json!(1)), Rejected::Header),
        ("kid empty", kid(&json!("")), Rejected::Key),
        ("kid unknown", kid(&json!("unknown")), Rejected::Key),
        ("kid in other case", kid(&json!("RSA")), Rejected::Key),
        ("kid a path", kid(&json!("../../dev/null")), Rejected::Key),
        ("kid with SQL", kid(&json!("' UNION SELECT 'key")), Rejected::Key),
        ("kid of two keys", kid(&json!("twice")), Rejected::Key),
        ("kid of a key of 1,024 bits", kid(&json!("small")), Rejected::Key),
        ("kid of a key for encryption", kid(&json!("enc")), Rejected::Key),
        ("kid of a symmetric key", kid(&json!("oct")), Rejected::Key),
    ])
    .await;
}

/// HS256 with a public key as its secret, as whoever takes the algorithm from the token would check it.
fn confused(secret: &[u8]) -> String {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    with_signature("HS256", "rsa", |signed| hmac::sign(&secret, signed.as_bytes()).as_ref().to_vec())
}

#[tokio::test]
async fn a_signature_in_another_way_is_refused() {
    let alg = Rejected::Algorithm;
    let wrong = Rejected::Signature;
    let public = forge::KEYS.rsa.public().as_ref().to_vec();
    let good = token(URL, "RS256", "rsa");
    let stripped = good.rsplit_once('.').unwrap().0;
    expect(vec![
        ("none", with_signature("none", "rsa", |_| vec![]), alg),
        ("None", with_signature("None", "rsa", |_| vec![]), alg),
        ("rs256", with_signature("rs256", "rsa", |signed| sign("RS256", signed)), alg),
        ("HS256 with the public key", confused(&public), alg),
        ("HS256 with the JWK", confused(jwk("rsa", "RS256").to_string().as_bytes()), alg),
        ("HS256 with nothing", confused(&[]), alg),
        ("PS256 on a key for RS256", token(URL, "PS256", "rsa"), alg),
        ("RS512 on a key for RS256", token(URL, "RS512", "rsa"), alg),
        ("ES256 on an RSA key", token(URL, "ES256", "rsa-any"), alg),
        ("ES384 on a key of P-256", token(URL, "ES384", "p256"), alg),
        ("EdDSA on a key of P-256", token(URL, "EdDSA", "p256"), alg),
        ("RS256 on a key of P-256", token(URL, "RS256", "p256"), alg),
        ("ES512", with_signature("ES512", "p256", |signed| sign("ES256", signed)), alg),
        ("no signature", format!("{stripped}."), wrong),
        ("that of other claims", with_signature("RS256", "rsa", |_| sign("RS256", "x")), wrong),
        ("PS256 called RS256", with_signature("RS256", "rsa", |signed| sign("PS256", signed)), wrong),
        ("RS384 called RS256", with_signature("RS256", "rsa", |signed| sign("RS384", signed)), wrong),
        ("RSA of zeros", with_signature("RS256", "rsa", |_| vec![0; 256]), wrong),
        ("RSA, a byte less", with_signature("RS256", "rsa", |signed| sign("RS256", signed)[1..].to_vec()), wrong),
        ("ES256 with r and s zero", with_signature("ES256", "p256", |_| vec![0; 64]), wrong),
        ("ES256 in DER", with_signature("ES256", "p256", |signed| sign("der", signed)), wrong),
        ("ES256, empty", with_signature("ES256", "p256", |_| vec![]), wrong),
        ("EdDSA of 63 bytes", with_signature("EdDSA", "ed", |signed| sign("EdDSA", signed)[..63].to_vec()), wrong),
        ("EdDSA of 65 bytes", with_signature("EdDSA", "ed", |signed| [sign("EdDSA", signed), vec![0]].concat()), wrong),
        ("EdDSA of zeros", with_signature("EdDSA", "ed", |_| vec![0; 64]), wrong),
    ])
    .await;
}

#[tokio::test]
async fn a_token_of_an_algorithm_that_is_not_in_the_list_is_refused() {
    let only = |issuer| Issuer { algorithms: vec![Algorithm::ES256], typ: vec!["at+jwt".into()], ..issuer };
    let tokens = [
        token_of("ES256", r#"{"alg":"ES256","kid":"p256","typ":"at+jwt"}"#, &claims(URL, &json!({})).to_string()),
        token_of("RS256", r#"{"alg":"RS256","kid":"rsa","typ":"at+jwt"}"#, &claims(URL, &json!({})).to_string()),
        token_of("ES256", r#"{"alg":"ES256","kid":"p256"}"#, &claims(URL, &json!({})).to_string()),
        token_of("ES256", r#"{"alg":"ES256","kid":"p256","typ":"JWT"}"#, &claims(URL, &json!({})).to_string()),
    ];
    let expected = [Ok(json!("ci")), Err(Rejected::Algorithm), Err(Rejected::Type), Err(Rejected::Type)];
    assert_eq!(outcomes(only, &tokens).await, expected);
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused() {
    let now = forge::now();
    let deep = |levels: usize| format!(r#"{{"iss":"{URL}","a":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let good = claims(URL, &json!({})).to_string();
    let twice = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
    expect(vec![
        ("iss of others", with_claims(&json!({"iss": "https://evil.example"})), Rejected::Issuer),
        ("iss with a slash", with_claims(&json!({"iss": format!("{URL}/")})), Rejected::Issuer),
        ("iss in other case", with_claims(&json!({"iss": "https://IDP.example"})), Rejected::Issuer),
        ("iss a list", with_claims(&json!({"iss": [URL]})), Rejected::Issuer),
        ("iss missing", with_claims(&json!({"iss": null})), Rejected::Issuer),
        ("iss twice", with_claims_text(&twice(r#""iss":"https://evil.example""#)), Rejected::Claims),
        ("sub twice", with_claims_text(&twice(r#""sub":"root""#)), Rejected::Claims),
        ("a member twice, deep", with_claims_text(&twice(r#""x":{"y":[{"z":1,"z":2}]}"#)), Rejected::Claims),
        ("nested 17 deep", with_claims_text(&deep(16)), Rejected::Claims),
        ("nested 4,000 deep", with_claims_text(&deep(4000)), Rejected::Claims),
        ("no JSON", with_claims_text("claims"), Rejected::Claims),
        ("a string", with_claims_text("\"claims\""), Rejected::Claims),
        ("a lone surrogate", with_claims_text(&twice(r#""x":"\ud800""#)), Rejected::Claims),
        ("exp missing", with_claims(&json!({"exp": null})), Rejected::Claims),
        ("exp a string", with_claims(&json!({"exp": (now + 300).to_string()})), Rejected::Claims),
        ("exp negative", with_claims(&json!({"exp": -1})), Rejected::Claims),
        ("exp 2^53", with_claims(&json!({"exp": 1_u64 << 53})), Rejected::Claims),
        ("exp enormous", with_claims_text(&good.replace(r#""exp":"#, r#""exp":1e999,"x":"#)), Rejected::Claims),
        ("exp over", with_claims(&json!({"exp": now - 61})), Rejected::Expired),
        ("nbf in the future", with_claims(&json!({"nbf": now + 120})), Rejected::NotYet),
        ("nbf a string", with_claims(&json!({"nbf": "0"})), Rejected::Claims),
        ("iat in the future", with_claims(&json!({"iat": now + 120})), Rejected::NotYet),
        ("aud of others", with_claims(&json!({"aud": "other"})), Rejected::Audience),
        ("aud missing", with_claims(&json!({"aud": null})), Rejected::Audience),
        ("aud a number", with_claims(&json!({"aud": 1})), Rejected::Audience),
        ("aud with a number", with_claims(&json!({"aud": ["vault-gateway", 1]})), Rejected::Audience),
        ("aud an object", with_claims(&json!({"aud": {"vault-gateway": 1}})), Rejected::Audience),
        ("sub missing", with_claims(&json!({"sub": null})), Rejected::Claims),
        ("sub empty", with_claims(&json!({"sub": ""})), Rejected::Claims),
        ("sub of 256", with_claims(&json!({"sub": "s".repeat(256)})), Rejected::Claims),
        ("sub with a line break", with_claims(&json!({"sub": "a\nb"})), Rejected::Claims),
        ("sub a list", with_claims(&json!({"sub": ["ci"]})), Rejected::Claims),
    ])
    .await;
}
