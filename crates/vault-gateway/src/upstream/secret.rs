//! A version of a secret as callers get it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderValue;
use bytes::Bytes;
use serde_json::value::RawValue;
use vault_client::{KvData, VaultError};
use zeroize::Zeroizing;

use crate::cache::Weighed;

/// A version of a secret. Its bytes are wiped when the last who holds them drops them.
#[derive(Clone)]
pub struct Secret {
    /// The whole answer: `{"data":{…},"version":3,"created_time":"…Z"}`.
    pub body: Bytes,
    /// Where the object under `data` is in the body.
    pub data_range: Range<usize>,
    /// The number of the version, from 1 on.
    pub version: u64,
    /// The version as an entity tag: `"3"`. [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3)
    pub etag: HeaderValue,
    /// When the version was written, RFC 3339.
    pub created_time: Arc<str>,
    /// Vault's id of the read.
    pub vault_request_id: Option<Arc<str>>,
    /// When the read began.
    pub read: Instant,
}

/// Bytes that are wiped.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Secret {
    /// The answer that is made of `read`, which began at `began`.
    ///
    /// # Errors
    ///
    /// The data are no JSON, which the client has seen to.
    pub(super) fn of(read: &KvData, began: Instant) -> Result<Self, VaultError> {
        let data = Zeroizing::new(String::from(Box::<str>::from(read.parse::<Box<RawValue>>()?)));
        let version = read.metadata.version;
        let created_time: Arc<str> = humantime::format_rfc3339(read.metadata.created_time).to_string().into();
        let (head, tail) = (r#"{"data":"#, format!(r#","version":{version},"created_time":"{created_time}"}}"#));
        // Of the size that it has in the end: a buffer that grows would leave copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(head.len() + data.len() + tail.len()));
        for part in [head, &data, &tail] {
            body.extend_from_slice(part.as_bytes());
        }
        Ok(Self {
            body: Bytes::from_owner(Wiped(body)),
            data_range: head.len()..head.len() + data.len(),
            version,
            etag: tag(version),
            created_time,
            vault_request_id: read.request_id.as_deref().map(Arc::from),
            read: began,
        })
    }

    /// The object under `data`, compact JSON.
    pub fn data(&self) -> &[u8] {
        self.body.get(self.data_range.clone()).unwrap_or_default()
    }
}

/// The entity tag of a version: `"3"`.
pub fn tag(version: u64) -> HeaderValue {
    // Digits and quotes are what a header may hold.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

impl Weighed for Secret {
    fn bytes(&self) -> usize {
        self.body.len() + size_of::<Self>()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("version", &self.version).finish_non_exhaustive()
    }
}
