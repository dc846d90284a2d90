//! REST as OpenAPI 3.1.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch_protocol::{ErrorCode, Timestamp};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::operation::{Answer, Content, MakeSchema, Operation, Param};
use super::{described_routes, path_of, roles_of, schemas};
use crate::auth::Role;
use crate::http::{Failure, PageMeta, Problem, Warning};
use crate::routes::{Access, Route};

const ABOUT: &str = "REST of a Hookswitch node. What is said over WebSockets, event streams and to webhooks is \
                     described at `/api/v1/asyncapi.json`.";

/// The two generators: what is answered, and what is taken.
struct Schemas {
    answers: SchemaGenerator,
    bodies: SchemaGenerator,
}

impl Schemas {
    fn answered(&mut self, make: MakeSchema) -> Value {
        schemas::value(make(&mut self.answers), &self.answers)
    }

    fn taken(&mut self, make: MakeSchema) -> Value {
        schemas::value(make(&mut self.bodies), &self.bodies)
    }
}

/// The whole description.
pub(super) fn document() -> Value {
    let mut made = Schemas { answers: schemas::of_answers(), bodies: schemas::of_bodies() };
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (route, operation) in described_routes() {
        if operation.is_of_messages() {
            continue;
        }
        let method = route.method.as_str().to_ascii_lowercase();
        let described = described(route, &operation, &mut made);
        paths.entry(path_of(route)).or_default().insert(method, described);
    }
    let mut components = envelopes(&mut made);
    schemas::merge(&mut components, schemas::definitions(made.bodies));
    schemas::merge(&mut components, schemas::definitions(made.answers));
    with_codes(&mut components);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hookswitch", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"}
        },
        "servers": [{"url": "/", "description": "The node that serves this description."}],
        "tags": tags(),
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": security_schemes()}
    })
}

/// How a token may be sent.
pub(super) fn security_schemes() -> Value {
    json!({
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "token": {
            "type": "apiKey", "in": "query", "name": "token",
            "description": "For browsers, which cannot set headers everywhere; never logged."
        }
    })
}

fn tags() -> Value {
    json!([
        {"name": "events", "description": "Publishing."},
        {"name": "presence", "description": "Who is connected."},
        {"name": "webhooks", "description": "Registrations, deliveries and their log."},
        {"name": "node", "description": "How the node is, and what it speaks."}
    ])
}

fn tag(path: &str) -> &'static str {
    match path {
        path if path.contains("/webhooks") => "webhooks",
        path if path.contains("/events") || path.contains("/state") => "events",
        path if path.contains("/presence") || path.contains("/ws") => "presence",
        _ => "node",
    }
}

fn described(route: &Route, operation: &Operation, made: &mut Schemas) -> Value {
    let mut described = Map::new();
    let path = path_of(route);
    described.insert("operationId".to_owned(), json!(operation_id(operation)));
    described.insert("tags".to_owned(), json!([tag(&path)]));
    described.insert("summary".to_owned(), json!(operation.summary));
    described.insert("description".to_owned(), json!(words(route, operation)));
    if !operation.params.is_empty() {
        let params: Vec<Value> = operation.params.iter().map(|param| parameter(param, made)).collect();
        described.insert("parameters".to_owned(), json!(params));
    }
    if let Some(body) = &operation.body {
        let schema = made.taken(body.schema);
        let content = json!({"application/json": {"schema": schema, "example": body.example}});
        described.insert("requestBody".to_owned(), json!({"required": body.is_required, "content": content}));
    }
    described.insert("responses".to_owned(), responses(route, operation, made));
    let roles = roles_of(route.access);
    let security = if roles.is_empty() { json!([]) } else { json!([{"bearer": []}, {"token": []}]) };
    described.insert("security".to_owned(), security);
    if !roles.is_empty() {
        described.insert("x-roles".to_owned(), json!(roles));
    }
    Value::Object(described)
}

fn operation_id(operation: &Operation) -> String {
    let name = format!("{:?}", operation.endpoint);
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_ascii_lowercase())
}

/// Details, who may, and where else it lies.
fn words(route: &Route, operation: &Operation) -> String {
    let mut words = Vec::new();
    if !operation.details.is_empty() {
        words.push(operation.details.to_owned());
    }
    words.push(match route.access {
        Access::Node => "Needs no token.".to_owned(),
        Access::Session => "Needs no token but the key of a chat session.".to_owned(),
        Access::Tenant(_) => format!("Roles: {}.", roles_of(route.access).join(", ")),
        Access::Operator(_) => format!("Roles, in the operator's own tenant: {}.", roles_of(route.access).join(", ")),
    });
    if let [_, others @ ..] = route.prefixes
        && !others.is_empty()
    {
        let others: Vec<String> = others.iter().map(|prefix| format!("`{prefix}{}`", route.path)).collect();
        words.push(format!("The same at {}.", others.join(", ")));
    }
    words.join(" ")
}

fn parameter(param: &Param, made: &mut Schemas) -> Value {
    let mut schema = made.taken(param.schema);
    if let (Some(schema), Some(bounds)) = (schema.as_object_mut(), param.bounds.as_object()) {
        schema.extend(bounds.clone());
    }
    let is_required = param.place == "path";
    json!({"name": param.name, "in": param.place, "required": is_required, "description": param.what, "schema": schema})
}

fn responses(route: &Route, operation: &Operation, made: &mut Schemas) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), response(answer, made));
    }
    let mut by_status: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for code in errors(route, operation) {
        by_status.entry(Problem::new(code, "").status().as_u16()).or_default().insert(code.number());
    }
    for (status, numbers) in by_status {
        let codes = ErrorCode::ALL.iter().filter(|code| numbers.contains(&code.number()));
        let lines: Vec<String> = codes.map(|code| format!("`{}`: {}", code.as_str(), code.meaning())).collect();
        let failure = json!({"schema": {"$ref": format!("{}Failure", schemas::PLACE)}});
        let error = json!({"description": lines.join("\n\n"), "content": {"application/json": failure}});
        // Where an answer of the same status is no error, such as that of `/readyz`.
        responses.entry(status.to_string()).or_insert(error);
    }
    Value::Object(responses)
}

fn response(answer: &Answer, made: &mut Schemas) -> Value {
    let (media_type, schema) = match answer.content {
        Content::Empty | Content::Messages => return json!({"description": answer.what}),
        Content::Data(schema) => ("application/json", within("Success", &made.answered(schema))),
        Content::List(schema) => {
            let rows = json!({"type": "array", "items": made.answered(schema)});
            ("application/json", within("SuccessList", &rows))
        }
        Content::Bare(schema) => ("application/json", made.answered(schema)),
        Content::Text("application/json") => ("application/json", json!({"type": "object"})),
        Content::Text(media_type) => (media_type, json!({"type": "string"})),
    };
    json!({"description": answer.what, "content": {media_type: {"schema": schema}}})
}

/// The envelope around `data`.
fn within(envelope: &str, data: &Value) -> Value {
    let around = json!({"$ref": format!("{}{envelope}", schemas::PLACE)});
    json!({"allOf": [around, {"type": "object", "properties": {"data": data}}]})
}

/// What may go wrong with this request, the common included.
fn errors(route: &Route, operation: &Operation) -> Vec<ErrorCode> {
    let mut errors = operation.errors.clone();
    errors.extend([ErrorCode::InvalidRequest, ErrorCode::Internal]);
    let roles = roles_of(route.access);
    if !roles.is_empty() {
        errors.extend([ErrorCode::Unauthorized, ErrorCode::TokenExpired, ErrorCode::RateLimited]);
        errors.extend([ErrorCode::StorageUnavailable]);
        if !roles.contains(&Role::Agent.as_str()) || matches!(route.access, Access::Operator(_)) {
            errors.push(ErrorCode::Forbidden);
        }
    }
    if !route.endpoint.is_served_while_draining() {
        errors.push(ErrorCode::Draining);
    }
    if operation.body.is_some() {
        errors.push(ErrorCode::RequestTimeout);
    }
    errors
}

/// The envelopes of the contract.
fn envelopes(made: &mut Schemas) -> Map<String, Value> {
    // Made here, so that they are among the named ones.
    let _failure = made.answers.subschema_for::<Failure<'_>>();
    let page = made.answered(SchemaGenerator::subschema_for::<PageMeta>);
    let warning = made.answered(SchemaGenerator::subschema_for::<Warning>);
    let timestamp = made.answered(SchemaGenerator::subschema_for::<Timestamp>);
    let success = |meta: Value, required: &[&str]| {
        json!({
            "type": "object",
            "description": "A request that was carried out.",
            "required": required,
            "properties": {
                "success": {"const": true}, "data": true, "meta": meta, "request_id": {"type": "string"},
                "timestamp": timestamp
            }
        })
    };
    let warned = json!({"type": "object", "properties": {"warnings": {"type": "array", "items": warning}}});
    let plain = success(warned, &["success", "data", "request_id", "timestamp"]);
    let list = success(page, &["success", "data", "meta", "request_id", "timestamp"]);
    [("Success".to_owned(), plain), ("SuccessList".to_owned(), list)].into_iter().collect()
}

/// Names the codes that there are, in the schema of errors.
fn with_codes(components: &mut Map<String, Value>) {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let code = components.get_mut("Error").and_then(|error| error.pointer_mut("/properties/code"));
    code.expect("errors have a code")["enum"] = json!(codes);
    let failure = components.get_mut("Failure").and_then(|failure| failure.pointer_mut("/properties/success"));
    *failure.expect("failures say so") = json!({"const": false});
}
