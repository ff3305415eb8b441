//! Values that env-file readers get wrong, written down and generated.

use proptest::prelude::*;
use vault_exec::secrets::shell::special_names;

/// Values that have broken readers, or look as if they would.
#[rustfmt::skip]
const HOSTILE: &[&str] = &[
    "", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\n\r", "a\n", "\na", "a\r", "\ra", "a\rb", "a\r\nb",
    " a", "a ", " a ", "\ta\t", "a b", "a  b", "a\tb", "a\nb", "a\nb\nc\n", "a\\\nb", "a \\\nb", "a\nB=c",
    "a'\nB='c", "a\"\nB=\"c", "\nexport B=c", "'", "''", "'''", "'a'", "'a", "a'", "it's", "'\\''", "\\'",
    "'\"'\"'", "\"", "\"\"", "\"a\"", "\"a", "a\"", "\\\"", "a\"b'c", "'\"", "\"'", "'\"`", "`", "`a`",
    "`id`", "a`b", "'`\"", "\\", "\\\\", "\\\\\\", "a\\", "a\\\\", "\\a", "\\n", "\\t", "\\r", "\\0",
    "\\x41", "\\u0041", "\\101", "C:\\new\\table", "\\$HOME", "\\ ", "\\#", "it's\\", "\"it's\"\\", "'\\n",
    "'\"\\", "'\"\\\\", "$", "$$", "$$$", "$HOME", "${HOME}", "${HOME:-x}", "${HOME:=x}", "${HOME:+x}",
    "${HOME?x}", "${A:-${B}}", "${", "}", "${}", "${a", "${a:b}", "${a:-", "$(id)", "$(", "$((1+1))",
    "$'a\\nb'", "$\"a\"", "a$", "$ a", "$1", "$@", "$?", "$_", "$[1+1]", "it's $HOME", "it's $(id)",
    "it's ${HOME}", "%s%n%d", "%", "%%", "#", "# a", "a#", "a #b", "a # b", "#a", "'a' # b", "\"a\" # b",
    "it's # a", "'\"#", ";", "a;b", "; id", "a & b", "a | id", "> /dev/null", "< /dev/null", "&&", "||",
    "!", "!!", "a!b", "~", "~root", "~/a", "*", "?", "[a]", "{a,b}", "{1..3}", "(a)", "()", "() { :; }; id",
    "=", "==", "a=b", "=a", "A=B=C", ":", "a: b", "- a", "export", "export A=b", "null", "true", "0", "-1",
    "1e3", "{}", "[]", "{\"a\": \"b\\n\"}", "[\"it's\"]", "<a href='b'>\"c\"</a>",
    "-----BEGIN KEY-----\nMIIB+/=\n-----END KEY-----\n", "postgres://u:p%40ss'w\"d@h:5432/d?a=b&c=$d#e",
    "\u{1}", "\u{7}", "\u{8}", "\u{b}", "\u{c}", "\u{1b}[31m", "\u{1a}", "\u{1c}", "'\"\u{1c}", "\u{1f}",
    "'\"\u{1f}", "\u{7f}", "\u{85}", "'\"\u{85}", "a\u{85}b", "\u{a0}", "'\"\u{a0}", "\u{a0}'\"", "é", "ß",
    "e\u{301}", "日本語", "😀", "👩‍👩‍👧", "\u{200b}", "\u{200f}", "\u{202e}abc", "\u{2028}", "a\u{2029}b",
    "'\"\u{2028}a", "\u{3000}", "'\"\u{3000}", "\u{feff}", "\u{feff}a", "a\u{feff}", "'\"\u{feff}",
    "\u{fffd}", "\u{fdcf}", "\u{fdd0}", "\u{fdef}", "\u{fdf0}", "\u{fffe}", "\u{ffff}", "\u{1fffe}",
    "\u{d7ff}", "\u{e000}", "\u{10fffd}", "\u{10ffff}", "a\0b", "\0", "a\0",
];

/// The hostile values, every ASCII character alone, between two letters and beside quotes, and some long values.
pub(crate) fn corpus() -> Vec<String> {
    let ascii = ('\0'..='\u{7f}').flat_map(|c| [format!("{c}"), format!("a{c}b"), format!("{c}'\"{c}")]);
    let mut values: Vec<String> = HOSTILE.iter().map(|&value| value.to_owned()).chain(ascii).collect();
    // The name is `V` and four digits, the name and the `=` are six bytes, the quotes one each.
    for line in [65_536, 131_072] {
        values.extend((line - 10..line).map(|length| "x".repeat(length)));
        values.extend((line - 10..line).map(|length| format!("a\n{}\nb", "y".repeat(length))));
    }
    values.push("é'\"$\\\n".repeat(100_000));
    values
}

/// Short texts of the characters that mean something to one reader or another, and any others.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let symbol = prop::sample::select(
        "\n\r\t '\"`\\$#{}()[]:;=-!%&|<>*?~_a0Z\u{1}\u{b}\u{c}\u{1c}\u{1f}\u{7f}\u{85}\u{a0}é\u{2028}\u{3000}\u{feff}\u{fffe}😀"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop_oneof![
        4 => prop::collection::vec(symbol, 0..8).prop_map(String::from_iter),
        1 => any::<String>(),
    ]
}

/// Names that mean something to a reader, a shell or a language, or that a reader could take apart.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "", "_", "__", "a", "A", "A_1", "_1", "1", "1A", "É", "ß", "名", "A B", " A", "A ", "A\t", "\tA", "A\n", "A\nB", "A\r", "A\0",
    "A\0B", "A=", "=A", "A=B", "A-B", "A.B", "a.b.c", "A/B", "A:B", "A+", "A+B", "A[0]", "A[$(id)]", "$A", "${A}", "$(id)", "`id`",
    "A;B", "A&B", "A|B", "A>B", "A#B", "#A", "A'B", "'A'", "A\"B", "\"A\"", "A\\", "\\A", "A!", "A%", "%A", "A*", "A?", "~", "-A",
    "--A", "-n", "-e", "A,B", "A@B", "A^B", "(A)", "{A}", "A~", "\u{feff}A", "A\u{200b}", "A\u{202e}", "A\u{2028}", "A\u{85}",
    "export", "EXPORT", "export A", "set", "unset", "readonly", "declare", "local", "typeset", "alias", "if", "then", "else", "fi",
    "for", "do", "done", "case", "esac", "in", "while", "until", "function", "select", "time", "eval", "exec", "exit", "return",
    "null", "true", "false", "yes", "no", "on", "off", "__proto__", "constructor", "prototype", "toString", "hasOwnProperty",
    "valueOf", "length", "name", "class", "def", "None", "self", "__class__", "__init__", "Environment", "EnvironmentFile", "Unit",
    "Service", "COMPOSE_PROJECT_NAME", "DOTENV_KEY", "DOTENV_CONFIG_PATH", "LD_PRELOAD", "PATH", "HOME", "NODE_OPTIONS",
    "NODE_ENV", "BASH_FUNC_a%%", "BASH_FUNC_a()", "http_proxy", "HTTP_PROXY", "GIT_TOKEN", "DATABASE_URL", "a%b", "A%s", "%s",
];

/// The hostile names, those of shells in each case, and every ASCII character alone and between two letters.
pub(crate) fn names() -> Vec<String> {
    let ascii = ('\0'..='\u{7f}').flat_map(|c| [format!("{c}"), format!("a{c}b"), format!("{c}a"), format!("a{c}")]);
    let shells = special_names().flat_map(|name| [name.to_owned(), name.to_lowercase(), name.to_uppercase()]);
    let mut names: Vec<_> = NAMES.iter().map(|name| (*name).to_owned()).chain(ascii).chain(shells).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Names of the characters that mean something to one reader or another, and those that mean something as a whole.
pub(crate) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[A-Za-z_][A-Za-z0-9_]{0,5}",
        2 => "[A-Za-z_=#'\"$`\\\\. \t\n:;%{}()+-]{1,5}",
        2 => prop::sample::select(names()),
        1 => text(),
    ]
}
