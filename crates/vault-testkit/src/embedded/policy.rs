//! ACL policies: the simple subset `path "x" { capabilities = ["read"] }`, with a `*` at the end and `+`
//! for one segment.

/// What a token may do below one path pattern.
#[derive(Clone)]
pub(crate) struct Rule {
    pattern: String,
    capabilities: Vec<String>,
}

const KNOWN: [&str; 10] = ["create", "read", "update", "delete", "list", "scan", "patch", "sudo", "deny", "root"];

/// Every token but root's may look at, renew and revoke itself.
const DEFAULT: &str = r#"
    path "auth/token/lookup-self" { capabilities = ["read"] }
    path "auth/token/renew-self" { capabilities = ["update"] }
    path "auth/token/revoke-self" { capabilities = ["update"] }
"#;

/// The `default` policy.
pub(crate) fn default_rules() -> Vec<Rule> {
    parse(DEFAULT).unwrap_or_default()
}

/// Reads a policy text.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let text: String = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    let mut rules = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (head, after) = rest.split_once('{').ok_or("expected start of object ('{')")?;
        let (body, after) = after.split_once('}').ok_or("object not closed")?;
        let pattern = head.trim().strip_prefix("path").map(str::trim).and_then(quoted);
        let pattern = pattern.ok_or("expected: path \"…\"")?.to_owned();
        let (_, list) = body.split_once('=').ok_or("expected: capabilities = […]")?;
        let items = list.trim().trim_start_matches('[').trim_end_matches(']').split(',');
        let capabilities: Vec<_> = items.filter_map(|item| quoted(item.trim())).map(str::to_owned).collect();
        if let Some(unknown) = capabilities.iter().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(format!("path \"{pattern}\": path \"{pattern}\": invalid capability \"{unknown}\""));
        }
        rules.push(Rule { pattern, capabilities });
        rest = after.trim();
    }
    Ok(rules)
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// Whether `rules` allow one of `wanted` on `path`. The most specific pattern decides; the same pattern in
/// several policies adds up.
pub(crate) fn allows(rules: &[Rule], path: &str, wanted: &[&str]) -> bool {
    let matching: Vec<_> = rules.iter().filter(|rule| rule.matches(path)).collect();
    let Some(best) = matching.iter().map(|rule| rule.specificity()).max() else {
        return false;
    };
    let capabilities: Vec<_> = matching
        .iter()
        .filter(|rule| rule.specificity() == best)
        .flat_map(|rule| rule.capabilities.iter().map(String::as_str))
        .collect();
    !capabilities.contains(&"deny") && wanted.iter().any(|name| capabilities.contains(name))
}

/// Whether any rule lets its owner do something at or below `mount`.
pub(crate) fn touches(rules: &[Rule], mount: &str) -> bool {
    rules.iter().filter(|rule| rule.capabilities.iter().any(|name| name != "deny")).any(|rule| {
        let fixed = &rule.pattern[..rule.wildcard()];
        fixed.starts_with(mount) || (fixed.len() < rule.pattern.len() && mount.starts_with(fixed))
    })
}

impl Rule {
    /// The same rule, seen from the root namespace.
    pub(crate) fn inside(mut self, namespace: &str) -> Self {
        self.pattern.insert_str(0, namespace);
        self
    }

    fn wildcard(&self) -> usize {
        self.pattern.find(['*', '+']).unwrap_or(self.pattern.len())
    }

    /// The server's own order: the first wildcard as late as possible, no `*`, few `+`, long.
    fn specificity(&self) -> (usize, bool, usize, usize) {
        let plus = self.pattern.matches('+').count();
        (self.wildcard(), !self.pattern.ends_with('*'), usize::MAX - plus, self.pattern.len())
    }

    fn matches(&self, path: &str) -> bool {
        let (pattern, glob) = match self.pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (self.pattern.as_str(), false),
        };
        let wanted: Vec<_> = pattern.split('/').collect();
        let given: Vec<_> = path.split('/').collect();
        let last = wanted.len() - 1;
        if given.len() < wanted.len() || (!glob && given.len() > wanted.len()) {
            return false;
        }
        wanted.iter().zip(&given).enumerate().all(|(index, (wanted, given))| {
            *wanted == "+" || wanted == given || (glob && index == last && given.starts_with(wanted))
        })
    }
}
