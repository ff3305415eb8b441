//! What a person does in a browser when a login asks for one, without a browser: follows redirects with cookies, signs in
//! and confirms. Scripts are not run.

mod html;

use html::Form;

use crate::loopback::{self, Page, Request};

/// No login takes more requests.
const STEPS: usize = 20;

/// The user of [`OpenIdProvider`](crate::openid::OpenIdProvider) who cancels.
pub const DENY: &str = "!deny";

/// Where a visit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// The last URL.
    pub url: String,
    /// What was answered to it; `None` where the visit stopped before it.
    pub page: Option<(u16, String)>,
}

impl Visited {
    /// The value of this parameter in the URL's query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.url.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| html::percent_decode(value))
    }

    /// The URL's query, as it stands there.
    pub fn query(&self) -> &str {
        self.url.split_once('?').map_or("", |(_, query)| query)
    }
}

/// Opens `url` as `user`, or as one who cancels: [`DENY`]. Ends at the first page that has no form of a login, or before
/// the first URL that starts with `stop`. All URLs are of this machine and without TLS.
pub fn browse(url: &str, user: &str, stop: Option<&str>) -> Visited {
    let mut jar = Jar::default();
    let mut url = url.to_owned();
    let mut body = None;
    let mut has_cancelled = false;
    for _ in 0..STEPS {
        if stop.is_some_and(|stop| url.starts_with(stop)) {
            return Visited { url, page: None };
        }
        let page = loopback::send(&Request { url: &url, cookies: &jar.for_url(&url), body: body.take() });
        jar.keep(&url, &page.cookies);
        match next(&url, &page, user, has_cancelled) {
            Next::Get(to) => url = to,
            Next::Post(to, fields) => {
                has_cancelled = user == DENY && fields.iter().any(|(name, _)| name == "login");
                body = Some(("application/x-www-form-urlencoded", html::encode(&fields)));
                url = to;
            }
            Next::Nothing => return Visited { url, page: Some((page.status, page.text)) },
        }
    }
    panic!("no end after {STEPS} requests: {url}");
}

enum Next {
    Get(String),
    Post(String, Vec<(String, String)>),
    Nothing,
}

fn next(url: &str, page: &Page, user: &str, has_cancelled: bool) -> Next {
    match (page.status, &page.location) {
        (301..=303 | 307 | 308, Some(location)) => return Next::Get(join(url, location)),
        (200, _) => {}
        _ => return Next::Nothing,
    }
    // OpenBao's page in the callback mode `direct`: a script of its button adds this.
    if page.text.contains("id=\"confirm-button\"") && !url.contains("confirmation=") {
        return Next::Get(format!("{url}&confirmation=1"));
    }
    let form = Form::first(&page.text).filter(|_| !has_cancelled);
    form.map_or(Next::Nothing, |form| {
        let to = form.action.map_or_else(|| url.to_owned(), |action| join(url, &action));
        let value = |(name, value)| if name == "login" { (name, user.to_owned()) } else { (name, value) };
        Next::Post(to, form.fields.into_iter().map(value).collect())
    })
}

/// Scheme, host and port, and what stands behind them.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    url.split_at(url[host..].find('/').map_or(url.len(), |at| host + at))
}

/// The URL that a page at `url` calls `reference`.
fn join(url: &str, reference: &str) -> String {
    let (origin, rest) = split(url);
    let path = rest.split('?').next().unwrap_or_default();
    match reference {
        _ if reference.contains("://") => reference.to_owned(),
        _ if reference.starts_with('/') => format!("{origin}{reference}"),
        _ => format!("{origin}{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    }
}

/// The cookies of a visit. As in a browser, those of a host are for all its ports.
#[derive(Default)]
struct Jar(Vec<Cookie>);

#[derive(PartialEq, Eq)]
struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

fn host(url: &str) -> &str {
    let (origin, _) = split(url);
    let authority = origin.rsplit('/').next().unwrap_or_default();
    authority.split(':').next().unwrap_or_default()
}

impl Jar {
    fn keep(&mut self, url: &str, set: &[String]) {
        for line in set {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let path = parts.find_map(|part| {
                let (key, path) = part.split_once('=')?;
                key.eq_ignore_ascii_case("path").then(|| path.to_owned())
            });
            let (host, path) = (host(url).to_owned(), path.unwrap_or_else(|| "/".to_owned()));
            self.0.retain(|it| (it.host.as_str(), it.path.as_str(), it.name.as_str()) != (&host, &path, name));
            // Without a value it was taken back.
            if !value.is_empty() {
                self.0.push(Cookie { host, path, name: name.to_owned(), value: value.to_owned() });
            }
        }
    }

    /// The value of the header for a request.
    fn for_url(&self, url: &str) -> String {
        let path = split(url).1.split('?').next().unwrap_or_default();
        let is_below = |folder: &str| {
            let rest = path.strip_prefix(folder.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let sent = self.0.iter().filter(|it| it.host == host(url) && is_below(&it.path));
        sent.map(|it| format!("{}={}", it.name, it.value)).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_against_the_url_of_its_page() {
        let page = "http://127.0.0.1:80/a/b?c=/d";
        let expected = [
            ("http://localhost:1/x", "http://localhost:1/x"),
            ("/x?y", "http://127.0.0.1:80/x?y"),
            ("x", "http://127.0.0.1:80/a/x"),
        ];
        for (reference, url) in expected {
            assert_eq!(join(page, reference), url);
        }
    }

    #[test]
    fn a_cookie_is_sent_to_its_host_below_its_path_until_it_is_taken_back() {
        let mut jar = Jar::default();
        let set = |lines: &[&str]| lines.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        jar.keep("http://127.0.0.1:1/x", &set(&["a=1; path=/p; httponly", "b=2", "c=3; Path=/"]));
        assert_eq!(jar.for_url("http://127.0.0.1:2/p/q?r"), "a=1; b=2; c=3");
        assert_eq!(jar.for_url("http://127.0.0.1:2/pq"), "b=2; c=3");
        assert_eq!(jar.for_url("http://localhost:1/p"), "");
        jar.keep("http://127.0.0.1:1/y", &set(&["b=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT", "c=4"]));
        assert_eq!(jar.for_url("http://127.0.0.1:1/p"), "a=1; c=4");
    }
}
