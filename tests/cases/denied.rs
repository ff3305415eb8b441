//! The lists of denied names, held against the programs that read them: each name is denied, or said to do no harm.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use vault_exec::secrets::name::{Verdict, judge};
use vault_testkit::missing;

use crate::support::shells::names_in;

/// Names that `family` begins are denied in the end, but for these.
fn assert_denied(whose: &str, names: &BTreeSet<String>, least: usize, harmless: &str) {
    assert!(names.len() >= least, "{whose} has {names:?}");
    let harmless: BTreeSet<_> = harmless.split_whitespace().collect();
    let accepted = names.iter().filter(|name| judge(name, &[]) == Verdict::Good && !harmless.contains(name.as_str()));
    let accepted: Vec<_> = accepted.collect();
    assert!(accepted.is_empty(), "{whose} reads {accepted:?}");
}

/// The names in a program's data that begin with one of these.
fn in_program(paths: &[&str], beginnings: &[&str]) -> Option<BTreeSet<String>> {
    let Some(program) = paths.iter().find_map(|path| fs::read(path).ok()) else {
        missing(paths[0]);
        return None;
    };
    let begins = |name: &String| beginnings.iter().any(|it| name.starts_with(it) && name.len() > it.len());
    let upper = |name: &String| !name.bytes().any(|byte| byte.is_ascii_lowercase());
    Some(names_in(&program).into_iter().filter(|name| begins(name) && upper(name)).collect())
}

/// The words in what a command prints that begin with one of these.
fn printed(command: &[&str], beginnings: &[&str]) -> Option<BTreeSet<String>> {
    let Ok(output) = Command::new(command[0]).args(&command[1..]).output() else {
        missing(command[0]);
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
    let begins = |word: &&str| beginnings.iter().any(|it| word.starts_with(it) && word.len() > it.len() + 1);
    Some(words.filter(begins).map(str::to_owned).collect())
}

#[test]
fn what_the_loader_takes_from_set_user_id_programs_is_denied() {
    let paths = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let beginnings =
        ["LD_", "MALLOC_", "GCONV_", "GETCONF_", "HOSTA", "LOCA", "LOCP", "NIS_", "NLSP", "RES", "TMPD", "TZD"];
    let Some(names) = in_program(&paths, &beginnings) else { return };
    assert_denied("the loader", &names, 25, "");
}

#[test]
fn what_git_reads_is_denied_but_for_who_one_is() {
    let Some(names) = in_program(&["/usr/bin/git"], &["GIT_"]) else { return };
    // The last two are no variables.
    let harmless = "GIT_ADVICE GIT_ALLOC_LIMIT GIT_ALLOW_NULL_SHA1 GIT_AUTHOR_DATE GIT_AUTHOR_EMAIL GIT_AUTHOR_IDENT \
        GIT_AUTHOR_NAME GIT_BASENAME_FACTOR GIT_CHERRY_PICK_HELP GIT_COMMITTER_DATE GIT_COMMITTER_EMAIL \
        GIT_COMMITTER_IDENT GIT_COMMITTER_NAME GIT_DEFAULT_BRANCH GIT_DISABLE_UNTRACKED_CACHE GIT_FLUSH \
        GIT_FORCE_THREADS GIT_FORCE_UNTRACKED_CACHE GIT_GLOB_PATHSPECS GIT_ICASE_PATHSPECS GIT_INDEX_VERSION \
        GIT_LITERAL_PATHSPECS GIT_MERGE_AUTOEDIT GIT_MERGE_VERBOSITY GIT_MMAP_LIMIT GIT_NOGLOB_PATHSPECS \
        GIT_OPTIONAL_LOCKS GIT_PRINT_SHA1_ELLIPSIS GIT_PROGRESS_DELAY GIT_PUSH_OPTION_COUNT GIT_REFLOG_ACTION \
        GIT_TERMINAL_PROMPT GIT_USER_AGENT GIT_COMMONDIR GIT_MAX_HEXSZ";
    assert_denied("git", &names, 100, harmless);
}

#[test]
fn what_postgresql_clients_read_is_denied_but_for_where_and_who() {
    let paths = ["/usr/lib/x86_64-linux-gnu/libpq.so.5", "/usr/lib/aarch64-linux-gnu/libpq.so.5"];
    let Some(names) = in_program(&paths, &["PG"]) else { return };
    let names = names.into_iter().filter(|name| !name.contains('_') && !name.starts_with("PGRES")).collect();
    let harmless = "PGAPPNAME PGCLIENTENCODING PGCONNECT PGDATABASE PGDATESTYLE PGGEQO PGHOST PGLOADBALANCEHOSTS PGPASSWORD \
        PGPORT PGTARGETSESSIONATTRS PGTZ PGUSER";
    assert_denied("libpq", &names, 20, harmless);
}

#[test]
fn what_python_documents_is_denied_but_for_output_and_numbers() {
    let Some(names) = printed(&["python3", "--help-env"], &["PYTHON"]) else { return };
    let harmless = "PYTHONCOERCECLOCALE PYTHONDONTWRITEBYTECODE PYTHONFAULTHANDLER PYTHONHASHSEED PYTHONINTMAXSTRDIGITS \
        PYTHONIOENCODING PYTHONNODEBUGRANGES PYTHONUNBUFFERED PYTHONUTF8 PYTHONWARNDEFAULTENCODING PYTHON_COLORS \
        PYTHON_CPU_COUNT";
    // Older ones do not list them.
    if !names.is_empty() {
        assert_denied("python3", &names, 15, harmless);
    }
}

#[test]
fn what_node_documents_is_denied_but_for_colours() {
    let Some(names) = printed(&["node", "--help"], &["NODE_", "SSL_", "OPENSSL_"]) else { return };
    let harmless = "NODE_DISABLE_COLORS NODE_NO_WARNINGS NODE_PENDING_DEPRECATION NODE_PENDING_PIPE_INSTANCES NODE_ENV";
    assert_denied("node", &names, 10, harmless);
}

#[test]
fn what_go_is_set_up_by_is_denied_but_for_its_target() {
    let Some(names) = printed(&["go", "env"], &["GO", "CGO_", "GCC"]) else { return };
    let harmless = "GOAMD64 GOARCH GOARM64 GOEXE GOFIPS140 GOHOSTARCH GOHOSTOS GOOS GOTELEMETRY GOVERSION";
    assert_denied("go", &names, 25, harmless);
}
