//! Names that shells have a use for themselves: a value that is assigned to one of them is evaluated, changed, refused or
//! obeyed, and does not reach the application as it is.

use std::sync::LazyLock;

use super::patterns::Patterns;

/// A shell, and the names that mean something to it: those of its manual and those of its source, spelt exactly.
struct Shell {
    name: &'static str,
    special: &'static str,
}

/// Integer variables, and others whose values a shell evaluates as arithmetic, where `a[$(command)]` runs the command.
///
/// `bash`, `ksh`, `mksh` and `zsh` show their attributes with `typeset -p`; the rest is what zsh's source asks for with
/// `getiparam`, and the limits of its `REPORTTIME` and `REPORTMEMORY`.
pub(super) const ARITHMETIC: &str = "\
     BASHPID BAUD COLUMNS DIRSTACKSIZE EGID ERRNO EUID FUNCNEST GID HISTCMD HISTSIZE JOBMAX KEYTIMEOUT KSHEGID KSHGID \
     KSHUID LINENO LINES LISTMAX LOGCHECK MAILCHECK OPTIND PERIOD PGRP PIPESTATUS PPID RANDOM REPORTMEMORY REPORTTIME \
     SAVEHIST SECONDS SHLVL SRANDOM TMOUT TRY_BLOCK_ERROR TRY_BLOCK_INTERRUPT UID USER_ID ZFTP_TMOUT \
     ZLE_RPROMPT_INDENT";

const SHELLS: [Shell; 7] = [
    // <https://www.gnu.org/software/bash/manual/html_node/Shell-Variables.html>, what `variables.c` sets up and watches
    Shell {
        name: "bash",
        special: "BASH BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND \
                  BASH_COMPAT BASH_ENV BASH_EXECUTION_STRING BASH_LINENO BASH_LOADABLES_PATH BASH_MONOSECONDS \
                  BASH_REMATCH BASH_SOURCE BASH_SUBSHELL BASH_TRAPSIG BASH_VERSINFO BASH_VERSION BASH_XTRACEFD \
                  CDPATH CHILD_MAX COLUMNS COMPREPLY COMP_CWORD COMP_KEY COMP_LINE COMP_POINT COMP_TYPE \
                  COMP_WORDBREAKS COMP_WORDS COPROC DIRSTACK EMACS ENV EPOCHREALTIME EPOCHSECONDS EUID EXECIGNORE \
                  FCEDIT FIGNORE FUNCNAME FUNCNEST GLOBIGNORE GLOBSORT GROUPS HISTCMD HISTCONTROL HISTFILE \
                  HISTFILESIZE HISTIGNORE HISTSIZE HISTTIMEFORMAT HOME HOSTFILE HOSTNAME HOSTTYPE IFS IGNOREEOF \
                  INPUTRC INSIDE_EMACS LANG LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES LC_NUMERIC LC_TIME LINENO LINES \
                  MACHTYPE MAIL MAILCHECK MAILPATH MAPFILE OLDPWD OPTARG OPTERR OPTIND OSTYPE PATH PIPESTATUS \
                  POSIXLY_CORRECT POSIX_PEDANTIC PPID PROMPT_COMMAND PROMPT_DIRTRIM PS0 PS1 PS2 PS3 PS4 PWD RANDOM \
                  READLINE_ARGUMENT READLINE_LINE READLINE_MARK READLINE_POINT REPLY SECONDS SHELL SHELLOPTS SHLVL \
                  SRANDOM SSH2_CLIENT SSH_CLIENT TERM TERMCAP TERMINFO TEXTDOMAIN TEXTDOMAINDIR TIMEFORMAT TMOUT \
                  TMPDIR TZ UID _ auto_resume histchars",
    },
    // <https://zsh.sourceforge.io/Doc/Release/Parameters.html>, what `Src/params.c` sets up, and what the modules give:
    // <https://zsh.sourceforge.io/Doc/Release/Zsh-Modules.html>
    Shell {
        name: "zsh",
        special: "ARGC ARGV0 BAUD CDPATH COLUMNS CORRECT_IGNORE CORRECT_IGNORE_FILE CPUTYPE DIRSTACKSIZE EGID ENV \
                  EPOCHREALTIME EPOCHSECONDS ERRNO EUID FCEDIT FIGNORE FPATH FUNCNEST GID HISTCHARS HISTCMD HISTFILE \
                  HISTORY_IGNORE HISTSIZE HOME HOST IFS KEYBOARD_HACK KEYTIMEOUT LANG LC_ALL LC_COLLATE LC_CTYPE \
                  LC_MESSAGES LC_NUMERIC LC_TIME LINENO LINES LISTMAX LOGCHECK LOGNAME MACHTYPE MAIL MAILCHECK \
                  MAILPATH MANPATH MATCH MBEGIN MEND MENUSELECT MODULE_PATH NULLCMD OLDPWD OPTARG OPTIND OSTYPE PATH \
                  PERIOD POSTEDIT PPID PROMPT PROMPT2 PROMPT3 PROMPT4 PROMPT_EOL_MARK PS1 PS2 PS3 PS4 PSVAR PWD \
                  RANDOM READNULLCMD REPLY REPORTMEMORY REPORTTIME RPROMPT RPROMPT2 RPS1 RPS2 SAVEHIST SECONDS SHLVL \
                  SPROMPT SRANDOM STTY TERM TERMINFO TERMINFO_DIRS TIMEFMT TMOUT TMPPREFIX TMPSUFFIX TRY_BLOCK_ERROR \
                  TRY_BLOCK_INTERRUPT TTY TTYIDLE UID USERNAME VENDOR WATCH WATCHFMT WORDCHARS ZBEEP ZCURSES_COLORS \
                  ZCURSES_COLOR_PAIRS ZDOTDIR ZFTP_ACCOUNT ZFTP_CODE ZFTP_COUNT ZFTP_FILE ZFTP_HOST ZFTP_IP \
                  ZFTP_PORT ZFTP_PREFS ZFTP_PWD ZFTP_REPLY ZFTP_SESSION ZFTP_SIZE ZFTP_SYSTEM ZFTP_TMOUT \
                  ZFTP_TRANSFER ZFTP_TYPE ZFTP_USER ZFTP_VERBOSE ZLE_LINE_ABORTED ZLE_REMOVE_SUFFIX_CHARS \
                  ZLE_RPROMPT_INDENT ZLE_SPACE_SUFFIX_CHARS ZLS_COLORS ZLS_COLOURS ZSH_ARGZERO ZSH_EVAL_CONTEXT \
                  ZSH_EXECUTION_STRING ZSH_EXEPATH ZSH_NAME ZSH_PATCHLEVEL ZSH_SCRIPT ZSH_SUBSHELL ZSH_VERSION _ \
                  aliases argv builtins cdpath commands dirstack dis_aliases dis_builtins dis_functions \
                  dis_functions_source dis_galiases dis_patchars dis_reswords dis_saliases epochtime errnos fignore \
                  fpath funcfiletrace funcsourcetrace funcstack functions functions_source functrace galiases \
                  histchars history historywords jobdirs jobstates jobtexts keymaps langinfo mailpath manpath \
                  mapfile match mbegin mend module_path modules nameddirs options parameters patchars path \
                  pipestatus prompt psvar reply reswords saliases signals status sysparams termcap terminfo userdirs \
                  usergroups watch widgets zcurses_attrs zcurses_colors zcurses_keycodes zcurses_windows \
                  zle_bracketed_paste zle_cursorform zle_highlight zsh_eval_context zsh_scheduled_events",
    },
    // <https://github.com/ksh93/ksh>, `src/cmd/ksh93/data/variables.c`; `A__z` carries attributes to the next ksh
    Shell {
        name: "ksh",
        special: "A__z CDPATH COLUMNS EDITOR ENV FCEDIT FIGNORE FPATH HISTCMD HISTEDIT HISTFILE HISTSIZE HOME IFS JOBMAX \
                  KSH_VERSION LANG LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES LC_NUMERIC LC_TIME LINENO LINES MAIL \
                  MAILCHECK MAILPATH OLDPWD OPTARG OPTIND PATH PPID PS1 PS2 PS3 PS4 PWD RANDOM REPLY SECONDS SHELL \
                  SHLVL SRANDOM TIMEFORMAT TMOUT VISUAL _",
    },
    // <http://www.mirbsd.org/htman/i386/man1/mksh.htm#Parameters>, `var_spec.h` and what `main.c` sets up
    Shell {
        name: "mksh",
        special: "BASHPID CDPATH COLUMNS ENV EPOCHREALTIME EXECSHELL FCEDIT FPATH HISTFILE HISTSIZE HOME IFS KSHEGID \
                  KSHGID KSHUID KSH_MATCH KSH_VERSION LANG LC_ALL LC_CTYPE LINENO LINES OLDPWD OPTARG OPTIND PATH \
                  PATHSEP PGRP PIPESTATUS PPID PS1 PS2 PS3 PS4 PWD RANDOM REPLY SDMKSH_PATH SECONDS SHELL TERM TMOUT \
                  TMPDIR USER_ID _",
    },
    // <https://git.busybox.net/busybox/tree/shell/ash.c>, `varinit_data`, and the names that it sets or asks for
    Shell {
        name: "busybox",
        special: "BASH_XTRACEFD CDPATH ENV EPOCHREALTIME EPOCHSECONDS FUNCNAME HISTFILE HISTFILESIZE HOME HOSTNAME \
                  IFS LANG LC_ALL LC_CTYPE LINENO MAIL MAILPATH OLDPWD OPTARG OPTERR OPTIND PATH PPID PS1 PS2 PS4 \
                  PWD RANDOM REPLY SHLVL TMOUT _",
    },
    // <https://man7.org/linux/man-pages/man1/dash.1.html#ENVIRONMENT>, `varinit` in `src/var.c`
    Shell {
        name: "dash",
        special: "CDPATH ENV FCEDIT HISTSIZE HOME IFS LC_ALL LC_CTYPE LINENO MAIL MAILCHECK MAILPATH OLDPWD OPTARG \
                  OPTIND PATH PPID PS1 PS2 PS4 PWD TERM _",
    },
    // <https://magicant.github.io/yash/doc/params.html>, `variable.h`
    Shell {
        name: "yash",
        special: "CDPATH COLUMNS COMMAND COMMAND_NOT_FOUND_HANDLER DIRSTACK ECHO_STYLE ENV FCEDIT HANDLED HISTFILE \
                  HISTRMDUP HISTSIZE HOME IFS LANG LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES LC_MONETARY LC_NUMERIC \
                  LC_TIME LINENO LINES MAIL MAILCHECK MAILPATH NLSPATH OLDPWD OPTARG OPTIND PATH POST_PROMPT_COMMAND \
                  PPID PROMPT_COMMAND PS1 PS1P PS1R PS1S PS2 PS2P PS2R PS2S PS4 PS4S PWD RANDOM TARGETWORD TERM \
                  WORDS XDG_CONFIG_HOME YASH_AFTER_CD YASH_LE_TIMEOUT YASH_LOADPATH YASH_PS1 YASH_PS1P YASH_PS1R \
                  YASH_PS1S YASH_PS2 YASH_PS2P YASH_PS2R YASH_PS2S YASH_PS4 YASH_PS4S YASH_VERSION",
    },
];

static SPECIAL: LazyLock<[(&str, Patterns); 7]> =
    LazyLock::new(|| SHELLS.map(|shell| (shell.name, Patterns::new(shell.special.split_whitespace()))));

/// The shell that has a use of its own for variables of this name, if there is one.
///
/// # Examples
///
/// ```
/// use vault_exec::secrets::shell::special_to;
///
/// assert_eq!(special_to("RANDOM"), Some("bash"));
/// assert_eq!(special_to("USERNAME"), Some("zsh"));
/// assert_eq!(special_to("DATABASE_URL"), None);
/// ```
pub fn special_to(name: &str) -> Option<&'static str> {
    SPECIAL.iter().find(|(_, special)| special.holds(name)).map(|(shell, _)| *shell)
}

/// Every name that is special to a shell.
pub fn special_names() -> impl Iterator<Item = &'static str> {
    SHELLS.iter().flat_map(|shell| shell.special.split_whitespace())
}

/// Every name whose value some shell evaluates.
pub fn arithmetic_names() -> impl Iterator<Item = &'static str> {
    ARITHMETIC.split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_arithmetic_to_a_shell_is_special_to_it() {
        assert!(arithmetic_names().all(|name| special_to(name).is_some()));
    }
}
