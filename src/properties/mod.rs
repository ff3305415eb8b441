//! What holds for any input, however hostile. Each property is a function that panics where it does not hold: a fuzzer
//! calls it with whatever it finds (`just fuzz`), and the tests here with inputs that are nearly right.

mod answer;
mod durations;
mod formats;
mod retry_after;
mod settings;

pub use answer::answer;
pub use durations::durations;
pub use formats::formats;
pub use retry_after::retry_after;
pub use settings::settings;

use vault_client::text::escaped;

/// A token that must not be seen.
const TOKEN: &str = "hvs.CAESIPlantedTokenThatNobodyMaySee";

/// A value that must not be seen.
const VALUE: &str = "planted-value-that-nobody-may-see";

/// A message is one line, which neither moves the cursor nor turns the direction of the text.
fn is_one_line(message: &str) {
    assert_eq!(escaped(message), message, "more than one plain line");
}

/// None of `secrets` stands in `message`.
fn hides(secrets: &[&str], message: &str) {
    assert!(!secrets.iter().any(|secret| message.contains(secret)), "a secret in {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs that a fuzzer starts from, and those that have once shown a fault.
    #[test]
    fn the_properties_hold_for_the_seeds() {
        fn hold(name: &str, property: fn(&[u8])) {
            let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(name);
            let files: Vec<_> = seeds.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(!files.is_empty(), "{name}");
            for file in files {
                property(&std::fs::read(file).unwrap());
            }
        }
        hold("answer", answer);
        hold("durations", durations);
        hold("formats", formats);
        hold("retry_after", retry_after);
        hold("settings", settings);
    }
}
