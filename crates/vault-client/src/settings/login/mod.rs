//! Which way to log in: the one named, or the first that there is something for; and what each of them needs.

mod approle;
mod cert;
mod handed_in;
mod jwt;
mod kubernetes;
mod mount;
mod oidc;
mod token;

use super::reader::Reader;
use super::{setting, value};
use crate::fault::FaultKind;
use crate::login::{Login, NoLogin, Oidc};
use crate::step::AuthMethod;
use crate::text;
use approle::Ids;
use jwt::GivenJwt;
use kubernetes::Pod;
use mount::Mounts;
use oidc::Person;
use token::Tokens;

/// `VAULT_AUTH_METHOD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The first that there is something for.
    Auto,
    /// A token that is handed in.
    Token,
    /// A login by this method.
    By(AuthMethod),
    /// No token at all.
    NoLogin,
}

impl Way {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const METHODS: [AuthMethod; 5] =
            [AuthMethod::Kubernetes, AuthMethod::AppRole, AuthMethod::Jwt, AuthMethod::Cert, AuthMethod::Oidc];
        match text {
            "auto" => Ok(Self::Auto),
            "token" => Ok(Self::Token),
            "none" => Ok(Self::NoLogin),
            _ => METHODS.into_iter().find(|method| method.name() == text).map(Self::By).ok_or(
                "unknown; write token, kubernetes, approle, jwt, cert, oidc, none or auto; a mount goes into \
                 VAULT_AUTH_MOUNT",
            ),
        }
    }
}

/// What a login is read beside.
pub(super) struct Beside {
    /// Whether the connection is in TLS; `None` where the address cannot be used.
    pub https: Option<bool>,
    /// Whether it shows a client certificate.
    pub has_identity: bool,
}

/// The login that the settings name or find. Returns `None` only if a fault was recorded.
pub(super) fn read(reader: &mut Reader, beside: &Beside, warnings: &mut Vec<String>) -> Option<Box<dyn Login>> {
    // The syntax of each is judged whether it is used or not.
    let unwrap = reader.value(&setting::UNWRAP, value::boolean);
    let revoke = reader.value(&setting::REVOKE, value::boolean);
    let (token, ids, jwt) = (Tokens::read(reader), Ids::read(reader), GivenJwt::read(reader, unwrap));
    let (pod, person) = (Pod::read(reader), Person::read(reader));
    let mut mounts = Mounts::read(reader);
    let asked_for = reader.try_parse(&setting::AUTH_METHOD, Way::parse).ok()?.unwrap_or(Way::Auto);
    let Some(way) = found(asked_for, (&token, &ids, &jwt, &pod, &person), reader) else {
        let credentials = [&setting::TOKEN, &setting::APPROLE_ROLE_ID, &setting::APPROLE_SECRET_ID, &setting::JWT];
        // One that is there and cannot be used is the fault.
        if !credentials.into_iter().any(|credential| reader.is_faulty(credential)) {
            reader.record(FaultKind::NotDetected, setting::AUTH_METHOD.name.into(), None, no_way(&pod));
        }
        return None;
    };
    // Where it is the id of an AppRole, it is no role's name.
    let role = if way == Way::By(AuthMethod::AppRole) { None } else { reader.parse(&setting::ROLE, value::role) };
    let has_unwrappable = match way {
        Way::Token | Way::By(AuthMethod::Jwt) => true,
        Way::By(AuthMethod::AppRole) => {
            if unwrap && !ids.has_secret_id() {
                let remedy = "VAULT_UNWRAP is true: set it to the wrapping token, or VAULT_APPROLE_SECRET_ID_FILE";
                reader.demand(&setting::APPROLE_SECRET_ID, remedy);
            }
            true
        }
        _ => false,
    };
    if unwrap && !has_unwrappable {
        let cause = format!("true, and the login {} has nothing that comes wrapped; unset it", name(way));
        reader.fault(setting::UNWRAP.name, None, cause);
    }
    if way == Way::NoLogin && token.is_configured() {
        warnings.push("VAULT_TOKEN has no effect: VAULT_AUTH_METHOD is none, and no token is sent".into());
    }
    let mut mount = |method| mounts.of(method, reader, warnings);
    match way {
        Way::Token | Way::Auto => token.login(reader, unwrap, revoke),
        Way::NoLogin => Some(Box::new(NoLogin)),
        Way::By(method) => {
            let mount = mount(method);
            match method {
                AuthMethod::AppRole => ids.login(reader, mount, unwrap, revoke),
                AuthMethod::Jwt => jwt.login(reader, (mount, role), unwrap, revoke),
                AuthMethod::Cert => cert::login(reader, beside, (mount, role), revoke),
                AuthMethod::Kubernetes => pod.login(reader, (mount, role), revoke),
                AuthMethod::Oidc => Some(Box::new(person.oidc((mount, role), asked_for == way, revoke))),
            }
        }
    }
}

/// The login of a person as the settings have it, whatever login they name.
pub fn oidc(reader: &mut Reader, warnings: &mut Vec<String>) -> Oidc {
    let role = reader.parse(&setting::ROLE, value::role);
    let revoke = reader.value(&setting::REVOKE, value::boolean);
    let mount = Mounts::read(reader).of(AuthMethod::Oidc, reader, warnings);
    Person::read(reader).oidc((mount, role), true, revoke)
}

/// The way itself, or the first that there is something for; `None` where there is nothing for any.
fn found(
    way: Way,
    (token, ids, jwt, pod, person): (&Tokens, &Ids, &GivenJwt, &Pod, &Person),
    reader: &mut Reader,
) -> Option<Way> {
    if way != Way::Auto {
        return Some(way);
    }
    let (approle, jwt_login) = (Way::By(AuthMethod::AppRole), Way::By(AuthMethod::Jwt));
    let kubernetes = Way::By(AuthMethod::Kubernetes);
    let mut ways = [
        (token.is_configured(), Way::Token),
        (ids.is_named(), approle),
        (jwt.is_configured(), jwt_login),
        (pod.is_this(reader), kubernetes),
        (ids.is_paired() && !names_role(reader), approle),
        (token.is_at_home(), Way::Token),
        (person.is_there(), Way::By(AuthMethod::Oidc)),
    ]
    .into_iter();
    ways.find(|way| way.0).map(|way| way.1)
}

/// Whether `VAULT_ROLE` names a role, and not its alias.
fn names_role(reader: &mut Reader) -> bool {
    reader.find(&setting::ROLE).is_some_and(|found| found.name == setting::ROLE.name)
}

fn name(way: Way) -> &'static str {
    match way {
        Way::Auto | Way::Token => "token",
        Way::By(method) => method.name(),
        Way::NoLogin => "none",
    }
}

/// Every way to log in, where there is something for none.
fn no_way(pod: &Pod) -> String {
    format!(
        "no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or VAULT_APPROLE_ROLE_ID, or VAULT_JWT or VAULT_JWT_FILE, \
         or run in a pod with a service-account token at {}, or log in with the official client ($HOME/.vault-token), or \
         start it at a terminal (oidc), or set VAULT_AUTH_METHOD to cert, oidc or none",
        text::os(pod.jwt())
    )
}
