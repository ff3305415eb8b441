//! What each refusal of a login comes to, method by method. The texts are those of OpenBao 2.7.2 unless another server is
//! named.

use super::*;
use AuthMethod::{AppRole, Cert, Jwt, Kubernetes, Oidc};
use ErrorKind::{Denied, NotReady, Rejected};

const BARE: &str = "permission denied";
const NO_ROLE: &str = "missing role";
const NO_ROLE_ID: &str = "missing role_id";
const NO_CERTIFICATE: &str = "no client certificate found";
const UNCONFIGURED: &str = "could not load configuration";
const OIDC_ROLE: &str = "role with oidc role_type is not allowed";
const BAD_SECRET_ID: &str = "invalid role or secret ID";
const BAD_CERTIFICATE: &str = "invalid certificate or no client certificate supplied";
const UNVERIFIED: &str = "error validating token: error verifying token signature: ";

/// What a refusal of `method` with this status and text comes to.
fn refusal(method: AuthMethod, status: u16, text: &str) -> (Why, ErrorKind, Retry) {
    let step = Step::Login { method, mount: "m".into(), role: None };
    let body = serde_json::json!({"errors": [text]}).to_string();
    let fault = judged(&step, &answer(status, &body));
    let What::Answered(answered) = &fault.what else { panic!("{method:?} {status} {text}: {fault}") };
    (answered.why, fault.kind(), fault.retry)
}

/// Each of `rows` is a status, a text and what it comes to; all are final.
fn table(method: AuthMethod, rows: &[(u16, &str, Why, ErrorKind)]) {
    for (status, text, why, kind) in rows {
        let expected = (*why, *kind, Retry::Never);
        assert_eq!(refusal(method, *status, text), expected, "{method:?} {status} {text}");
    }
}

#[test]
fn a_mount_of_another_method_is_told_as_that() {
    let other = |method, texts: &[(u16, &str)]| {
        for (status, text) in texts {
            let expected = (Why::OtherMethod, Rejected, Retry::Never);
            assert_eq!(refusal(method, *status, text), expected, "{method:?} {status} {text}");
        }
    };
    let unverified = format!("{UNVERIFIED}failed to verify id token signature");
    other(Kubernetes, &[(500, NO_ROLE_ID), (400, NO_CERTIFICATE), (400, UNCONFIGURED), (400, OIDC_ROLE)]);
    other(
        AppRole,
        &[(400, NO_ROLE), (400, OIDC_ROLE), (400, NO_CERTIFICATE), (400, UNCONFIGURED), (400, "missing token")],
    );
    let claims =
        "decoding failed due to the following error(s):\n\n'aud' source data must be an array or slice, got string";
    other(
        Jwt,
        &[
            (500, NO_ROLE_ID),
            (400, NO_CERTIFICATE),
            // Of a mount of type kubernetes.
            (500, claims),
            (403, "service account name not authorized"),
            (400, "invalid role name \"r\""),
        ],
    );
    other(Cert, &[(500, NO_ROLE_ID), (400, NO_ROLE), (400, OIDC_ROLE), (400, UNCONFIGURED), (400, "missing token")]);
    for method in [Kubernetes, AppRole, Jwt, Cert] {
        other(method, &[(404, "1 error occurred:\n\t* unsupported path\n\n"), (405, "unsupported operation")]);
    }
    // A mount of type jwt cannot be told from one that does not trust the service account's issuer.
    table(Kubernetes, &[(400, &unverified, Why::Refused, Rejected)]);
}

#[test]
fn a_mount_that_says_nothing_and_a_namespace_that_is_not_there_are_alike_in_each_method() {
    for method in [AppRole, Jwt, Cert] {
        table(
            method,
            &[
                (403, BARE, Why::Unexplained, Denied),
                (404, "namespace not found", Why::NoNamespace, Rejected),
                (404, "no handler for route \"auth/m/login\". route entry not found.", Why::Refused, Rejected),
            ],
        );
    }
    assert_eq!(refusal(Kubernetes, 403, BARE), (Why::Unexplained, Denied, Retry::Again));
}

#[test]
fn an_approle_is_refused_for_its_ids_and_never_asked_twice() {
    let cidr = "source address \"127.0.0.1\" unauthorized by CIDR restrictions on the role: %!w(<nil>)";
    table(
        AppRole,
        &[
            (400, BAD_SECRET_ID, Why::Denied, Denied),
            (400, "missing secret_id", Why::NoSecretId, Denied),
            (500, NO_ROLE_ID, Why::Refused, Rejected),
            (400, NO_ROLE_ID, Why::Refused, Rejected),
            (400, cidr, Why::OtherAddress, Denied),
            (
                400,
                "source address \"127.0.0.1\" unauthorized through CIDR restrictions on the secret ID",
                Why::OtherAddress,
                Denied,
            ),
            // Locked.
            (403, BARE, Why::Unexplained, Denied),
            // HashiCorp Vault before it said the same of both.
            (400, "invalid role ID", Why::Denied, Denied),
            (400, "invalid secret id", Why::Denied, Denied),
            (400, "failed to validate credentials: invalid secret_id \"x\"", Why::Denied, Denied),
        ],
    );
}

#[test]
fn a_jwt_is_refused_for_what_it_claims_and_for_its_signature() {
    let not_validated = |text: &str| format!("error validating token: {text}");
    for text in [
        not_validated("invalid audience (aud) claim: audience claim does not match any expected audience"),
        not_validated("invalid expiration time (exp) claim: token is expired"),
        not_validated("invalid not before (nbf) claim: token not yet valid"),
        not_validated("no issued at (iat), not before (nbf), or expiration time (exp) claims in token"),
        not_validated("invalid subject (sub) claim"),
        not_validated("invalid issuer (iss) claim"),
        format!("{UNVERIFIED}failed to verify id token signature"),
        format!("{UNVERIFIED}no known key successfully validated the token signature"),
        format!("{UNVERIFIED}oidc: malformed jwt: illegal base64 data at input byte 0"),
        "audience claim found in JWT but no audiences bound to the role".to_owned(),
        "error validating claims: claim \"ref\" does not match any associated bound claim values".to_owned(),
        "error validating claims: claim \"ref\" is missing".to_owned(),
        "claim \"email\" not found in token".to_owned(),
    ] {
        table(Jwt, &[(400, &text, Why::Denied, Denied)]);
    }
    table(
        Jwt,
        &[
            (400, "role \"none\" could not be found", Why::Refused, Rejected),
            (400, NO_ROLE, Why::Refused, Rejected),
            (400, OIDC_ROLE, Why::Refused, Rejected),
            (400, UNCONFIGURED, Why::Unconfigured, Rejected),
            // HashiCorp Vault.
            (500, UNCONFIGURED, Why::Unconfigured, Rejected),
        ],
    );
}

#[test]
fn an_issuer_whose_keys_do_not_come_is_tried_again() {
    let connect = "dial tcp 127.0.0.1:57489: connect: connection refused";
    for text in [
        format!("{UNVERIFIED}fetching keys oidc: get keys failed: 503 Service Unavailable "),
        format!("{UNVERIFIED}fetching keys oidc: get keys failed Get \"http://127.0.0.1:57489/jwks\": {connect}"),
        format!(
            "{UNVERIFIED}fetching keys oidc: failed to decode keys: got Content-Type = application/json, but no JSON"
        ),
        format!(
            "error configuring token validator: keyset configuration error: Get \"http://127.0.0.1:57489/\": {connect}"
        ),
    ] {
        assert_eq!(refusal(Jwt, 400, &text), (Why::NoKeys, NotReady, Retry::Soon), "{text}");
    }
}

#[test]
fn a_persons_login_without_a_provider_is_told_from_one_whose_provider_fails() {
    table(
        Oidc,
        &[
            (400, "OIDC login is not configured for this mount", Why::Unconfigured, Rejected),
            (400, UNCONFIGURED, Why::Unconfigured, Rejected),
        ],
    );
    for text in [
        "error authorizing device: 500 Internal Server Error: ",
        "error decoding issuer response to device auth: unexpected end of JSON input; response: ",
        "error polling for device authorization: 500 Internal Server Error: ",
    ] {
        assert_eq!(refusal(Oidc, 500, text), (Why::NoProvider, NotReady, Retry::Soon), "{text}");
        assert_eq!(refusal(Jwt, 500, text), (Why::NotReady, NotReady, Retry::Soon), "{text}");
    }
}

#[test]
fn a_certificate_is_refused_whatever_the_status() {
    let expired = "failed to verify client's certificate: x509: certificate has expired or is not yet valid: current time \
                   2026-11-30T12:58:03Z is after 2020-12-31T00:00:00Z";
    let misused = "failed to verify client's certificate: x509: certificate specifies an incompatible key usage";
    table(
        Cert,
        &[
            (400, BAD_CERTIFICATE, Why::Denied, Denied),
            (500, misused, Why::Denied, Denied),
            (500, expired, Why::Denied, Denied),
            (400, "no chain matching all constraints could be found for this login certificate", Why::Denied, Denied),
            (400, NO_CERTIFICATE, Why::NoCertificate, Denied),
            // HashiCorp Vault.
            (400, "client certificate must be supplied", Why::NoCertificate, Denied),
            (400, "tls connection required", Why::NoCertificate, Denied),
        ],
    );
    assert_eq!(refusal(AppRole, 500, misused), (Why::NotReady, NotReady, Retry::Soon));
}

#[test]
fn a_service_account_is_refused_as_before() {
    let claims =
        "decoding failed due to the following error(s):\n\n'aud' source data must be an array or slice, got string";
    table(
        Kubernetes,
        &[
            (400, "invalid role name \"r\"", Why::Refused, Rejected),
            (400, NO_ROLE, Why::Refused, Rejected),
            (400, "missing jwt", Why::Refused, Rejected),
            (400, "role \"r\" could not be found", Why::Refused, Rejected),
            (403, "service account name not authorized", Why::Denied, Denied),
            (500, claims, Why::NoServiceAccount, Denied),
            (500, "could not parse UID from claims", Why::NoServiceAccount, Denied),
        ],
    );
}

#[test]
fn a_wrapping_token_is_spent_or_cannot_be_looked_up() {
    let text = |step: &Step, status, text: &str| {
        let body = serde_json::json!({"errors": [text]}).to_string();
        judged(step, &answer(status, &body))
    };
    for step in [Step::Wrapping, Step::Unwrap] {
        let spent = text(&step, 400, "wrapping token is not valid or does not exist");
        assert_eq!((&spent.what, spent.kind(), spent.retry), (&What::SpentWrapping, Denied, Retry::Never));
        for (status, said, kind) in [
            (403, BARE, Denied),
            (403, "error validating wrapping token: token is empty", Denied),
            (404, "namespace not found", Rejected),
            (500, "internal error", NotReady),
        ] {
            assert_eq!(text(&step, status, said).kind(), kind, "{step:?} {status} {said}");
        }
    }
}
