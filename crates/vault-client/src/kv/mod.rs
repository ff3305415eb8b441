//! Secrets of the KV version 2 engine: reads, writes, and the history of a secret.
//! [API](https://openbao.org/api-docs/secret/kv/kv-v2/)

mod body;
mod data;
mod explain;
mod model;
mod read;

use std::sync::Arc;

use serde::Serialize;

use crate::caller::Caller;
use crate::endpoint::{self, Endpoint};
use crate::error::{Effort, VaultError};
use crate::fault::{ErrorKind, Fault, Shape, What};
use crate::http::path::{self, encode};
use crate::http::{Answer, Method, Request};
use crate::json;
use crate::rounds::Rounds;
use crate::step::{Step, TokenOf, Verb};
use crate::text::shown;
use crate::token::Revoked;
pub use data::{Field, Fields, KvData};
pub use explain::{Explained, Mount};
pub use model::{KvConfig, KvMetadata, KvVersion, MetadataOptions};
pub use read::{Location, Version};

/// Check-and-set: on top of which version a write may go.
/// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#create-update-secret)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cas {
    /// Any, or none.
    Any,
    /// None: the path has never been written. A deleted version counts as written.
    New,
    /// This one, which must be the latest.
    At(u64),
}

/// A KV version 2 mount. Paths are given without `data/` and are encoded here: everything may stand in them but empty
/// segments, `.`, `..` and control characters. Slashes at both ends are left out.
#[derive(Clone, Debug)]
pub struct Kv {
    caller: Caller,
    mount: String,
}

impl Kv {
    pub(crate) fn new(caller: Caller, mount: &str) -> Self {
        Self { caller, mount: mount.trim_matches('/').to_owned() }
    }

    /// Reads the latest version of `path`. [API](https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-version)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no such secret, or its latest version was deleted or destroyed;
    /// [`ErrorKind::Denied`] where no policy allows it; [`ErrorKind::Rejected`] where the mount is none of KV version 2.
    pub fn read(&self, path: &str) -> Result<KvData, VaultError> {
        self.read_one(path, None)
    }

    /// Reads a version of `path`, from 1 on. [API](https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-version)
    ///
    /// # Errors
    ///
    /// As for [`Kv::read`], of that version.
    pub fn read_version(&self, path: &str, version: u64) -> Result<KvData, VaultError> {
        self.read_one(path, Some(version))
    }

    /// Refuses version 0, which the server takes for the latest.
    fn demand_versions(&self, step: &Step, versions: &[u64]) -> Result<(), VaultError> {
        if versions.contains(&0) { Err(self.failed(step, What::NoVersion)) } else { Ok(()) }
    }

    /// Refuses to change anything in a mount of KV version 1, where the server would take it for a secret of its own.
    fn demand_version_2(&self, step: &Step) -> Result<(), VaultError> {
        let is_version_1 = self.caller.is_version_1(&self.mount, &self.mount_url(step)?)?;
        if is_version_1 { Err(self.failed(step, What::Version1)) } else { Ok(()) }
    }

    /// What is not there may be in a mount of KV version 1. No token is made to find that out.
    fn or_version_1(&self, error: VaultError, step: &Step) -> VaultError {
        let looks_so = error.kind() == ErrorKind::NotFound && error.version().is_none() && !self.caller.reads_inline();
        let other = if looks_so { self.demand_version_2(step).err() } else { None };
        other.filter(|it| it.kind() == ErrorKind::Rejected).unwrap_or(error)
    }

    /// The mount.
    pub(crate) fn mount(&self) -> &str {
        &self.mount
    }

    /// The server that it is asked at.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.caller.endpoint()
    }

    /// Ends the client, as [`VaultClient::close`](crate::VaultClient::close) does.
    pub(crate) fn close_the_client(&self) -> Revoked {
        self.caller.close()
    }

    /// The same, whose reads use the kept token.
    pub(crate) fn with_the_token(&self) -> Self {
        Self { caller: self.caller.with_the_token(), mount: self.mount.clone() }
    }

    /// The same for reads in the background.
    pub(crate) fn in_the_background(&self) -> Self {
        Self { caller: self.caller.in_the_background(), mount: self.mount.clone() }
    }

    /// What the client reads again and again.
    ///
    /// # Errors
    ///
    /// The kernel gives no descriptors, or the client was closed.
    pub(crate) fn rounds(&self, path: &str) -> Result<Arc<Rounds>, VaultError> {
        let rounds = self.caller.rounds().map_err(|refused| self.failed_read(path, What::Forbidden(refused)))?;
        // A close that comes from here on ends them; one that came before did not know of them.
        if self.caller.keeper().is_closed() { Err(VaultError::closed()) } else { Ok(rounds) }
    }

    /// The error of a read of `path`.
    pub(crate) fn failed_read(&self, path: &str, what: What) -> VaultError {
        self.failed(&self.step_of_read(path, None), what)
    }

    fn step_of_read(&self, path: &str, version: Option<u64>) -> Step {
        Step::Read { mount: shown(&self.mount), path: shown(path), version, token: TokenOf::Login }
    }

    fn read_one(&self, path: &str, version: Option<u64>) -> Result<KvData, VaultError> {
        let step = self.step_of_read(path, version);
        self.demand_versions(&step, version.as_slice())?;
        let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let url = self.url("data", path, &step)? + &query;
        let read = |answer: &Answer, endpoint: &Endpoint, request: &Request| {
            read::versioned(answer, endpoint, &step, request)
                .map(|(data, metadata, id)| KvData::new(&data, metadata, id, (endpoint.at(), &step)))
        };
        self.caller.run(&step, &Request::get(&url), &read).map_err(|error| self.or_version_1(error, &step))
    }

    /// Writes `data`, which must serialise as an object, as a new version of `path`.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#create-update-secret)
    ///
    /// A write that may have been done is not sent twice: an error whose text says that the outcome is not known leaves it
    /// to the caller to look.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] where `cas` names another version than the latest; [`ErrorKind::Shape`] where `data` is no
    /// object; [`ErrorKind::Rejected`] where the secret is too large, or the mount demands a version and `cas` is
    /// [`Cas::Any`].
    pub fn write(&self, path: &str, data: &impl Serialize, cas: Cas) -> Result<KvVersion, VaultError> {
        let step = self.step(Verb::Write, path);
        let body = body::of_write(data, cas).map_err(|shape| self.failed(&step, What::Shape(shape)))?;
        self.put(&step, Method::Post, path, &body)
    }

    /// Merges `data` into the latest version of `path`: a member that is null is taken out, all others replace or add.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#patch-secret)
    ///
    /// # Errors
    ///
    /// As for [`Kv::write`], and [`ErrorKind::NotFound`] where there is no latest version to merge into. The policy has to
    /// allow `patch`.
    pub fn patch(&self, path: &str, data: &impl Serialize, cas: Cas) -> Result<KvVersion, VaultError> {
        let step = self.step(Verb::Patch, path);
        let body = body::of_write(data, cas).map_err(|shape| self.failed(&step, What::Shape(shape)))?;
        self.put(&step, Method::Patch, path, &body)
    }

    /// Writes the data of version `version` of `path` as a new version, if no other is written meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`Kv::read_version`] and [`Kv::write`].
    pub fn rollback(&self, path: &str, version: u64) -> Result<KvVersion, VaultError> {
        self.demand_versions(&self.step(Verb::Write, path), &[version])?;
        self.rollback_if(path, version, Cas::At(self.latest(path)?))
    }

    /// The same, with the version that it goes on top of as the caller knows it.
    ///
    /// # Errors
    ///
    /// As for [`Kv::rollback`].
    pub fn rollback_if(&self, path: &str, version: u64, cas: Cas) -> Result<KvVersion, VaultError> {
        let data = self.read_version(path, version)?.data;
        let step = self.step(Verb::Write, path);
        self.put(&step, Method::Post, path, &body::of_json(&data.compact(), cas))
    }

    /// The number of the latest version, deleted or not.
    fn latest(&self, path: &str) -> Result<u64, VaultError> {
        match self.read(path) {
            Ok(data) => Ok(data.metadata.version),
            Err(error) => error.version().ok_or(error),
        }
    }

    fn put(&self, step: &Step, method: Method, path: &str, body: &[u8]) -> Result<KvVersion, VaultError> {
        self.demand_version_2(step)?;
        let url = self.url("data", path, step)?;
        let read = |answer: &Answer, endpoint: &Endpoint, request: &Request| {
            if answer.status == 204 {
                return Err(Fault { status: Some(204), ..What::StoredInVersion1.into() });
            }
            read::written(answer).map_err(|fault| endpoint.judge_body(step, request, answer, &fault))
        };
        self.caller
            .run(step, &Request { method, ..Request::post(&url, body) }, &read)
            .map_err(|error| self.with_the_version_found(error, path))
    }

    /// A conflict names the version that is there, where it may be read.
    fn with_the_version_found(&self, error: VaultError, path: &str) -> VaultError {
        if error.kind() != ErrorKind::Conflict {
            return error;
        }
        match self.latest(path) {
            Ok(found) => error.found(found),
            Err(_) => error,
        }
    }

    /// Deletes the latest version of `path`; [`Kv::undelete`] brings it back. A path that is not there is no error.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#delete-latest-version-of-secret)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] where no policy allows it.
    pub fn delete(&self, path: &str) -> Result<(), VaultError> {
        let step = self.step(Verb::Delete, path);
        let url = self.url("data", path, &step)?;
        self.change(&step, &Request::delete(&url))
    }

    /// Deletes these versions of `path`. [API](https://openbao.org/api-docs/secret/kv/kv-v2/#delete-secret-versions)
    ///
    /// # Errors
    ///
    /// As for [`Kv::delete`], and [`ErrorKind::Rejected`] without a version.
    pub fn delete_versions(&self, path: &str, versions: &[u64]) -> Result<(), VaultError> {
        self.of_versions(Verb::Delete, path, versions)
    }

    /// Brings deleted versions of `path` back. Destroyed ones stay as they are, which is no error.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#undelete-secret-versions)
    ///
    /// # Errors
    ///
    /// As for [`Kv::delete_versions`].
    pub fn undelete(&self, path: &str, versions: &[u64]) -> Result<(), VaultError> {
        self.of_versions(Verb::Undelete, path, versions)
    }

    /// Destroys the data of these versions of `path` for good.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#destroy-secret-versions)
    ///
    /// # Errors
    ///
    /// As for [`Kv::delete_versions`].
    pub fn destroy(&self, path: &str, versions: &[u64]) -> Result<(), VaultError> {
        self.of_versions(Verb::Destroy, path, versions)
    }

    fn of_versions(&self, verb: Verb, path: &str, versions: &[u64]) -> Result<(), VaultError> {
        let step = self.step(verb, path);
        self.demand_versions(&step, versions)?;
        let url = self.url(verb.name(), path, &step)?;
        let body = serde_json::json!({ "versions": versions }).to_string();
        self.change(&step, &Request::post(&url, body.as_bytes()))
    }

    /// Sends what changes something, and whose answer need not say anything.
    fn change(&self, step: &Step, request: &Request) -> Result<(), VaultError> {
        self.demand_version_2(step)?;
        let read = |answer: &Answer, endpoint: &Endpoint, request: &Request| {
            answer.acknowledged().map_err(|fault| endpoint.judge_body(step, request, answer, &fault))
        };
        self.caller.run(step, request, &read)
    }

    /// Reads the metadata of `path`. [API](https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-metadata)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no such secret, [`ErrorKind::Denied`] where no policy allows it.
    pub fn metadata(&self, path: &str) -> Result<KvMetadata, VaultError> {
        let step = self.step(Verb::Metadata, path);
        let url = self.url("metadata", path, &step)?;
        self.get(&step, &url, |said| KvMetadata::of(&said.object(&["data"])?, endpoint::request_id(said)))
    }

    /// Changes what `options` names of the metadata of `path`; makes the metadata where there is none.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#create-update-metadata)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] where no policy allows it, [`ErrorKind::Rejected`] where the server refuses it: custom metadata
    /// of more than 64 keys, or with longer texts than 128 and 512 bytes.
    pub fn set_metadata(&self, path: &str, options: &MetadataOptions) -> Result<(), VaultError> {
        let step = self.step(Verb::SetMetadata, path);
        let url = self.url("metadata", path, &step)?;
        let body = serde_json::to_vec(options).map_err(|_| self.failed(&step, What::Shape(Shape::NoJson)))?;
        self.change(&step, &Request::post(&url, &body))
    }

    /// Deletes `path` with its metadata and all its versions, for good.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#delete-metadata-and-all-versions)
    ///
    /// # Errors
    ///
    /// As for [`Kv::delete`].
    pub fn delete_all(&self, path: &str) -> Result<(), VaultError> {
        let step = self.step(Verb::DeleteAll, path);
        let url = self.url("metadata", path, &step)?;
        self.change(&step, &Request::delete(&url))
    }

    /// The names in `folder`, `""` for the mount's root; those of folders end with a slash. A name can be both.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#list-secrets)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where nothing is there, [`ErrorKind::Denied`] where no policy allows it.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, VaultError> {
        self.names(folder, "?list=true")
    }

    /// Up to `limit` names in `folder`, in their order, behind `after`.
    /// [API](https://openbao.org/api-docs/secret/kv/kv-v2/#list-secrets); a server that has no pages is asked for all.
    ///
    /// # Errors
    ///
    /// As for [`Kv::list`].
    pub fn list_page(&self, folder: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, VaultError> {
        let mark = after.map(|after| format!("&after={}", encode(after))).unwrap_or_default();
        let mut names = self.names(folder, &format!("?list=true{mark}&limit={limit}"))?;
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        names.truncate(limit);
        Ok(names)
    }

    fn names(&self, folder: &str, query: &str) -> Result<Vec<String>, VaultError> {
        let folder = folder.trim_end_matches('/');
        let step = self.step(Verb::List, folder);
        let url = match folder {
            "" => format!("{}/metadata/{query}", self.mount_url(&step)?),
            folder => format!("{}/{query}", self.url("metadata", folder, &step)?),
        };
        self.get(&step, &url, |said| {
            let names = said.object(&["data"])?.strings("keys");
            Ok(names.into_iter().map(|name| name.to_string()).collect())
        })
    }

    /// The configuration of the mount. [API](https://openbao.org/api-docs/secret/kv/kv-v2/#read-kv-engine-configuration)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] where no policy allows it, [`ErrorKind::Rejected`] where the mount is none of KV version 2.
    pub fn config(&self) -> Result<KvConfig, VaultError> {
        let step = self.step(Verb::Config, "");
        let url = format!("{}/config", self.mount_url(&step)?);
        self.get(&step, &url, |said| KvConfig::of(&said.object(&["data"])?))
    }

    fn get<T>(
        &self,
        step: &Step,
        url: &str,
        of: impl Fn(&json::Object) -> Result<T, json::Malformed>,
    ) -> Result<T, VaultError> {
        let read = |answer: &Answer, endpoint: &Endpoint, request: &Request| {
            let said = answer.document().and_then(|said| of(&said));
            said.map_err(|fault| endpoint.judge_body(step, request, answer, &fault))
        };
        self.caller.run(step, &Request::get(url), &read)
    }

    fn step(&self, verb: Verb, path: &str) -> Step {
        Step::Secret { verb, mount: shown(&self.mount), path: shown(path) }
    }

    fn mount_url(&self, step: &Step) -> Result<String, VaultError> {
        path::checked(&self.mount).map_err(|why| self.failed(step, What::Mount(why)))
    }

    /// `mount/part/path`, encoded.
    fn url(&self, part: &str, path: &str, step: &Step) -> Result<String, VaultError> {
        let path = path::checked(path.trim_matches('/')).map_err(|why| self.failed(step, What::Path(why)))?;
        Ok([&self.mount_url(step)?, part, &path].join("/"))
    }

    /// The error of a request that is not sent.
    fn failed(&self, step: &Step, what: What) -> VaultError {
        VaultError::new(self.caller.endpoint().at(), step.clone(), what.into(), Effort::default())
    }
}
