//! What a request asks for: its route, its path and its query. Pure, so that a dry run decides as the service does.

use std::borrow::Cow;
use std::str::FromStr;

use crate::action::Action;
use crate::path::{BadPath, SecretPath, decode};
use crate::problem::{Kind, Problem};

/// How many versions one request may name.
const MOST_VERSIONS: usize = 100;
/// How many names one page has at most.
const MOST_NAMES: usize = 1000;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `GET`, `HEAD /vault/secrets/{path}`
    Read,
    /// `PUT /vault/secrets/{path}`
    Write,
    /// `PATCH /vault/secrets/{path}`
    Patch,
    /// `DELETE /vault/secrets/{path}`
    Delete,
    /// `GET /vault/versions/{path}`
    History,
    /// `POST /vault/versions/{path}/rollback`
    Rollback,
    /// `POST /vault/versions/{path}/undelete`
    Undelete,
    /// `POST /vault/versions/{path}/destroy`
    Destroy,
    /// `GET /vault/list`, `/vault/list/{folder}`
    List,
    /// `POST /vault/token/renew`
    Renew,
}

impl Route {
    /// What stands for it in metrics: the pattern of its path.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Read | Self::Write | Self::Patch | Self::Delete => "/vault/secrets/{path}",
            Self::History => "/vault/versions/{path}",
            Self::Rollback => "/vault/versions/{path}/rollback",
            Self::Undelete => "/vault/versions/{path}/undelete",
            Self::Destroy => "/vault/versions/{path}/destroy",
            Self::List => "/vault/list/{folder}",
            Self::Renew => "/vault/token/renew",
        }
    }

    /// What it is about, without its query.
    pub fn action(self) -> Action {
        match self {
            Self::Read => Action::Read,
            Self::Write | Self::Patch => Action::Write,
            Self::Delete => Action::Delete,
            Self::History => Action::History,
            Self::Rollback | Self::Undelete => Action::Restore,
            Self::Destroy => Action::Destroy,
            Self::List => Action::List,
            Self::Renew => Action::Renew,
        }
    }

    /// Whether it changes something at Vault.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Read | Self::History | Self::List)
    }
}

/// The route of a method and a raw path, and the raw rest of the path behind it.
///
/// # Errors
///
/// 404 where there is no such route, 405 where it has no such method.
pub fn resolve<'a>(method: &str, path: &'a str) -> Result<(Route, &'a str), Problem> {
    if let Some(rest) = path.strip_prefix("/vault/secrets/") {
        let route = match method {
            "GET" | "HEAD" => Route::Read,
            "PUT" => Route::Write,
            "PATCH" => Route::Patch,
            "DELETE" => Route::Delete,
            _ => return Err(no_method("GET, HEAD, PUT, PATCH, DELETE")),
        };
        return Ok((route, rest));
    }
    if let Some(rest) = path.strip_prefix("/vault/versions/") {
        return of_versions(method, rest);
    }
    if path == "/vault/token/renew" {
        return if method == "POST" { Ok((Route::Renew, "")) } else { Err(no_method("POST")) };
    }
    match path.strip_prefix("/vault/list") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match method {
            "GET" => Ok((Route::List, rest.strip_prefix('/').unwrap_or_default())),
            _ => Err(no_method("GET")),
        },
        _ => Err(Problem::new(Kind::NotFound, "there is no such route")),
    }
}

/// Of a POST the last segment is the verb.
fn of_versions<'a>(method: &str, rest: &'a str) -> Result<(Route, &'a str), Problem> {
    let verb = rest.rsplit_once('/').and_then(|(path, verb)| {
        let route = match verb {
            "rollback" => Route::Rollback,
            "undelete" => Route::Undelete,
            "destroy" => Route::Destroy,
            _ => return None,
        };
        Some((route, path))
    });
    match (method, verb) {
        ("GET", _) => Ok((Route::History, rest)),
        ("POST", Some(verb)) => Ok(verb),
        (_, Some(_)) => Err(no_method("GET, POST")),
        (_, None) => Err(no_method("GET")),
    }
}

fn no_method(allow: &'static str) -> Problem {
    Problem { allow: Some(allow), ..Problem::new(Kind::Method, "use a method of the Allow header") }
}

/// What a request asks for, with its path and its query.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The route.
    pub route: Route,
    /// The secret, or the folder; `None` for the root folder and for what has no path.
    pub path: Option<SecretPath>,
    /// The one version that is asked for.
    pub version: Option<u64>,
    /// The versions to delete.
    pub versions: Option<Vec<u64>>,
    /// The name that a page begins after.
    pub after: Option<String>,
    /// How many names a page has.
    pub limit: usize,
}

impl Asked {
    /// Reads the raw rest of a path, and the query.
    ///
    /// # Errors
    ///
    /// 400 where one of them cannot be used.
    pub fn parse(route: Route, rest: &str, query: Option<&str>) -> Result<Self, Problem> {
        let path = match route {
            Route::Renew => None,
            Route::List => SecretPath::parse_folder(rest).map_err(bad_path)?,
            _ => Some(SecretPath::parse(rest).map_err(bad_path)?),
        };
        let mut asked = Self { route, path, version: None, versions: None, after: None, limit: MOST_NAMES };
        let query = query.unwrap_or_default();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|_| !query.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&name) {
                return Err(bad_query("a parameter of the query stands twice; give it once"));
            }
            seen.push(name);
            asked.take(name, &decoded(value)?)?;
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match (self.route, name) {
            (Route::Read, "version") => self.version = Some(version(value)?),
            (Route::Delete, "versions") => {
                let versions = value.split(',').map(version).collect::<Result<Vec<_>, _>>()?;
                self.versions = Some(distinct(versions).ok_or_else(|| bad_query(MANY))?);
            }
            (Route::List, "after") if !value.is_empty() => self.after = Some(value.to_owned()),
            (Route::List, "limit") => {
                let limit = number::<usize>(value).filter(|limit| *limit <= MOST_NAMES);
                self.limit = limit.ok_or_else(|| bad_query("limit is no number from 1 to 1000"))?;
            }
            _ => return Err(bad_query("a parameter of the query is unknown here; leave it out")),
        }
        Ok(())
    }

    /// What it needs, the main action first.
    pub fn actions(&self) -> &'static [Action] {
        match self.route {
            Route::Read if self.version.is_some() => &[Action::Read, Action::History],
            Route::Read => &[Action::Read],
            Route::Write | Route::Patch => &[Action::Write],
            Route::Delete => &[Action::Delete],
            Route::History => &[Action::History],
            Route::Rollback => &[Action::Restore, Action::Write],
            Route::Undelete => &[Action::Restore],
            Route::Destroy => &[Action::Destroy],
            Route::List => &[Action::List],
            Route::Renew => &[Action::Renew],
        }
    }
}

const MANY: &str = "name each version once, and at most 100 of them";

/// The versions, where each stands once and they are not too many.
pub fn distinct(versions: Vec<u64>) -> Option<Vec<u64>> {
    let mut sorted = versions.clone();
    sorted.sort_unstable();
    sorted.dedup();
    (!versions.is_empty() && sorted.len() == versions.len() && versions.len() <= MOST_VERSIONS).then_some(versions)
}

/// Whether this can be the number of a version. Vault reads no larger one than a signed integer of 64 bits holds.
pub fn is_version(number: u64) -> bool {
    i64::try_from(number).is_ok_and(|number| number > 0)
}

/// The number of a version, as a decimal without a sign and without leading zeros.
pub fn version_of(text: &str) -> Option<u64> {
    number(text).filter(|number| is_version(*number))
}

fn version(text: &str) -> Result<u64, Problem> {
    version_of(text).ok_or_else(|| bad_query("a version is no decimal number from 1 to 2^63 - 1 without leading zeros"))
}

/// A decimal number from 1 on without a sign and without leading zeros.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// A value of the query, percent-decoded once. A plus is a plus: no name has a space.
fn decoded(value: &str) -> Result<String, Problem> {
    let bad = |_| bad_query("a value of the query is no UTF-8, or has a bad percent escape");
    decode(value).map(Cow::into_owned).map_err(bad)
}

fn bad_path(why: BadPath) -> Problem {
    Problem::new(Kind::Path, why.to_string())
}

fn bad_query(why: &'static str) -> Problem {
    Problem::new(Kind::Path, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_and_a_path_have_one_route_or_a_refusal() {
        for (request, expected) in [
            ("GET /vault/secrets/a/b", "Read a/b"),
            ("HEAD /vault/secrets/a%2Fb", "Read a%2Fb"),
            ("PUT /vault/secrets/a", "Write a"),
            ("PATCH /vault/secrets/a", "Patch a"),
            ("DELETE /vault/secrets/a", "Delete a"),
            ("GET /vault/secrets/", "Read "),
            ("GET /vault/secrets", "404"),
            ("POST /vault/secrets/a", "405 GET, HEAD, PUT, PATCH, DELETE"),
            ("OPTIONS /vault/secrets/a", "405 GET, HEAD, PUT, PATCH, DELETE"),
            ("GET /vault/versions/a/rollback", "History a/rollback"),
            ("POST /vault/versions/a/b/rollback", "Rollback a/b"),
            ("POST /vault/versions/a/undelete", "Undelete a"),
            ("POST /vault/versions/a/destroy", "Destroy a"),
            ("POST /vault/versions/destroy", "405 GET"),
            ("POST /vault/versions/a/burn", "405 GET"),
            ("DELETE /vault/versions/a/destroy", "405 GET, POST"),
            ("GET /vault/list", "List "),
            ("GET /vault/list/", "List "),
            ("GET /vault/list/a/", "List a/"),
            ("GET /vault/listing", "404"),
            ("POST /vault/list", "405 GET"),
            ("POST /vault/token/renew", "Renew "),
            ("GET /vault/token/renew", "405 POST"),
            ("POST /vault/token/renew/", "404"),
            ("GET /vault/%73ecrets/a", "404"),
            ("GET /", "404"),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            let found = match resolve(method, path) {
                Ok((route, rest)) => format!("{route:?} {rest}"),
                Err(problem) => format!("{} {}", problem.status, problem.allow.unwrap_or_default()).trim().to_owned(),
            };
            assert_eq!(found, expected, "{request}");
        }
    }

    #[test]
    fn a_query_is_taken_whole_or_refused() {
        let parsed = |route, rest: &str, query| {
            Asked::parse(route, rest, query)
                .map(|it| (it.version, it.versions, it.after, it.limit))
                .map_err(|problem| problem.status)
        };
        let nothing = (None, None, None, 1000);
        for (route, query, expected) in [
            (Route::Read, None, Ok(nothing.clone())),
            (Route::Read, Some(""), Ok(nothing.clone())),
            (Route::Read, Some("version=12"), Ok((Some(12), None, None, 1000))),
            (Route::Read, Some("version=9223372036854775807"), Ok((Some(9_223_372_036_854_775_807), None, None, 1000))),
            (Route::Read, Some("version=%31"), Ok((Some(1), None, None, 1000))),
            (Route::Delete, Some("versions=2,1"), Ok((None, Some(vec![2, 1]), None, 1000))),
            (Route::List, Some("after=db%2F&limit=1"), Ok((None, None, Some("db/".into()), 1))),
            (Route::List, Some("limit=1000"), Ok(nothing)),
        ] {
            assert_eq!(parsed(route, "a", query), expected, "{query:?}");
        }
        for query in [
            "version",
            "version=",
            "version=0",
            "version=01",
            "version=+1",
            "version=-1",
            "version=1.0",
            "version=1&version=1",
            "version=9223372036854775808",
            "version=18446744073709551616",
            "versions=1",
            "a=1",
            "&",
            "version=1&",
            "version=%3",
            "version=%",
            "version=%ff",
            "version=%é",
        ] {
            assert_eq!(parsed(Route::Read, "a", Some(query)), Err(400), "{query}");
        }
        for (route, query) in [
            (Route::Delete, "versions="),
            (Route::Delete, "versions=9223372036854775808"),
            (Route::Delete, "versions=1,1"),
            (Route::Delete, "versions=1,"),
            (Route::List, "limit=0"),
            (Route::List, "limit=1001"),
            (Route::List, "after="),
            (Route::Write, "version=1"),
            (Route::Renew, "x"),
        ] {
            assert_eq!(parsed(route, "a", Some(query)), Err(400), "{query}");
        }
    }
}
