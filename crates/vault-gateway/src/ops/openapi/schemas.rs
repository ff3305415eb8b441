//! Schemas of bodies. The types are there for their schemas alone; what the service sends is written where it is made.

#![expect(dead_code, reason = "only the schemas of these types are used")]
#![expect(clippy::struct_field_names, reason = "the names are those of the API")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ComponentsBuilder, Object};
use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use crate::problem::Kind;

/// One version of a secret.
#[derive(ToSchema)]
#[schema(examples(json!({"data": {"colour": "green", "port": 8080}, "version": 3, "created_time": "2026-01-31T12:00:00Z"})))]
struct Secret {
    /// What was written: any JSON object. Numbers come back as they were written.
    #[schema(value_type = Object)]
    data: Value,
    /// The number of the version.
    #[schema(minimum = 1)]
    version: u64,
    /// When the version was written.
    #[schema(format = DateTime)]
    created_time: String,
}

/// The version that was written.
#[derive(ToSchema)]
#[schema(examples(json!({"version": 4, "created_time": "2026-01-31T12:00:00Z"})))]
struct Written {
    /// The number of the version.
    #[schema(minimum = 1)]
    version: u64,
    /// When the version was written.
    #[schema(format = DateTime)]
    created_time: String,
}

/// What is known of a secret and of all its versions. No data is in it.
#[derive(ToSchema)]
#[schema(examples(json!({
    "current_version": 2, "oldest_version": 0, "max_versions": 0, "cas_required": false, "delete_version_after": "0s",
    "created_time": "2026-01-30T12:00:00Z", "updated_time": "2026-01-31T12:00:00Z", "custom_metadata": {"owner": "team-a"},
    "versions": [
        {"version": 1, "created_time": "2026-01-30T12:00:00Z", "deletion_time": "2026-01-31T11:00:00Z", "destroyed": false},
        {"version": 2, "created_time": "2026-01-31T12:00:00Z", "deletion_time": null, "destroyed": false}
    ]
})))]
struct Metadata {
    /// The number of the latest version; 0 where there is none.
    #[schema(minimum = 0)]
    current_version: u64,
    /// The number of the oldest version that is kept; 0 where all are kept.
    #[schema(minimum = 0)]
    oldest_version: u64,
    /// How many versions are kept; 0 stands for the number of the mount.
    #[schema(minimum = 0)]
    max_versions: u64,
    /// Whether each write must name the version that it goes on top of.
    cas_required: bool,
    /// After how many seconds a version is deleted: `3600s`. `0s` is never.
    #[schema(pattern = "^[0-9]+s$")]
    delete_version_after: String,
    /// When the first version was written.
    #[schema(format = DateTime)]
    created_time: String,
    /// When the secret was changed last.
    #[schema(format = DateTime)]
    updated_time: String,
    /// What the owners of the secret have noted beside it.
    custom_metadata: BTreeMap<String, String>,
    /// The versions, ascending.
    versions: Vec<Version>,
}

/// What is known of one version.
#[derive(ToSchema)]
struct Version {
    /// The number of the version.
    #[schema(minimum = 1)]
    version: u64,
    /// When the version was written.
    #[schema(format = DateTime)]
    created_time: String,
    /// When the version was deleted or will be; null where it will not.
    #[schema(format = DateTime, required = true)]
    deletion_time: Option<String>,
    /// Whether the data of the version is gone for good.
    destroyed: bool,
}

/// A page of the names in a folder.
#[derive(ToSchema)]
#[schema(examples(json!({"names": ["db", "web/"], "next": null})))]
struct Names {
    /// The names, in the order of their bytes. A folder ends in `/`.
    #[schema(max_items = 1000)]
    names: Vec<String>,
    /// The value of `after` for the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// The life of the tenant's token. The token itself is never in an answer.
#[derive(ToSchema)]
#[schema(examples(json!({"lease_duration": 3600, "renewable": true, "policies": ["default", "team-a"]})))]
struct Renewed {
    /// How many seconds the token lives from now on; 0 for a static token.
    #[schema(minimum = 0)]
    lease_duration: u64,
    /// Whether the token can be renewed again; false for a static token.
    renewable: bool,
    /// The policies of the token.
    policies: Vec<String>,
}

/// The version whose data is written again.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"to": 2})))]
struct Rollback {
    #[schema(schema_with = to)]
    to: u64,
}

/// The versions that are meant.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"versions": [1, 2]})))]
struct Versions {
    #[schema(schema_with = these)]
    versions: Vec<u64>,
}

/// Why a request is refused. [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)
#[derive(ToSchema)]
struct Problem {
    #[schema(schema_with = kinds)]
    r#type: String,
    /// The kind in words, always the same for one kind.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What to do about it, one sentence for people.
    detail: String,
    /// The id of the request: that of `X-Request-Id` and of the audit log.
    #[schema(pattern = "^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    instance: String,
    /// The version that is there, where a condition is not met and the caller may read.
    #[schema(minimum = 1, required = false)]
    version: u64,
    /// What breaks the rules of structure, of the kind `schema`.
    #[schema(required = false, max_items = 20)]
    errors: Vec<Breach>,
}

/// A place of a body that breaks the rules of structure. Its value is not repeated.
#[derive(ToSchema)]
#[schema(examples(json!({"pointer": "/port", "keyword": "type"})))]
struct Breach {
    /// The place, a JSON Pointer. [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)
    pointer: String,
    /// The keyword of JSON Schema that is broken, or the name of a limit: `max_keys`, `max_value_bytes`.
    keyword: String,
}

/// Adds all of them.
pub fn add(components: ComponentsBuilder) -> ComponentsBuilder {
    let components = components.schema_from::<Secret>().schema_from::<Written>().schema_from::<Metadata>();
    let components = components.schema_from::<Version>().schema_from::<Names>().schema_from::<Renewed>();
    let components = components.schema_from::<Rollback>().schema_from::<Versions>();
    let components = components.schema_from::<Problem>().schema_from::<Breach>();
    components.schema("Data", data()).schema("Patch", patch())
}

fn data() -> ObjectBuilder {
    let about = "The data of a version: any JSON object. Names are distinct, and at most 64 levels are nested.";
    let example = json!({"colour": "green", "port": 8080});
    ObjectBuilder::new().schema_type(Type::Object).description(Some(about)).examples([example])
}

fn patch() -> ObjectBuilder {
    let about = "A merge patch: a member of it replaces the one of that name, and `null` removes it. \
        [RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)";
    let example = json!({"port": 8081, "colour": null});
    ObjectBuilder::new().schema_type(Type::Object).description(Some(about)).examples([example])
}

/// A version as a request names it, which is what [`is_version`](crate::route::is_version) says.
pub fn number() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(1)).maximum(Some(isize::MAX))
}

/// Versions as a request names them.
pub fn numbers() -> ArrayBuilder {
    ArrayBuilder::new().items(number()).min_items(Some(1)).max_items(Some(100)).unique_items(true)
}

// A field with a schema of its own loses its documentation comment.

fn to() -> Object {
    number().description(Some("The number of the version.")).build()
}

fn these() -> Array {
    numbers().description(Some("The numbers of the versions, each once.")).build()
}

fn kinds() -> Object {
    let all = Kind::ALL.map(|kind| Value::from(urn(kind)));
    let about = "What kind of refusal it is. Decide on this, not on a text.";
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(all)).description(Some(about)).build()
}

/// The `type` of a problem of this kind.
pub fn urn(kind: Kind) -> String {
    format!("urn:vault-gateway:{}", kind.word())
}
