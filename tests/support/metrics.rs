//! The metrics that the program has, as its source declares them: some have no sample in every run.

/// A metric, with its full name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
}

/// How each is declared, and its kind where the call does not name it.
const CALLS: [(&str, Option<&str>); 4] =
    [(".metric(", None), (".gauge(", Some("gauge")), (".by_result(", Some("counter")), (".of_each(", Some("gauge"))];

/// All of them, in their order.
pub(crate) fn all() -> Vec<Metric> {
    let source = include_str!("../../src/watch/metrics.rs");
    let mut found = Vec::new();
    for (call, kind) in CALLS {
        for (at, _) in source.match_indices(call) {
            let rest = source[at + call.len()..].trim_start();
            // Otherwise it is a helper that hands a name on.
            if !rest.starts_with('"') {
                continue;
            }
            let mut texts = rest.split('"').skip(1).step_by(2).map(str::to_owned);
            let mut next = || texts.next().expect("a text");
            let name = format!("vault_exec_{}", next());
            let kind = kind.map_or_else(&mut next, str::to_owned);
            found.push((at, Metric { name, kind, help: next() }));
        }
    }
    found.sort_by_key(|(at, _)| *at);
    assert!(found.len() > 10, "the search finds them");
    found.into_iter().map(|(_, metric)| metric).collect()
}
