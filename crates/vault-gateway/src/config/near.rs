//! Which word was probably meant by one that is not known.

/// The one of `known` that `word` was probably meant to be; `None` where two are equally near.
pub(super) fn near<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    // Two edits make anything of a short word.
    let most = if word.len() < 5 { 1 } else { 2 };
    let distance = |known: &str| strsim::osa_distance(&plain(known), &word);
    let least = known.iter().map(|known| distance(known)).min().filter(|least| *least <= most)?;
    let mut nearest = known.iter().copied().filter(|known| distance(known) == least);
    let meant = nearest.next();
    if nearest.next().is_none() { meant } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_near_by_case_separators_or_one_or_two_edits() {
        let known = ["header_bytes", "body_bytes", "head", "rate", "ttl", "prod-a", "prod-b"];
        for (word, meant) in [
            ("header-bytes", Some("header_bytes")),
            ("HEADER_BYTES", Some("header_bytes")),
            ("body_byte", Some("body_bytes")),
            ("bdy_bites", Some("body_bytes")),
            ("haed", Some("head")),
            ("tt", Some("ttl")),
            ("hed__", None),
            ("prod-x", None),
            ("prod-a", Some("prod-a")),
            ("region", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(near(word, &known), meant, "{word}");
        }
    }
}
