//! Values that env-file readers get wrong, written down and generated.

use proptest::prelude::*;

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
