//! The one type for what must not be seen: tokens, the JWT, values of secrets.

use std::fmt;

use zeroize::Zeroizing;

/// A text that is never printed and is wiped when it is dropped.
///
/// There is no `Display`, no `Clone` and no comparison: whoever needs the text calls [`Secret::expose`], and those
/// places can be counted.
///
/// # Examples
///
/// ```
/// use vault_client::Secret;
///
/// let token = Secret::new("hvs.example");
/// assert_eq!(format!("{token:?}"), "Secret(***)");
/// assert_eq!(token.expose(), "hvs.example");
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` over; its buffer is wiped on drop, copies made before are the caller's affair.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Hand it to the wire, the environment or the file, and to nothing that prints.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Takes the text over without a copy.
impl From<Zeroizing<String>> for Secret {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_the_text_nor_its_length() {
        assert_eq!(format!("{:?} {:#?}", Secret::new("hunter2"), Secret::new("")), "Secret(***) Secret(***)");
    }
}
