//! The environment of the application, complete and checked before anything is given up for it.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use zeroize::Zeroizing;

use crate::process;
use crate::process::child::{Child, Children};
use crate::process::command::{CommandFault, resolve};
use crate::process::environ::{Entry, Environ};
use crate::process::shell;
use crate::secrets::{Problem, Variable};
use vault_client::text::{self, shown};

/// Longest `NAME=value` with its NUL: 32 pages, [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html).
const LONGEST_STRING: usize = 32 * 4096;

/// What to do with a variable that the environment has with another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The secret wins.
    Overwrite,
    /// The environment wins: such a variable is not handed over.
    Keep,
    /// Neither: it is an error.
    Error,
}

/// COMMAND, found and ready to be executed.
pub struct Command {
    program: CString,
    argv: Vec<CString>,
}

impl Command {
    /// Finds `command`, whose first word names it, in the PATH of `environ`.
    ///
    /// # Errors
    ///
    /// Why it cannot be executed, as far as that shows without executing it.
    pub fn find(command: Vec<OsString>, environ: &Environ) -> Result<Self, CommandFault> {
        let first = command.first().ok_or(CommandFault::Missing)?;
        let program = resolve(first, environ.get("PATH"))?;
        // Arguments come from a C string array, so none holds a NUL.
        let argv = command.into_iter().filter_map(|argument| CString::new(argument.into_vec()).ok()).collect();
        Ok(Self { program, argv })
    }

    /// The command as typed, as it may be shown.
    pub fn name(&self) -> String {
        self.argv.first().map(|name| text::os(OsStr::from_bytes(name.as_bytes()))).unwrap_or_default()
    }

    /// The file that will be executed, as it may be shown.
    pub fn program(&self) -> String {
        text::os(OsStr::from_bytes(self.program.as_bytes()))
    }

    /// The shell that COMMAND is, or is a script for, where that drops variables whose names are no identifiers.
    pub fn dropping_shell(&self, environ: &Environ) -> Option<String> {
        let program = Path::new(OsStr::from_bytes(self.program.as_bytes()));
        let words: Vec<_> = self.argv.iter().skip(1).map(|word| OsStr::from_bytes(word.as_bytes())).collect();
        shell::that_drops(program, &words, environ.get("PATH")).map(|shell| shown(&shell))
    }

    /// Becomes the application, with the inherited environment untouched where none is given.
    /// Returns only with the reason why it cannot.
    pub fn exec(&self, environment: Option<&[Entry]>) -> CommandFault {
        process::exec(&self.program, &self.argv, environment).into()
    }

    /// Starts it as a child with this environment.
    ///
    /// # Errors
    ///
    /// Why it cannot be started.
    pub fn start(&self, children: &mut Children, environment: &[Entry]) -> Result<Child, CommandFault> {
        children.start(&self.program, &self.argv, environment)
    }

    /// Builds the application's environment: the inherited one, without the variables that `withheld` says so of, with
    /// `variables` added. The problems are complete; with one of them the environment is not to be used.
    pub fn environment(
        &self,
        environ: Environ,
        withheld: impl Fn(&[u8], &[u8]) -> bool,
        variables: &[Variable],
        on_conflict: OnConflict,
    ) -> (Vec<Entry>, Vec<Problem>) {
        let mut problems = Vec::new();
        if on_conflict == OnConflict::Error {
            let conflicts = variables.iter().filter(|variable| is_in_conflict(variable, &environ, &withheld));
            problems.extend(conflicts.map(|variable| Problem::Conflict(variable.name.clone())));
        }
        let replaced = |name: &[u8]| variables.iter().any(|variable| variable.name.as_bytes() == name);
        let mut entries = environ.into_entries_without(|name, value| withheld(name, value) || replaced(name));
        for variable in variables {
            let entry = Zeroizing::new([variable.name.as_bytes(), b"=", variable.value.expose().as_bytes()].concat());
            let bytes = entry.len() + 1;
            if bytes > LONGEST_STRING {
                problems.push(Problem::TooLong { name: variable.name.clone(), bytes });
            }
            match CString::new(entry.as_slice()) {
                Ok(entry) => entries.push(Zeroizing::new(entry)),
                Err(_) => problems.push(Problem::Nul { name: variable.name.clone(), place: None }),
            }
        }
        let (bytes, limit) = (self.size(&entries), size_limit());
        if problems.is_empty() && bytes > limit {
            problems.push(Problem::TooLongInAll { bytes, limit });
        }
        (entries, problems)
    }

    /// What the kernel counts against its limit: each string with its NUL and its pointer, and the program's name.
    fn size(&self, entries: &[Entry]) -> usize {
        let string = |bytes: usize| bytes + 1 + size_of::<usize>();
        let argv = self.argv.iter().map(|argument| string(argument.as_bytes().len()));
        let environment = entries.iter().map(|entry| string(entry.as_bytes().len()));
        argv.chain(environment).sum::<usize>() + self.program.as_bytes().len() + 1
    }
}

/// Whether `environ` has the variable with another value, which is not `withheld` from the application anyway.
pub fn is_in_conflict(variable: &Variable, environ: &Environ, withheld: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    let (name, new) = (variable.name.as_bytes(), variable.value.expose().as_bytes());
    environ.get(&variable.name).is_some_and(|old| old != new && !withheld(name, old))
}

/// A quarter of the stack limit, at least 128 KiB and at most 6 MiB (`bprm_stack_limits` in the kernel's fs/exec.c).
fn size_limit() -> usize {
    let stack = match getrlimit(Resource::RLIMIT_STACK) {
        Ok((soft, _)) if soft != RLIM_INFINITY => usize::try_from(soft).unwrap_or(usize::MAX),
        Ok(_) => usize::MAX,
        Err(_) => 8 << 20,
    };
    (stack / 4).clamp(128 << 10, 6 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_client::Secret;

    fn command() -> Command {
        Command { program: c"/bin/true".into(), argv: vec![c"true".into()] }
    }

    fn variables(pairs: &[(&str, &str)]) -> Vec<Variable> {
        let variable = |(name, value): &(&str, &str)| Variable {
            name: (*name).into(),
            kind: "string",
            value: Secret::new(*value),
            places: Vec::new(),
        };
        pairs.iter().map(variable).collect()
    }

    fn built(set: &[(&str, &str)], on_conflict: OnConflict) -> (Vec<String>, Vec<Problem>) {
        let environ = Environ::from_pairs([("A", "old"), ("SAME", "s"), ("VAULT_TOKEN", "t"), ("A", "older")]);
        let withheld = |name: &[u8], _: &[u8]| name == b"VAULT_TOKEN";
        let (entries, problems) = command().environment(environ, withheld, &variables(set), on_conflict);
        (entries.iter().map(|e| e.to_str().unwrap().to_owned()).collect(), problems)
    }

    #[test]
    fn conflicts_are_overwritten_or_reported() {
        let set = [("A", "new"), ("SAME", "s"), ("VAULT_TOKEN", "mine"), ("B", "b")];
        let rest = ["SAME=s", "VAULT_TOKEN=mine", "B=b"];
        assert_eq!(built(&set, OnConflict::Overwrite).0, [&["A=new"], &rest[..]].concat());
        assert_eq!(built(&set, OnConflict::Error).1, [Problem::Conflict("A".into())]);
        assert_eq!(built(&set[1..], OnConflict::Error).1, []);
    }

    #[test]
    fn what_the_kernel_would_refuse_is_found_beforehand_and_nothing_else() {
        let fits = "x".repeat(LONGEST_STRING - 3);
        let over = "x".repeat(LONGEST_STRING - 2);
        assert_eq!(built(&[("B", &fits)], OnConflict::Overwrite).1, []);
        let problem = Problem::TooLong { name: "B".into(), bytes: LONGEST_STRING + 1 };
        assert_eq!(built(&[("B", &over)], OnConflict::Overwrite).1, [problem]);

        let many: Vec<_> = (0..60).map(|n| format!("V{n}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), &fits[3..])).collect();
        assert!(matches!(built(&many, OnConflict::Overwrite).1[..], [Problem::TooLongInAll { .. }]));
    }
}
