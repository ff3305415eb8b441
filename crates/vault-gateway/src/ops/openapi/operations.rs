//! The operations: what each is for, what it asks and what it answers.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{Content, PathItem, Ref, Required};

use super::answers::{Answers, Refusal};
use super::parameters::Asks;
use crate::problem::Kind;

/// Headers of a read.
const READ: &[&str] = &["ETag", "Age", "Cache-Status"];

/// An operation.
struct Row {
    path: &'static str,
    method: HttpMethod,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    asks: &'static [Asks],
    /// Media type and schema of the body.
    body: Option<(&'static str, &'static str)>,
    answers: Answers,
    refusals: Vec<Refusal>,
}

/// All of them.
pub fn paths() -> PathsBuilder {
    let rows = secrets().into_iter().chain(versions()).chain([list(), list_of_root(), renew()]);
    let mut paths: Vec<(&str, PathItem)> = Vec::new();
    for row in rows {
        let (path, item) = (row.path, item(row));
        match paths.iter_mut().find(|(known, _)| *known == path) {
            Some((_, known)) => known.merge_operations(item),
            None => paths.push((path, item)),
        }
    }
    paths.into_iter().fold(PathsBuilder::new(), |builder, (path, item)| builder.path(path, item))
}

fn item(row: Row) -> PathItem {
    let operation = OperationBuilder::new().operation_id(Some(row.id)).tag(row.tag);
    let operation = operation.summary(Some(row.summary)).description(Some(row.description));
    let operation = row.asks.iter().chain(&[Asks::Id]).fold(operation, |operation, asks| {
        operation.parameter_ref(Ref::new(format!("#/components/parameters/{}", asks.component())))
    });
    let body = row.body.map(|(media, schema)| {
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        RequestBodyBuilder::new().required(Some(Required::True)).content(media, content).build()
    });
    PathItem::new(row.method, operation.request_body(body).responses(row.answers.refused(&row.refusals).build()))
}

const READ_A_SECRET: &str = "The latest version, or the one that the query names. A cached answer is given where there is \
    one; `Age` and `Cache-Status` tell of it.\n\n\
    Needs the action `read`; with `version` also `history`; to read past the cache also `refresh`.\n\n\
    - `If-None-Match` with the tag that the caller has is answered 304 while that version is current.\n\
    - `If-Match` is answered 412 where the version is not among its tags.\n\
    - After the metadata of a secret was deleted at Vault, its versions begin at 1 again: a tag can recur.";
const SECRETS: &str = "/vault/secrets/{path}";

fn secrets() -> [Row; 5] {
    [read(true), read(false), put(), patch(), delete()]
}

fn read(has_body: bool) -> Row {
    let (method, id, summary, description) = if has_body {
        (HttpMethod::Get, "readSecret", "Read a secret", READ_A_SECRET)
    } else {
        let summary = "Read the version of a secret, without its data";
        (
            HttpMethod::Head,
            "headSecret",
            summary,
            "As GET, with the same headers and no body. Refusals have no body either.",
        )
    };
    Row {
        path: SECRETS,
        method,
        id,
        tag: "secrets",
        summary,
        description,
        asks: &[Asks::Path, Asks::Version, Asks::IfMatch, Asks::IfNoneMatch, Asks::NoCache],
        body: None,
        answers: Answers::new(has_body).of(200, "The version.", READ, Some("Secret")).of(
            304,
            "`If-None-Match` names the version.",
            READ,
            None,
        ),
        refusals: vec![
            bad_path(),
            Refusal::new(Kind::NotFound, "The secret or the version is not there, was deleted or was destroyed."),
            Refusal::new(
                Kind::PreconditionFailed,
                "`If-Match` does not name the version. `version` is the one that is there.",
            ),
        ],
    }
}

fn put() -> Row {
    Row {
        path: SECRETS,
        method: HttpMethod::Put,
        id: "writeSecret",
        tag: "secrets",
        summary: "Write a new version of a secret",
        description: "The body is the data of the new version, whole. `{}` is allowed.\n\n\
            Needs the action `write`.\n\n\
            - Without a condition the version is written on top of whatever is there.\n\
            - `If-Match: \"3\"` writes only on top of version 3; `If-Match: *` only where there is a secret that can be read.\n\
            - `If-None-Match: *` writes only where there is none: nothing was written yet, or the latest version was \
            deleted or destroyed.",
        asks: &[Asks::Path, Asks::IfMatch, Asks::IfNoneMatch],
        body: Some(("application/json", "Data")),
        answers: written(),
        refusals: [vec![bad_path()], bad_body(), writing(), vec![conflict(), no_condition(), unknown()]].concat(),
    }
}

fn patch() -> Row {
    Row {
        path: SECRETS,
        method: HttpMethod::Patch,
        id: "patchSecret",
        tag: "secrets",
        summary: "Change parts of a secret",
        description: "The body is a merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)): its members replace \
            those of the latest version, and `null` removes one. The service reads, merges, checks and writes on top of \
            what it has read; where others write in between it tries three times.\n\n\
            Needs the action `write`. The caller sees nothing of the data.\n\n\
            Conditions are those of GET: they are about the version that is changed.",
        asks: &[Asks::Path, Asks::IfMatch, Asks::IfNoneMatch],
        body: Some(("application/merge-patch+json", "Patch")),
        answers: written(),
        refusals: [
            vec![bad_path(), Refusal::new(Kind::NotFound, "There is no version to change.")],
            bad_body(),
            writing(),
            vec![conflict(), unknown()],
        ]
        .concat(),
    }
}

fn delete() -> Row {
    Row {
        path: SECRETS,
        method: HttpMethod::Delete,
        id: "deleteSecret",
        tag: "secrets",
        summary: "Delete the latest version of a secret, or some versions",
        description: "Deleted versions can be brought back by undelete. What is absent is no error.\n\n\
            Needs the action `delete`.\n\n\
            - Without `versions` the latest version is deleted.\n\
            - `If-Match: \"3\"` deletes version 3, and only while it is the current one.\n\
            - A condition and `versions` do not go together.",
        asks: &[Asks::Path, Asks::Versions, Asks::IfMatch, Asks::IfNoneMatch],
        body: None,
        answers: Answers::new(true).of(204, "Deleted, or absent already.", &[], None),
        refusals: vec![
            bad_path(),
            Refusal::new(Kind::Path, "A condition and `versions` are both sent."),
            Refusal::new(Kind::PreconditionFailed, "The condition is not met; nothing was deleted."),
            unknown(),
        ],
    }
}

fn versions() -> [Row; 4] {
    let by_number = |path, id, summary, description| Row {
        path,
        method: HttpMethod::Post,
        id,
        tag: "versions",
        summary,
        description,
        asks: &[Asks::Path],
        body: Some(("application/json", "Versions")),
        answers: Answers::new(true).of(204, "Done.", &[], None),
        refusals: [
            vec![bad_path(), Refusal::new(Kind::Path, "A condition is sent, although the body names the versions.")],
            vec![Refusal::new(Kind::Body, "The body is no object with 1 to 100 distinct `versions` alone.")],
            sized(),
            vec![unknown()],
        ]
        .concat(),
    };
    [
        history(),
        rollback(),
        by_number(
            "/vault/versions/{path}/undelete",
            "undeleteVersions",
            "Bring deleted versions back",
            "What is not deleted stays as it is, and what is absent is no error. Destroyed versions cannot be brought back.\n\nNeeds the action `restore`.",
        ),
        by_number(
            "/vault/versions/{path}/destroy",
            "destroyVersions",
            "Destroy the data of versions for good",
            "Nothing brings the data back. The numbers stay in the history. What is absent is no error.\n\nNeeds the action `destroy`.",
        ),
    ]
}

fn history() -> Row {
    Row {
        path: "/vault/versions/{path}",
        method: HttpMethod::Get,
        id: "readVersions",
        tag: "versions",
        summary: "List the versions of a secret, with what is known of them",
        description: "No data is in the answer, and it is never cached.\n\nNeeds the action `history`.",
        asks: &[Asks::Path],
        body: None,
        answers: Answers::new(true).of(200, "The metadata.", &[], Some("Metadata")),
        refusals: vec![bad_path(), Refusal::new(Kind::NotFound, "There is no such secret.")],
    }
}

fn rollback() -> Row {
    Row {
        path: "/vault/versions/{path}/rollback",
        method: HttpMethod::Post,
        id: "rollbackSecret",
        tag: "versions",
        summary: "Write the data of an earlier version as a new one",
        description: "The data of version `to` is written again, and is checked as any body is. The caller sees nothing of it.\n\n\
            Needs the actions `restore` and `write`.\n\n\
            Conditions are those of PUT.",
        asks: &[Asks::Path, Asks::IfMatch, Asks::IfNoneMatch],
        body: Some(("application/json", "Rollback")),
        answers: written(),
        refusals: [
            vec![bad_path(), Refusal::new(Kind::NotFound, "The version is not there, was deleted or was destroyed.")],
            vec![Refusal::new(Kind::Body, "The body is no object with a version `to` alone.")],
            sized(),
            writing(),
            vec![conflict(), no_condition(), unknown()],
        ]
        .concat(),
    }
}

fn list() -> Row {
    Row {
        path: "/vault/list/{folder}",
        method: HttpMethod::Get,
        id: "listFolder",
        tag: "names",
        summary: "List the names in a folder",
        description: "One level of names. A folder ends in `/`; a secret and a folder can have the same name.\n\n\
            Needs the action `list` for the folder. Names that the caller may not read are listed too.\n\n\
            The next page is asked for with `after` and the `next` of this one.",
        asks: &[Asks::Folder, Asks::After, Asks::Limit],
        body: None,
        answers: Answers::new(true).of(200, "A page of names.", &[], Some("Names")),
        refusals: vec![bad_path(), Refusal::new(Kind::NotFound, "There is no such folder.")],
    }
}

fn list_of_root() -> Row {
    Row {
        path: "/vault/list",
        id: "listRoot",
        summary: "List the names at the top",
        description: "As of any folder. Needs the action `list` by a rule with the path `**`.",
        asks: &[Asks::After, Asks::Limit],
        refusals: vec![Refusal::new(Kind::NotFound, "The tenant has no secret.")],
        ..list()
    }
}

fn renew() -> Row {
    Row {
        path: "/vault/token/renew",
        method: HttpMethod::Post,
        id: "renewToken",
        tag: "token",
        summary: "Renew the token that the service has for the caller's tenant",
        description: "The service renews its tokens itself; this is for those who want to be sure. A body is not read. \
            For a static token the answer is 0 and false.\n\n\
            Needs the action `renew`, which rules judge without a path.",
        asks: &[],
        body: None,
        answers: Answers::new(true).of(200, "The life of the token, never the token.", &[], Some("Renewed")),
        refusals: vec![unknown()],
    }
}

fn written() -> Answers {
    Answers::new(true).of(200, "Written, on top of an earlier version.", &["ETag"], Some("Written")).of(
        201,
        "Written, as version 1.",
        &["ETag", "Location"],
        Some("Written"),
    )
}

fn bad_path() -> Refusal {
    Refusal::new(
        Kind::Path,
        "The path has an empty segment, `.`, `..`, a sign that is not allowed, a bad percent escape, \
        or more than 512 bytes.",
    )
}

fn bad_body() -> Vec<Refusal> {
    let mut refusals = sized();
    refusals.push(Refusal::new(
        Kind::Body,
        "The body is no JSON object, has a name twice, or is nested deeper than 64 levels.",
    ));
    refusals
}

/// Of whatever has a body.
fn sized() -> Vec<Refusal> {
    vec![
        Refusal::new(Kind::MediaType, "The media type is missing or another one, or the body has an encoding."),
        Refusal::new(Kind::TooLarge, "The body is larger than `body_bytes` of the configuration, or than Vault takes."),
    ]
}

/// Of whatever writes data.
fn writing() -> Vec<Refusal> {
    vec![
        Refusal::new(
            Kind::Schema,
            "The data breaks a schema or a limit of the configuration, or has too many strings for \
            Vault. `errors` names the places.",
        ),
        Refusal::new(
            Kind::PreconditionFailed,
            "The condition is not met; nothing was written. `version` is the current \
            one, for callers who may read.",
        ),
    ]
}

fn conflict() -> Refusal {
    Refusal::new(Kind::Conflict, "Others wrote in between three times; nothing was written.")
}

fn no_condition() -> Refusal {
    Refusal::new(Kind::PreconditionRequired, "The secret or the mount demands `If-Match` of every write.")
}

fn unknown() -> Refusal {
    Refusal::new(
        Kind::OutcomeUnknown,
        "The change was sent to Vault and not answered in time. Read before you send it again.",
    )
}
