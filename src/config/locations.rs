//! Which secrets are read: those of `VAULT_PATH`, in its order.

use super::setting;
use super::value::{PathFault, paths};
use vault_client::kv::Location;
use vault_client::settings::value::segments;
use vault_client::settings::{Found, Reader};

/// The secrets to read, in this order; one at least, and none of them twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    first: Location,
    others: Vec<Location>,
}

impl Locations {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Location> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The one, where there are no others.
    pub fn only(&self) -> Option<&Location> {
        Some(&self.first).filter(|_| self.others.is_empty())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    fn new(paths: Vec<String>, mount: &str, version: Option<u64>) -> Option<Self> {
        let mut all = paths.into_iter().map(|path| Location { mount: mount.to_owned(), path, version });
        Some(Self { first: all.next()?, others: all.collect() })
    }
}

/// Reads which secrets are meant. Returns `None` only if a fault was recorded.
pub(super) fn read(reader: &mut Reader) -> Option<Locations> {
    let found = reader.find(&setting::PATH);
    let paths = found.as_ref().and_then(|found| read_paths(reader, found));
    reader.demand(&setting::PATH, "set it to the secret's path, e.g. myapp/prod");
    let mount = reader.value(&setting::MOUNT_POINT, segments);
    let version = reader.value(&setting::SECRET_VERSION, |text| match text {
        "latest" => Ok(None),
        number => match number.parse() {
            Ok(0) | Err(_) => Err("not a version; write a number from 1 on, or leave it out for the latest"),
            Ok(number) => Ok(Some(number)),
        },
    });
    if version.is_some()
        && found.is_some_and(|it| it.text.contains(','))
        && let Some(Found { name, text }) = reader.find(&setting::SECRET_VERSION)
    {
        let cause = "the version of one secret, and VAULT_PATH names several; leave it out, or write one path";
        reader.fault(name, Some(text), cause);
    }
    Locations::new(paths?, &mount, version)
}

fn read_paths(reader: &mut Reader, Found { name, text }: &Found) -> Option<Vec<String>> {
    let read = match reader.refused(text) {
        Some(cause) => Err(vec![PathFault { held: text, cause }]),
        None => paths(text, |path| reader.refused(path)),
    };
    match read {
        Ok(paths) => Some(paths),
        Err(faults) => {
            for PathFault { held, cause } in faults {
                reader.fault(name.clone(), Some(held.to_owned()), cause);
            }
            None
        }
    }
}
