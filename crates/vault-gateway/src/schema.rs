//! The structure of what may be written: JSON Schema and limits.
//!
//! What a refusal says is a place and a keyword. The messages of the crate `jsonschema` quote values, so that none is
//! used.

use std::fs;
use std::mem;
use std::path::Path;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;
use vault_client::json::Object;
use vault_client::text::{os, quoted};
use zeroize::Zeroize;

use crate::path::SecretPath;
use crate::problem::Breach;
use crate::rules::Pattern;

/// A refusal names so many places at most.
const MOST_BREACHES: usize = 20;

/// A longer pointer gives way to that of a value around it, in bytes: keys are the caller's.
const LONGEST_POINTER: usize = 1024;

/// The keyword of a body of too many keys.
const MAX_KEYS: &str = "max_keys";

/// The keyword of a body of more nesting or larger numbers than a schema can be held against.
const UNREADABLE: &str = "unreadable";

/// What of a secret's structure is held at which paths.
pub struct SchemaRule {
    /// Whose; `None`: of all tenants.
    pub tenant: Option<String>,
    /// Where.
    pub paths: Vec<Pattern>,
    /// JSON Schema, compiled; `None` where only the limits are meant.
    pub schema: Option<Validator>,
    /// The limits of these paths.
    pub structure: Structure,
}

impl SchemaRule {
    fn is_about(&self, tenant: &str, path: &SecretPath) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant) && self.paths.iter().any(|pattern| pattern.matches(path))
    }
}

/// Limits of a secret's structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// How many keys it may have at the top.
    pub max_keys: usize,
    /// How many bytes each value of them may have, as JSON without spaces.
    pub max_value_bytes: usize,
}

impl Default for Structure {
    fn default() -> Self {
        Self { max_keys: 500, max_value_bytes: 65536 }
    }
}

impl Structure {
    /// What holds both limits.
    fn and(self, other: Self) -> Self {
        Self {
            max_keys: self.max_keys.min(other.max_keys),
            max_value_bytes: self.max_value_bytes.min(other.max_value_bytes),
        }
    }
}

/// Compiles the JSON Schema in this file. Its draft is that of its `$schema`, else
/// [2020-12](https://json-schema.org/draft/2020-12). Nothing but the file is read.
///
/// # Errors
///
/// Clauses with the file's name: it cannot be read, it is no JSON, it is no JSON Schema, or a `$ref` in it leads out of
/// it. At most 20.
pub fn compile(path: &Path) -> Result<Validator, Vec<String>> {
    let refused = |cause: String| format!("the schema {} {cause}", os(path));
    let bytes = fs::read(path).map_err(|error| vec![refused(format!("cannot be read: {}", error.kind()))])?;
    let schema = serde_json::from_slice(&bytes).map_err(|error| {
        vec![refused(format!("is no JSON from line {}, column {} on", error.line(), error.column()))]
    })?;
    build(&schema).map_err(|causes| causes.into_iter().map(refused).collect())
}

fn build(schema: &Value) -> Result<Validator, Vec<String>> {
    if !schema.is_object() {
        return Err(vec!["is no JSON object".to_owned()]);
    }
    let mut options = jsonschema::options().offline();
    if schema.get("$schema").is_none() {
        options = options.with_draft(Draft::Draft202012);
    }
    options.build(schema).map_err(|error| {
        // The first fault hides the others.
        let mut causes = vec![because(&error)];
        if !matches!(error.kind(), ValidationErrorKind::Referencing(_)) {
            broken(schema, &mut causes);
            outside(schema, &mut causes);
        }
        causes.truncate(MOST_BREACHES);
        causes
    })
}

fn add(causes: &mut Vec<String>, cause: String) {
    if !causes.contains(&cause) {
        causes.push(cause);
    }
}

/// Adds everything that its own schema finds.
fn broken(schema: &Value, causes: &mut Vec<String>) {
    if let Ok(meta) = jsonschema::meta::validator_for(schema) {
        for error in meta.iter_errors(schema) {
            add(causes, because(&error));
        }
    }
}

/// Adds the references that cannot lead anywhere in a document without identifiers.
fn outside(schema: &Value, causes: &mut Vec<String>) {
    let mut references = Vec::new();
    if !has_identifiers(schema, &mut references) {
        for reference in references {
            if !reference.starts_with('#') {
                add(causes, format!("refers to {}, which is not in the file", quoted(reference)));
            }
        }
    }
}

/// Collects the references; whether there is an `$id`, which changes what a reference means.
fn has_identifiers<'a>(value: &'a Value, references: &mut Vec<&'a str>) -> bool {
    match value {
        Value::Object(members) => members.iter().fold(false, |has, (key, value)| {
            if let ("$ref" | "$dynamicRef", Value::String(reference)) = (key.as_str(), value) {
                references.push(reference);
            }
            // What stands in these is a value, not a schema.
            let is_value = matches!(key.as_str(), "const" | "enum" | "default" | "examples");
            has || (key == "$id" && value.is_string()) || (!is_value && has_identifiers(value, references))
        }),
        Value::Array(elements) => elements.iter().any(|value| has_identifiers(value, references)),
        _ => false,
    }
}

/// Why a schema cannot be used. What it quotes is the schema's own.
fn because(error: &ValidationError) -> String {
    let place = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::Referencing(referencing) => reference(referencing),
        _ if place.is_empty() => format!("is no JSON Schema: the keyword {} is broken", error.kind().keyword()),
        kind => format!("is no JSON Schema: {} breaks the keyword {}", quoted(place), kind.keyword()),
    }
}

fn reference(error: &jsonschema::ReferencingError) -> String {
    use jsonschema::ReferencingError as Error;
    match error {
        Error::Unretrievable { uri, .. } => format!("refers to {}, which is not in the file", quoted(uri)),
        Error::PointerToNowhere { pointer } => format!("refers to {}, where nothing is", quoted(pointer)),
        Error::NoSuchAnchor { anchor } => format!("refers to the anchor {}, which it does not have", quoted(anchor)),
        Error::UnknownSpecification { specification } => {
            format!("has an unknown $schema: {}", quoted(specification))
        }
        _ => "has a reference that cannot be used".to_owned(),
    }
}

/// Holds `body`, a JSON object, against the limits and every schema of its place. Where a rule is about the place, the
/// strictest limits of these rules hold, else `defaults`.
///
/// Returns what is broken, each place and keyword once, 20 of them at most; none where the body may be written.
pub fn check(rules: &[SchemaRule], defaults: &Structure, tenant: &str, path: &SecretPath, body: &str) -> Vec<Breach> {
    let of_it: Vec<&SchemaRule> = rules.iter().filter(|rule| rule.is_about(tenant, path)).collect();
    let structure = strictest(&of_it, defaults);
    let mut breaches = Breaches::default();
    limits(structure, body, &mut breaches);
    let schemas: Vec<&Validator> = of_it.iter().filter_map(|rule| rule.schema.as_ref()).collect();
    if schemas.is_empty() || breaches.is_full() {
        return breaches.0;
    }
    let Ok(value) = serde_json::from_str(body).map(Wiped) else {
        breaches.push("", UNREADABLE);
        return breaches.0;
    };
    for error in schemas.iter().flat_map(|schema| schema.iter_errors(&value.0)) {
        if breaches.is_full() {
            break;
        }
        breaches.push(error.instance_path().as_str(), error.kind().keyword());
    }
    breaches.0
}

/// Holds `change`, a merge patch, against the limit of keys: each of its members that is not null is one of the result,
/// whatever it is merged into. This costs less than to merge it.
///
/// Returns what is broken; none where it may be merged.
pub fn check_patch(
    rules: &[SchemaRule],
    defaults: &Structure,
    tenant: &str,
    path: &SecretPath,
    change: &Object,
) -> Vec<Breach> {
    let of_it: Vec<&SchemaRule> = rules.iter().filter(|rule| rule.is_about(tenant, path)).collect();
    let mut breaches = Breaches::default();
    if change.iter().filter(|(_, value)| !value.is_null()).count() > strictest(&of_it, defaults).max_keys {
        breaches.push("", MAX_KEYS);
    }
    breaches.0
}

/// The limits of all these together, or the defaults where there is none.
fn strictest(rules: &[&SchemaRule], defaults: &Structure) -> Structure {
    rules.iter().map(|rule| rule.structure).reduce(Structure::and).unwrap_or(*defaults)
}

fn limits(structure: Structure, body: &str, breaches: &mut Breaches) {
    let Ok(object) = Object::parse(body.as_bytes()) else {
        return breaches.push("", UNREADABLE);
    };
    if object.iter().count() > structure.max_keys {
        breaches.push("", MAX_KEYS);
    }
    // No value is longer than the whole, which is the usual case.
    if body.len() <= structure.max_value_bytes {
        return;
    }
    for (key, value) in object.iter() {
        if value.compact().len() > structure.max_value_bytes {
            breaches.push(&format!("/{}", key.replace('~', "~0").replace('/', "~1")), "max_value_bytes");
        }
    }
}

/// What is broken so far.
#[derive(Default)]
struct Breaches(Vec<Breach>);

impl Breaches {
    fn is_full(&self) -> bool {
        self.0.len() >= MOST_BREACHES
    }

    fn push(&mut self, pointer: &str, keyword: &str) {
        let mut pointer = pointer;
        while pointer.len() > LONGEST_POINTER {
            pointer = pointer.rsplit_once('/').map_or("", |(around, _)| around);
        }
        let breach = Breach { pointer: pointer.to_owned(), keyword: keyword.to_owned() };
        if !self.is_full() && !self.0.contains(&breach) {
            self.0.push(breach);
        }
    }
}

/// A value whose texts are wiped when it goes.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Wipes every string and every key in `value`, and leaves `null`.
fn wipe(value: &mut Value) {
    match mem::take(value) {
        Value::String(mut text) => text.zeroize(),
        Value::Array(mut elements) => elements.iter_mut().for_each(wipe),
        Value::Object(members) => {
            for (mut key, mut member) in members {
                key.zeroize();
                wipe(&mut member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
