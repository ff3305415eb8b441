//! The headers of a login that is sent along with another request.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ureq::http;
use ureq::http::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::text::Scrubber;

/// The longest value of a header that is sent: that of a JWT of 64 KiB, which no file is larger than.
pub(super) const LONGEST: usize = 88 << 10;

/// A login that is sent along with a request, in headers.
/// [Inline authentication](https://openbao.org/docs/concepts/inline-auth/)
pub struct InlineLogin {
    path: String,
    namespace: Option<String>,
    /// Each member of the login's request, as it is encoded.
    parameters: Vec<Zeroizing<String>>,
}

impl InlineLogin {
    /// The login at `path`, in `namespace` where that is not the request's, with `members`.
    pub fn new<'m>(
        path: String,
        namespace: Option<&str>,
        members: impl Iterator<Item = (&'static str, &'m Secret)>,
    ) -> Self {
        Self { path, namespace: namespace.map(str::to_owned), parameters: members.map(parameter).collect() }
    }

    /// Whether each of `members` fits into a header.
    pub fn fits<'m>(mut members: impl Iterator<Item = (&'static str, &'m Secret)>) -> bool {
        members.all(|member| parameter(member).len() <= LONGEST)
    }

    /// Strikes the parameters out of what the server says, as they are encoded.
    pub fn teach(&self, scrubber: &Scrubber) {
        self.parameters.iter().for_each(|parameter| scrubber.learn(parameter));
    }

    /// The headers.
    pub(super) fn fields(&self) -> Result<Vec<(HeaderName, HeaderValue)>, http::Error> {
        let (path, namespace) = (Some(self.path.as_str()), self.namespace.as_deref());
        let named = [("x-vault-inline-auth-path", path), ("x-vault-inline-auth-namespace", namespace)];
        let named = named.into_iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), value?)));
        let mut fields = Vec::new();
        for (name, value) in named {
            fields.push((name, value.try_into()?));
        }
        for (n, parameter) in self.parameters.iter().enumerate() {
            let mut value: HeaderValue = parameter.as_str().try_into()?;
            value.set_sensitive(true);
            fields.push((format!("x-vault-inline-auth-parameter-{n}").try_into()?, value));
        }
        Ok(fields)
    }
}

/// A member of the login's request, as it is encoded.
fn parameter((name, value): (&str, &Secret)) -> Zeroizing<String> {
    let value = Zeroizing::new(serde_json::to_string(value.expose()).unwrap_or_default());
    let json = Zeroizing::new([r#"{"key":""#, name, r#"","value":"#, &value, "}"].concat());
    Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_is_a_header_of_its_own_and_none_is_shown() {
        let secret = Secret::new("a\"b");
        let login = InlineLogin::new("auth/approle/login".into(), Some("root"), [("secret_id", &secret)].into_iter());
        let fields = login.fields().unwrap();
        // printf '{"key":"secret_id","value":"a\\"b"}' | basenc --base64url, without the padding.
        let expected = [
            ("x-vault-inline-auth-path", "auth/approle/login", false),
            ("x-vault-inline-auth-namespace", "root", false),
            ("x-vault-inline-auth-parameter-0", "eyJrZXkiOiJzZWNyZXRfaWQiLCJ2YWx1ZSI6ImFcImIifQ", true),
        ];
        let found: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap(), value.is_sensitive())).collect();
        assert_eq!(found, expected);
        assert_eq!(format!("{:?}", fields[2].1), "Sensitive");
    }
}
