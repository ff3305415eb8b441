//! What a write sends. The buffers hold a secret: they are wiped, those that were outgrown too.

use std::io;

use serde::Serialize;
use zeroize::Zeroizing;

use super::Cas;
use crate::fault::Shape;

/// A buffer that wipes what it outgrows.
#[derive(Default)]
struct Wiped(Zeroizing<Vec<u8>>);

impl io::Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity()).max(256)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body of a write of `data`.
///
/// # Errors
///
/// Why it cannot be sent.
pub fn of_write(data: &impl Serialize, cas: Cas) -> Result<Zeroizing<Vec<u8>>, Shape> {
    let mut written = Wiped::default();
    serde_json::to_writer(&mut written, data).map_err(|_| Shape::NoJson)?;
    match std::str::from_utf8(&written.0) {
        Ok(json) if json.starts_with('{') => Ok(of_json(json, cas)),
        _ => Err(Shape::NoObject),
    }
}

/// The body of a write of what is JSON already.
pub fn of_json(data: &str, cas: Cas) -> Zeroizing<Vec<u8>> {
    let options = match cas {
        Cas::Any => String::new(),
        Cas::New => r#","options":{"cas":0}"#.to_owned(),
        Cas::At(version) => format!(r#","options":{{"cas":{version}}}"#),
    };
    Zeroizing::new([br#"{"data":"#, data.as_bytes(), options.as_bytes(), b"}"].concat())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_body_is_the_data_and_the_version_that_it_goes_on_top_of() {
        let data = BTreeMap::from([("K", "v\"w")]);
        for (cas, expected) in [
            (Cas::Any, r#"{"data":{"K":"v\"w"}}"#),
            (Cas::New, r#"{"data":{"K":"v\"w"},"options":{"cas":0}}"#),
            (Cas::At(7), r#"{"data":{"K":"v\"w"},"options":{"cas":7}}"#),
        ] {
            let body = of_write(&data, cas).unwrap();
            assert_eq!(std::str::from_utf8(&body), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for refused in [of_write(&"text", Cas::Any), of_write(&[1], Cas::Any), of_write(&None::<u8>, Cas::Any)] {
            assert_eq!(refused.err(), Some(Shape::NoObject));
        }
    }
}
