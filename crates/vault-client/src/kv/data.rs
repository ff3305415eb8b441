//! What a read brings.

use std::fmt;

use serde::de::DeserializeOwned;

use super::model::KvVersion;
use crate::error::{Effort, VaultError};
use crate::fault::{Shape, What};
use crate::json::{Json, Object};
use crate::secret::Secret;
use crate::step::Step;

/// A version of a secret. Its values are wiped when it is dropped, and no `Debug` shows them.
///
/// It is not `Serialize`: who hands values on takes them out on purpose, by [`KvData::text`] or [`KvData::parse`].
pub struct KvData {
    /// Keys and values.
    pub data: Fields,
    /// Which version it is.
    pub metadata: KvVersion,
    /// The server's id of the read, which its audit log has too.
    pub request_id: Option<String>,
    origin: Box<(String, Step)>,
}

impl KvData {
    pub(super) fn new(
        data: &Object,
        metadata: KvVersion,
        request_id: Option<String>,
        (at, step): (&str, &Step),
    ) -> Self {
        Self { data: Fields::new(data), metadata, request_id, origin: Box::new((at.to_owned(), step.clone())) }
    }

    /// The text under `key`; `None` where there is no such key, or no text under it.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.data.get(key).and_then(Field::text)
    }

    /// All of it as the caller's type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) where a key that the type needs is missing, or a value is of another type. No value is in the
    /// error's text.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// #[derive(serde::Deserialize)]
    /// struct Database {
    ///     username: String,
    ///     port: u16,
    /// }
    ///
    /// let vault = vault_client::VaultClient::from_env()?;
    /// let database: Database = vault.kv_read("secret", "shop/database")?.parse()?;
    /// # Ok::<(), vault_client::VaultError>(())
    /// ```
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, VaultError> {
        serde_json::from_str(&self.data.json.compact()).map_err(|error| {
            let said = error.to_string();
            // Derived code names what is missing by the type's own field; any other text can quote a value.
            let missing = said.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
            self.shape(match missing {
                Some((key, _)) => Shape::Missing(crate::text::name(key)),
                None => Shape::OtherType,
            })
        })
    }

    pub(crate) fn shape(&self, shape: Shape) -> VaultError {
        let (at, step) = &*self.origin;
        VaultError::new(at, step.clone(), What::Shape(shape).into(), Effort::default())
    }
}

impl fmt::Debug for KvData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvData")
            .field("data", &self.data)
            .field("metadata", &self.metadata)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Keys and values of a secret, in the order received.
pub struct Fields {
    json: Json,
    fields: Vec<(String, Field)>,
}

/// A value of a secret.
pub struct Field(Value);

enum Value {
    Text(Secret),
    Other(Json),
}

impl Field {
    /// The text, where the value is one.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Value::Text(text) => Some(text.expose()),
            Value::Other(_) => None,
        }
    }

    /// The value as JSON, numbers as they were written.
    pub fn json(&self) -> Secret {
        match &self.0 {
            Value::Text(text) => Secret::new(serde_json::to_string(text.expose()).unwrap_or_default()),
            Value::Other(json) => json.compact().into(),
        }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field(***)")
    }
}

impl Fields {
    fn new(data: &Object) -> Self {
        let field = |json: Json| match json.string() {
            Some(text) => Field(Value::Text(text.into())),
            None => Field(Value::Other(json)),
        };
        let fields = data.iter().map(|(key, json)| (key.into_owned(), field(json))).collect();
        Self { json: data.json(), fields }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Field> {
        self.iter().find(|(name, _)| *name == key).map(|(_, field)| field)
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields.iter().map(|(key, field)| (key.as_str(), field))
    }

    /// All of it as JSON.
    pub(super) fn compact(&self) -> zeroize::Zeroizing<String> {
        self.json.compact()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
