//! The forms of a page, as far as pages of logins have them, and the text that a form is sent as.

/// A form that is sent with POST.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it goes; `None` for the URL of its page.
    pub action: Option<String>,
    /// Names and values. The button that aborts is not among them.
    pub fields: Vec<(String, String)>,
}

/// An opening or closing tag.
struct Tag<'a> {
    /// With the slash of a closing one.
    name: &'a str,
    attributes: Vec<(&'a str, String)>,
}

impl Tag<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Form {
    /// The first one of a page, with the controls in it and those that name it.
    pub fn first(page: &str) -> Option<Self> {
        let tags = tags(page);
        let start = tags.iter().position(|tag| tag.is("form"))?;
        let end = tags.iter().position(|tag| tag.is("/form")).unwrap_or(tags.len());
        let form = &tags[start];
        let belongs = |at: usize, tag: &Tag| match tag.get("form") {
            Some(id) => form.get("id") == Some(id),
            None => (start..end).contains(&at),
        };
        let controls = tags.iter().enumerate().filter(|(at, tag)| {
            (tag.is("input") || tag.is("button")) && belongs(*at, tag) && tag.get("name") != Some("abort")
        });
        let field = |tag: &Tag| Some((tag.get("name")?.to_owned(), tag.get("value").unwrap_or_default().to_owned()));
        assert!(form.get("method").is_some_and(|it| it.eq_ignore_ascii_case("post")), "a form of another method");
        let fields = controls.filter_map(|(_, tag)| field(tag)).collect();
        Some(Self { action: form.get("action").map(str::to_owned), fields })
    }
}

/// The tags of a page without those in scripts and styles.
fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let (tag, behind) = tag(&rest[start + 1..]);
        rest = behind;
        for raw in ["script", "style"] {
            if tag.is(raw) {
                rest = rest.find(&format!("</{raw}")).map_or("", |end| &rest[end..]);
            }
        }
        tags.push(tag);
    }
    tags
}

/// The tag whose `<` was read, and what stands behind it.
fn tag(text: &str) -> (Tag<'_>, &str) {
    let is_end = |it: char| it.is_whitespace() || it == '>';
    let (name, mut rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix('>') {
            return (Tag { name, attributes }, behind);
        }
        if rest.is_empty() {
            return (Tag { name, attributes }, rest);
        }
        let (key, behind) = rest.split_at(rest[1..].find(|it| is_end(it) || it == '=').map_or(rest.len(), |at| at + 1));
        let (value, behind) = behind.strip_prefix('=').map_or(("", behind), value);
        attributes.push((key, unescape(value)));
        rest = behind;
    }
}

/// The value at the start of `text`, in quotes or without, and what stands behind it.
fn value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    text.split_at(text.find(|it: char| it.is_whitespace() || it == '>').unwrap_or(text.len()))
}

fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// The fields as `application/x-www-form-urlencoded`.
pub(super) fn encode(fields: &[(String, String)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn percent_encode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// The text that a value of a query stands for.
pub(super) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|it| u8::try_from(it).ok());
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit().zip(digit()).map(|(high, low)| high * 16 + low).expect("two digits"),
            _ => byte,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_the_controls_in_it_and_those_that_name_it() {
        let page = "<!doctype html><style>a<b</style><script>'<form>'</script><p class=x>\
                    <FORM id=f method='post' action=\"/a?b=1&amp;c=2\"><input type=hidden name=x value=\"1 &quot;>\"/>\
                    <input name=login autofocus><button>Go</button></FORM><button name=\"y\" value=2 form=\"f\"></button>\
                    <button name=abort form=f></button><input name=other><form method=post><input name=z></form>";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = vec![pair("x", "1 \">"), pair("login", ""), pair("y", "2")];
        assert_eq!(Form::first(page), Some(Form { action: Some("/a?b=1&c=2".to_owned()), fields }));
        assert_eq!(Form::first("<p>no form"), None);
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let (name, value) = ("a b".to_owned(), "ü&=+%".to_owned());
        let text = encode(&[(name, value.clone())]);
        assert_eq!(text, "a%20b=%C3%BC%26%3D%2B%25");
        assert_eq!(percent_decode(text.split_once('=').unwrap().1), value);
        assert_eq!(percent_decode("a+b"), "a b");
    }
}
