//! `[[rule]]` and `[[schema]]`: who may do what, and what may be written.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::fault::Bad;
use super::value::quoted;
use super::walk::Section;
use super::{SchemaRule, Structure, value};
use crate::action::Action;
use crate::rules::{Pattern, Rule, Wanted};
use crate::schema;

/// The most that a limit of structure may be: a body has no more bytes.
const MOST: u64 = 1 << 30;

const PATHS: &str = "write the paths that it is about, [\"**\"] for all";

/// What rules may name.
pub(super) struct Known<'a> {
    pub tenants: &'a [&'a str],
    pub issuers: &'a [&'a str],
    /// Names of tenants with their mounts.
    pub mounts: &'a [(&'a str, &'a str)],
}

impl Known<'_> {
    /// The mount of this tenant; without one, those of all.
    fn mounts(&self, tenant: Option<&str>) -> Vec<&str> {
        let of_it = self.mounts.iter().filter(|(name, _)| tenant.is_none_or(|tenant| tenant == *name));
        of_it.map(|(_, mount)| *mount).collect()
    }
}

/// Reads the rule with this number, from 1; `None` only if a fault was recorded.
pub(super) fn rule(mut section: Section, number: usize, known: &Known) -> Option<Rule> {
    let name = section.or("name", format!("rule {number}"), value::filled);
    let tenant = section.required("tenant", "write the name of a tenant", value::tenant(known.tenants));
    let issuer = section.optional("issuer", |value| known_issuer(value, known.issuers));
    let claims = claims(&mut section);
    let before = section.faults();
    let (allow, deny) = actions(&mut section);
    // A renewal has no path. A word that is no action is none.
    if section.faults() > before || allow.union(&deny).any(|action| *action != Action::Renew) {
        section.demand("paths", PATHS);
    }
    let mounts = tenant.as_deref().map(|tenant| known.mounts(Some(tenant))).unwrap_or_default();
    let paths = section.filled_list("paths", pattern(&mounts));
    section.finish();
    Some(Rule { name, tenant: tenant?, issuer, claims: claims?, paths: paths.unwrap_or_default(), allow, deny })
}

fn known_issuer(value: Value, issuers: &[&str]) -> Result<String, Bad> {
    let url = value::issuer_url(value)?;
    if issuers.contains(&url.as_str()) { Ok(url) } else { Err(value::unknown("issuer", &url, issuers)) }
}

/// A pattern of paths. Those of the gateway begin below the mount, and have no `data/` as those of a policy have.
fn pattern(mounts: &[&str]) -> impl Fn(Value) -> Result<Pattern, Bad> {
    let mut parts = Vec::new();
    for mount in mounts {
        parts.extend(["data", "metadata"].map(|part| format!("{mount}/{part}/")));
    }
    move |value| {
        let text = value::text(value)?;
        if let Some(part) = parts.iter().find(|part| text.starts_with(*part)) {
            let remedy = format!("leave mount and data/ out: write it without {part}");
            return Err(Bad::new(format!("{} is a path of a policy", quoted(&text)), remedy));
        }
        Pattern::parse(&text).map_err(|bad| Bad::new(format!("{} cannot be used", quoted(&text)), bad.to_string()))
    }
}

/// What must hold; `None` only if a fault was recorded.
fn claims(section: &mut Section) -> Option<Vec<(String, Wanted)>> {
    let before = section.faults();
    let table = section.optional("claim", value::table).unwrap_or_default();
    let everyone = section.or("everyone", false, value::flag);
    // Of what cannot be used nobody knows whether it is empty or true.
    let both = (section.faults() == before).then_some((table.is_empty(), everyone));
    match both {
        Some((true, false)) => section
            .fault("claim", Bad::new("is missing or empty", "write the claims that must hold, or everyone = true")),
        Some((false, true)) => section.fault("everyone", Bad::new("is true beside a claim", "remove one of the two")),
        _ => {}
    }
    let wanted = pairs(section, table);
    (section.faults() == before).then_some(wanted)
}

fn pairs(section: &Section, table: Table) -> Vec<(String, Wanted)> {
    let mut pairs = Vec::new();
    for (claim, wanted) in table {
        match pair(claim.clone(), wanted) {
            Ok(pair) => pairs.push(pair),
            Err(bad) => section.fault_inside("claim", &claim, bad),
        }
    }
    pairs
}

fn pair(claim: String, wanted: Value) -> Result<(String, Wanted), Bad> {
    const CAUSE: &str = "is nothing that a claim can be";
    let claim = value::claim(Value::String(claim))?;
    if wanted.is_table() {
        let remedy = "write a claim inside another as a JSON Pointer in quotes: \"/outer/inner\"";
        return Err(Bad::new("is a table", remedy));
    }
    let json = json(wanted);
    let json = json.ok_or_else(|| Bad::new(CAUSE, "write a text, a number, true or false, or a list of these"))?;
    let wanted = Wanted::parse(&json).map_err(|bad| Bad::new(CAUSE, bad.to_string()))?;
    wanted.suits(&claim).map_err(|bad| Bad::new("is nothing that this claim can be", bad.to_string()))?;
    Ok((claim, wanted))
}

/// The same in JSON; `None` where JSON has no such value.
fn json(value: Value) -> Option<Json> {
    Some(match value {
        Value::String(text) => Json::String(text),
        Value::Integer(number) => number.into(),
        Value::Float(number) => Json::Number(serde_json::Number::from_f64(number)?),
        Value::Boolean(flag) => Json::Bool(flag),
        Value::Array(list) => Json::Array(list.into_iter().map(json).collect::<Option<_>>()?),
        Value::Datetime(_) | Value::Table(_) => return None,
    })
}

/// What is allowed and what is denied: something, and nothing twice.
fn actions(section: &mut Section) -> (BTreeSet<Action>, BTreeSet<Action>) {
    let before = section.faults();
    let [allow, deny] = ["allow", "deny"]
        .map(|key| section.list(key, action).unwrap_or_default().into_iter().collect::<BTreeSet<Action>>());
    if section.faults() == before {
        if allow.is_empty() && deny.is_empty() {
            section.fault("allow", Bad::new("is missing or empty, and deny too", "write what is allowed or denied"));
        }
        for action in allow.intersection(&deny) {
            let cause = format!("{} is allowed by the same rule", action.word());
            section.fault("deny", Bad::new(cause, "remove it from one of the two"));
        }
    }
    (allow, deny)
}

fn action(value: Value) -> Result<Action, Bad> {
    let word = value::filled(value)?;
    Action::of(&word).ok_or_else(|| value::unknown("action", &word, &Action::ALL.map(Action::word)))
}

/// Reads one `[[schema]]`; `None` only if a fault was recorded.
pub(super) fn schema_rule(mut section: Section, known: &Known, folder: &Path) -> Option<SchemaRule> {
    let before = section.faults();
    let tenant = section.optional("tenant", value::tenant(known.tenants));
    let mounts = if section.faults() == before { known.mounts(tenant.as_deref()) } else { Vec::new() };
    section.demand("paths", PATHS);
    let paths = section.filled_list("paths", pattern(&mounts));
    let has_limit = section.has("max_keys") || section.has("max_value_bytes");
    if !section.has("file") && !has_limit {
        section.fault("file", Bad::new("is missing, and max_keys and max_value_bytes too", "write one of them"));
    }
    let file = section.optional("file", value::file(folder));
    let refused = |causes: Vec<String>| {
        for cause in causes {
            section.fault("file", Bad::new(cause, "repair the file"));
        }
    };
    let schema = file.and_then(|file| schema::compile(&file).map_err(refused).ok());
    let standard = Structure::default();
    let structure = Structure {
        max_keys: section.or("max_keys", standard.max_keys, value::number(1, MOST)),
        max_value_bytes: section.or("max_value_bytes", standard.max_value_bytes, value::number(1, MOST)),
    };
    section.finish();
    Some(SchemaRule { tenant, paths: paths?, schema, structure })
}
