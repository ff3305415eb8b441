//! Why a rule holds or does not.

use std::collections::BTreeSet;
use std::fmt;

use super::{Action, Effect, Question, Rule, Wanted};

/// What a rule says on a question. Its text is one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Whether it holds.
    pub outcome: Outcome<'a>,
}

/// Whether a rule holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// It holds.
    Matched(Effect),
    /// It does not, because of each of these; of a rule about another tenant, nothing else is said.
    Fails(Vec<Failing<'a>>),
}

/// What of a rule does not hold. No value of the caller is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failing<'a> {
    /// It is about another tenant.
    Tenant,
    /// It is about callers of another issuer.
    Issuer,
    /// The caller has no claim of this name.
    ClaimAbsent(&'a str, &'a Wanted),
    /// The caller's claim of this name is something else than what is wanted.
    ClaimDiffers(&'a str, &'a Wanted),
    /// The caller's claim of this name is of a type that cannot be compared with what is wanted.
    ClaimIncomparable(&'a str, &'a Wanted),
    /// It is about other paths.
    Path,
    /// It neither allows nor denies the action.
    Action,
}

/// A rule that both allows and denies the action denies it. Where it does not hold so, it does not hold otherwise either.
pub(super) fn outcome<'a>(rule: &'a Rule, question: &Question<'_>) -> Outcome<'a> {
    let effect = if rule.deny.contains(&question.action) { Effect::Deny } else { Effect::Allow };
    let mut failing: Vec<_> = rule.failing(question, effect).collect();
    if failing.first() == Some(&Failing::Tenant) {
        failing.truncate(1);
    } else if effect == Effect::Allow && !rule.allow.contains(&question.action) {
        failing.push(Failing::Action);
    }
    if failing.is_empty() { Outcome::Matched(effect) } else { Outcome::Fails(failing) }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, outcome } = self;
        write!(f, "rule {:?}: ", rule.name)?;
        match outcome {
            Outcome::Matched(Effect::Allow) => f.write_str("allows it"),
            Outcome::Matched(Effect::Deny) => f.write_str("denies it"),
            Outcome::Fails(failing) => failing.iter().enumerate().try_for_each(|(n, failing)| {
                f.write_str(if n == 0 { "" } else { "; " })?;
                failing.tell(rule, f)
            }),
        }
    }
}

impl Failing<'_> {
    fn tell(self, rule: &Rule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => write!(f, "the tenant is not {}", rule.tenant),
            Self::Issuer => write!(f, "the issuer is not {}", rule.issuer.as_deref().unwrap_or_default()),
            Self::ClaimAbsent(name, wanted) => write!(f, "the claim {name} is absent, wanted is {wanted}"),
            Self::ClaimDiffers(name, wanted) => write!(f, "the claim {name} is not {wanted}"),
            Self::ClaimIncomparable(name, wanted) => {
                write!(f, "the claim {name} is of a type that cannot be compared with {wanted}")
            }
            Self::Path if rule.paths.is_empty() => f.write_str("it has no paths"),
            Self::Path => {
                let paths: Vec<_> = rule.paths.iter().map(ToString::to_string).collect();
                write!(f, "the path matches none of {}", paths.join(", "))
            }
            Self::Action => {
                let effects = [("allows", &rule.allow), ("denies", &rule.deny)];
                let effects = effects.into_iter().filter(|(_, actions)| !actions.is_empty());
                let effects: Vec<_> = effects.map(|(verb, actions)| format!("{verb} {}", words(actions))).collect();
                write!(f, "it {} only", effects.join(" and "))
            }
        }
    }
}

fn words(actions: &BTreeSet<Action>) -> String {
    actions.iter().map(|action| action.word()).collect::<Vec<_>>().join(", ")
}
