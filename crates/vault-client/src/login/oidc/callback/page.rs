//! The pages that a browser gets: that the login worked, or why not. They load nothing and run nothing.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::hash;

/// What a page says.
#[derive(Clone, Copy, Debug)]
pub enum Page<'a> {
    /// The login is complete.
    Worked,
    /// It failed, for this reason.
    Failed(&'a str),
    /// It was complete before this request came.
    Over,
    /// The request is none that belongs to a login.
    Wrong(u16),
}

impl Page<'_> {
    fn status(self) -> (u16, &'static str) {
        match self {
            Self::Worked => (200, "OK"),
            Self::Failed(_) | Self::Over | Self::Wrong(400) => (400, "Bad Request"),
            Self::Wrong(_) => (404, "Not Found"),
        }
    }

    /// Whether it is good news, its heading, and what it says below.
    fn text(self) -> (bool, &'static str, String) {
        match self {
            Self::Worked => {
                (true, "You are logged in", "You can close this window and go back to the terminal.".into())
            }
            Self::Failed(why) => (false, "The login failed", why.to_owned()),
            Self::Over => (false, "This login is over", "Start the program again for another one.".into()),
            Self::Wrong(_) => {
                (false, "Nothing is here", "This address belongs to a login under way in a terminal.".into())
            }
        }
    }

    /// The whole answer, without its body where `is_head`.
    pub fn answer(self, is_head: bool) -> Vec<u8> {
        let (status, reason) = self.status();
        let body = self.body();
        let length = body.len();
        // The style is the one thing that a browser may use, and no other one.
        let style = STANDARD.encode(hash(STYLE));
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'; \
             form-action 'none'\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        );
        let body = if is_head { "" } else { &body };
        [head.as_bytes(), body.as_bytes()].concat()
    }

    fn body(self) -> String {
        let (is_good, heading, text) = self.text();
        let (class, mark) = if is_good { ("good", "✓") } else { ("bad", "!") };
        let text = in_html(&text);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{heading}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<main class=\"{class}\">\n<div aria-hidden=\"true\">{mark}</div>\n\
             <h1>{heading}</h1>\n<p>{text}</p>\n</main>\n</body>\n</html>\n"
        )
    }
}

const STYLE: &str = "\
:root { --page: #f3f4f6; --card: #fff; --text: #1f2430; --quiet: #565d6d; --line: #dfe2e8; --good: #1a7f4b; --bad: #b3381f }
@media (prefers-color-scheme: dark) {
  :root { --page: #14161b; --card: #1e2128; --text: #e8eaf0; --quiet: #a5acbb; --line: #333844; --good: #4cc38a; --bad: #f2806a }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif }
main { box-sizing: border-box; width: min(30rem, 100vw - 2rem); padding: 2.5rem 2rem; text-align: center;
  background: var(--card); border: 1px solid var(--line); border-radius: .75rem }
div { width: 3rem; height: 3rem; margin: 0 auto; border-radius: 50%; font-size: 1.5rem; line-height: 3rem; color: var(--card) }
.good div { background: var(--good) }
.bad div { background: var(--bad) }
h1, p { text-wrap: balance }
h1 { margin: 1.25rem 0 .5rem; font-size: 1.375rem; line-height: 1.3 }
p { margin: 0; color: var(--quiet); overflow-wrap: anywhere }
";

/// `text` with all that HTML reads as more than text written so that it does not.
fn in_html(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' | '<' | '>' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            _ => out.push(letter),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_runs_nothing_loads_nothing_and_is_kept_nowhere() {
        for page in [Page::Worked, Page::Failed("<script>alert('1')</script> & \"x\""), Page::Over, Page::Wrong(404)] {
            let answer = String::from_utf8(page.answer(false)).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            for header in [
                "Content-Security-Policy: default-src 'none'; style-src 'sha256-",
                "Cache-Control: no-store",
                "Referrer-Policy: no-referrer",
                "Connection: close",
                &format!("Content-Length: {}", body.len()),
            ] {
                assert!(head.contains(&format!("\r\n{header}")), "{header}: {head}");
            }
            for part in ["<script", "src=", "href=", "url(", "http:", "https:", "@import", "onload"] {
                assert!(!body.contains(part), "{part}: {body}");
            }
            let without = page.answer(true);
            assert_eq!(without, format!("{head}\r\n\r\n").into_bytes());
        }
    }

    #[test]
    fn each_page_has_its_status_and_what_is_not_ours_is_text_in_it() {
        for (page, status, text) in [
            (
                Page::Worked,
                "200 OK",
                "<h1>You are logged in</h1>\n<p>You can close this window and go back to the terminal.</p>",
            ),
            (
                Page::Failed("<b a='1'>\"&\"</b>"),
                "400 Bad Request",
                "<p>&#60;b a=&#39;1&#39;&#62;&#34;&#38;&#34;&#60;/b&#62;</p>",
            ),
            (Page::Over, "400 Bad Request", "<h1>This login is over</h1>"),
            (Page::Wrong(400), "400 Bad Request", "<h1>Nothing is here</h1>"),
            (Page::Wrong(404), "404 Not Found", "<h1>Nothing is here</h1>"),
        ] {
            let answer = String::from_utf8(page.answer(false)).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
            assert!(answer.contains(text), "{answer}");
        }
    }
}
