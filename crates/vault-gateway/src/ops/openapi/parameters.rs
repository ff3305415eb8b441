//! What a request has beside its method and its body: path, query and headers.

use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::{ObjectBuilder, RefOr, Required, Schema, Type};

use super::schemas::{number, numbers};

/// What a segment may begin with: all that it may have but a dot. These are the letters of
/// [`SecretPath`](crate::path::SecretPath), as ECMA-262 writes `char::is_alphanumeric`.
const FIRST: &str = r#"[!"$&-)+,\-:;<=>@\[\]^_`{|}~\p{Alpha}\p{N}]"#;
/// What it may have further on.
const LATER: &str = r#"[!"$&-)+,\-.:;<=>@\[\]^_`{|}~\p{Alpha}\p{N}]"#;
/// Bytes of a path. A schema counts characters, so that the text says the rest.
const LONGEST: usize = 512;

const PATH: &str = "The path of the secret, without the mount and without `data/`. It can have slashes; `%2F` separates \
    segments as `/` does. A segment has letters and digits of any script, and the signs of ASCII but `% ? # \\ *` and \
    space. It is not empty, not `.` and not `..`. All of it has at most 512 bytes of UTF-8.";
const FOLDER: &str = "The path of the folder, as that of a secret. One slash at its end is dropped.";

/// A parameter of the components, by its name there.
#[derive(Clone, Copy)]
pub enum Asks {
    Path,
    Folder,
    Version,
    Versions,
    After,
    Limit,
    IfMatch,
    IfNoneMatch,
    NoCache,
    Id,
}

impl Asks {
    const ALL: [Self; 10] = [
        Self::Path,
        Self::Folder,
        Self::Version,
        Self::Versions,
        Self::After,
        Self::Limit,
        Self::IfMatch,
        Self::IfNoneMatch,
        Self::NoCache,
        Self::Id,
    ];

    /// Its name among the components.
    pub fn component(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Folder => "folder",
            Self::Version => "version",
            Self::Versions => "versions",
            Self::After => "after",
            Self::Limit => "limit",
            Self::IfMatch => "if-match",
            Self::IfNoneMatch => "if-none-match",
            Self::NoCache => "cache-control",
            Self::Id => "x-request-id",
        }
    }

    fn parameter(self) -> Parameter {
        match self {
            Self::Path => in_path("path", PATH, &path_pattern(), "apps/web/config"),
            Self::Folder => in_path("folder", FOLDER, &folder_pattern(), "apps/web"),
            Self::Version => query("version", "The version to read: a decimal number without leading zeros.", number())
                .example(Some(json!(2)))
                .build(),
            Self::Versions => query("versions", "The versions to delete, each once: `1,2`.", numbers())
                .style(Some(ParameterStyle::Form))
                .explode(Some(false))
                .example(Some(json!([1, 2])))
                .build(),
            Self::After => {
                let schema = text().min_length(Some(1)).build();
                query("after", "The page begins after this name: the `next` of the page before.", schema)
                    .example(Some(json!("db")))
                    .build()
            }
            Self::Limit => {
                let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1_usize));
                let schema = schema.maximum(Some(1000_usize)).default(Some(json!(1000))).build();
                query("limit", "How many names the page has at most.", schema).example(Some(json!(100))).build()
            }
            Self::IfMatch => header(
                "If-Match",
                "Tags of versions: `\"3\"`, or `*` for any. The request is done where the current version is among them. \
                 Weak tags, and what is no tag, match nothing.",
                json!("\"3\""),
            ),
            Self::IfNoneMatch => header(
                "If-None-Match",
                "Tags of versions: `\"3\"`, or `*` for any. The request is done where the current version is not among \
                 them. Weak tags, and what is no tag, match nothing.",
                json!("\"3\""),
            ),
            Self::NoCache => header(
                "Cache-Control",
                "`no-cache` reads past the cache, for callers with the action `refresh`. All else in it is ignored.",
                json!("no-cache"),
            ),
            Self::Id => header(
                "X-Request-Id",
                "An id of the caller's own for the audit log: up to 128 letters, digits and signs of ASCII. Another one \
                 is not noted. The answer has an id of the service.",
                json!("7f3a-42"),
            ),
        }
    }
}

/// Adds all of them.
pub fn add(components: ComponentsBuilder) -> ComponentsBuilder {
    Asks::ALL.into_iter().fold(components, |components, it| components.parameter(it.component(), it.parameter()))
}

/// A segment: it begins with no dot, or with one and another sign, or with two and any sign.
fn segment() -> String {
    format!(r"(?:\.?{FIRST}|\.\.{LATER}){LATER}*")
}

/// What [`SecretPath::parse`](crate::path::SecretPath::parse) takes, but for its length in bytes.
pub fn path_pattern() -> String {
    let segment = segment();
    format!("^{segment}(?:/{segment})*$")
}

/// What [`SecretPath::parse_folder`](crate::path::SecretPath::parse_folder) takes, but for its length in bytes.
pub fn folder_pattern() -> String {
    let segment = segment();
    format!("^{segment}(?:/{segment})*/?$")
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn in_path(name: &str, description: &str, pattern: &str, example: &str) -> Parameter {
    let schema = text().pattern(Some(pattern)).min_length(Some(1)).max_length(Some(LONGEST)).build();
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.description(Some(description)).schema(Some(schema)).example(Some(json!(example))).build()
}

fn query(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema))
}

/// Any text can be sent in these, so that none of them has a pattern.
fn header(name: &str, description: &str, example: Value) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::False);
    parameter.description(Some(description)).schema(Some(text().build())).example(Some(example)).build()
}
