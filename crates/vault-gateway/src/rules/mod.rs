//! Who may do what: pure decisions on claims, tenant, path and action.
//!
//! Nothing is allowed unless a rule allows it. A rule that denies beats every rule that allows.

mod claim;
mod explain;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::iter;

use crate::action::Action;
use crate::claims::Claims;
use crate::path::SecretPath;

pub use claim::{BadWanted, Wanted};
pub use explain::{Explained, Failing, Outcome};
pub use pattern::{BadPattern, Pattern};

use claim::Compared;

/// What callers of a tenant may do, or may not do.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, for the audit log.
    pub name: String,
    /// Whose secrets it is about.
    pub tenant: String,
    /// The issuer whose callers it is about; `None`: any.
    pub issuer: Option<String>,
    /// The claims that a caller must have, all of them; none: every caller.
    pub claims: Vec<(String, Wanted)>,
    /// Where it holds; any of them.
    pub paths: Vec<Pattern>,
    /// What it allows.
    pub allow: BTreeSet<Action>,
    /// What it denies.
    pub deny: BTreeSet<Action>,
}

/// What is decided on.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The verified claims of the caller.
    pub claims: &'a Claims,
    /// The tenant of the caller.
    pub tenant: &'a str,
    /// Where the caller wants to do it.
    pub target: Target<'a>,
    /// What the caller wants to do.
    pub action: Action,
}

/// Where a caller wants to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Nowhere: what is done has no path. Only [`Action::Renew`] can be allowed so.
    Nothing,
    /// The root folder.
    Root,
    /// This secret or folder.
    Path(&'a SecretPath),
}

/// What the rules say, with the rule that says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision<'a> {
    /// This rule allows it, the first that does, and none denies it.
    Allowed(&'a Rule),
    /// This rule denies it, the first that does. `None`: no rule allows it.
    Denied(Option<&'a Rule>),
}

/// All rules, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    all: Vec<Rule>,
    /// By tenant and action.
    concerned: HashMap<String, [Concerned; Action::ALL.len()]>,
}

/// The rules that say something of one action of one tenant, as places in the list of all.
#[derive(Clone, Debug, Default)]
struct Concerned {
    deny: Vec<usize>,
    allow: Vec<usize>,
}

impl Rules {
    /// These rules, in this order.
    pub fn new(all: Vec<Rule>) -> Self {
        let mut concerned: HashMap<String, [Concerned; Action::ALL.len()]> = HashMap::new();
        for (place, rule) in all.iter().enumerate() {
            let of_tenant = concerned.entry(rule.tenant.clone()).or_default();
            rule.deny.iter().for_each(|action| of_tenant[*action as usize].deny.push(place));
            rule.allow.iter().for_each(|action| of_tenant[*action as usize].allow.push(place));
        }
        Self { all, concerned }
    }

    /// What they say. It does not depend on time, on Vault or on earlier questions.
    pub fn decide(&self, question: &Question<'_>) -> Decision<'_> {
        let Some(of_tenant) = self.concerned.get(question.tenant) else { return Decision::Denied(None) };
        let Concerned { deny, allow } = &of_tenant[question.action as usize];
        let first = |places: &[usize], effect| {
            let mut rules = places.iter().map(|place| &self.all[*place]);
            // Most rules are about other paths, and paths are quick to compare.
            rules.find(|rule| rule.reaches(question) && rule.holds(question, effect))
        };
        match first(deny, Effect::Deny) {
            Some(rule) => Decision::Denied(Some(rule)),
            None => first(allow, Effect::Allow).map_or(Decision::Denied(None), Decision::Allowed),
        }
    }

    /// What each rule says, in their order, and why those that say nothing do not.
    pub fn explain(&self, question: &Question<'_>) -> Vec<Explained<'_>> {
        self.all.iter().map(|rule| Explained { rule, outcome: explain::outcome(rule, question) }).collect()
    }
}

/// What a rule does where it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It allows the action, unless another rule denies it.
    Allow,
    /// It denies the action.
    Deny,
}

impl Rule {
    /// Whether it holds, as a rule with this effect. The action is not looked at.
    fn holds(&self, question: &Question<'_>, effect: Effect) -> bool {
        self.failing(question, effect).next().is_none()
    }

    /// What of it does not hold, each found when it is asked for.
    ///
    /// A claim that cannot be compared may be the one that is meant: then a rule that denies holds, and one that allows
    /// does not.
    fn failing<'a>(&'a self, question: &Question<'_>, effect: Effect) -> impl Iterator<Item = Failing<'a>> {
        let is_other = |issuer: &String| issuer != question.claims.issuer();
        let tenant = (self.tenant != question.tenant).then_some(Failing::Tenant);
        let issuer = self.issuer.as_ref().is_some_and(is_other).then_some(Failing::Issuer);
        let claims = self.claims.iter().filter_map(move |(name, wanted)| {
            match wanted.compare(name, question.claims.get(name)) {
                Compared::Equal => None,
                Compared::Incomparable if effect == Effect::Deny => None,
                Compared::Incomparable => Some(Failing::ClaimIncomparable(name, wanted)),
                Compared::Different => Some(Failing::ClaimDiffers(name, wanted)),
                Compared::Absent => Some(Failing::ClaimAbsent(name, wanted)),
            }
        });
        let path = iter::once_with(|| (!self.reaches(question)).then_some(Failing::Path)).flatten();
        tenant.into_iter().chain(issuer).chain(claims).chain(path)
    }

    fn reaches(&self, question: &Question<'_>) -> bool {
        match question.target {
            _ if question.action == Action::Renew => true,
            Target::Nothing => false,
            Target::Root => self.paths.iter().any(Pattern::matches_root),
            Target::Path(path) => self.paths.iter().any(|pattern| pattern.matches(path)),
        }
    }
}
