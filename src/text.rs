//! What a server says, made fit for one line of a log: flat, escaped, cut, and free of every secret known here.

use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

/// Longer texts are cut.
const MAX_CHARS: usize = 300;

/// Shorter pieces are no secrets worth the name, and replacing them would garble the rest.
const MIN_SECRET: usize = 6;

/// The secrets that this process has seen or sent, to be struck out of what comes back.
///
/// # Examples
///
/// ```
/// use vault_exec::text::Scrubber;
///
/// let scrubber = Scrubber::default();
/// scrubber.learn("hvs.example");
/// assert_eq!(scrubber.clean(&["1 error:\n\t* no token hvs.example"]), "1 error: * no token ***");
/// ```
#[derive(Default)]
pub struct Scrubber(Mutex<Vec<Zeroizing<String>>>);

impl Scrubber {
    /// Strikes `secret` out from now on, and each long part of it: of a JWT a server may repeat the payload alone.
    pub fn learn(&self, secret: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = secret.split('.').filter(|part| part.len() >= 16);
        for piece in std::iter::once(secret).chain(parts).filter(|piece| piece.len() >= MIN_SECRET) {
            if !known.iter().any(|k| k.as_str() == piece) {
                known.push(Zeroizing::new(piece.to_owned()));
            }
        }
        known.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    }

    /// The server's `texts` as one.
    pub fn clean(&self, texts: &[&str]) -> String {
        let flat = |text: &&str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut text = texts.iter().map(flat).collect::<Vec<_>>().join(", ");
        for secret in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text = text.replace(secret.as_str(), "***");
        }
        let mut out = String::new();
        for (n, c) in text.chars().enumerate() {
            if n == MAX_CHARS {
                out.push('…');
                break;
            }
            push_escaped(c, &mut out);
        }
        out
    }
}

/// `text` with everything escaped that could move the cursor, colour the terminal or turn the line's direction.
///
/// # Examples
///
/// ```
/// assert_eq!(vault_exec::text::escaped("\u{1b}[31mred, Grün"), r"\u{1b}[31mred, Grün");
/// ```
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(c, &mut out));
    out
}

fn push_escaped(c: char, out: &mut String) {
    // Bidirectional marks: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_whole_and_in_parts_before_the_text_is_cut() {
        let scrubber = Scrubber::default();
        scrubber.learn("hvs.abcdefghijklmnopqrst");
        scrubber.learn("x");
        let text = format!("{} token hvs.abcdefghijklmnopqrst (abcdefghijklmnopqrst) x", "é".repeat(280));
        assert_eq!(scrubber.clean(&[&text]), format!("{} token *** (***) x", "é".repeat(280)));
        assert_eq!(scrubber.clean(&[&"é".repeat(301)]), format!("{}…", "é".repeat(300)));
    }

    #[test]
    fn several_lines_become_one_and_control_characters_are_escaped() {
        let said = ["1 error occurred:\n\t* permission denied\n\n", "\u{1b}[31mred\u{202e}"];
        let expected = "1 error occurred: * permission denied, \\u{1b}[31mred\\u{202e}";
        assert_eq!(Scrubber::default().clean(&said), expected);
    }
}
