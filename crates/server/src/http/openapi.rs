//! The OpenAPI document, made from the route list.
//!
//! Invariant: what a route takes, answers and refuses is said once, in the list and in the types.
//! Not here: the page that shows it (`docs.rs`).

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tose_api::Failure;

use crate::http::doc::{Doc, Gives, SchemaOf, Takes};
use crate::http::guard::{KeyPlace, Needs, SESSION_COOKIE};
use crate::http::routes::Route;

/// Collects the schemas of both directions.
struct Schemas {
    /// Of what clients send.
    requests: SchemaGenerator,
    /// Of what the server answers.
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            requests: settings.clone().for_deserialize().into_generator(),
            answers: settings.for_serialize().into_generator(),
        }
    }

    fn request(&mut self, schema_of: SchemaOf) -> Value {
        schema_of(&mut self.requests).to_value()
    }

    fn answer(&mut self, schema_of: SchemaOf) -> Value {
        schema_of(&mut self.answers).to_value()
    }

    /// A type that goes both ways is described as clients may send it, with what has a default left
    /// out: every answer fits that as well, but not the other way round.
    fn into_definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.answers.take_definitions(true);
        definitions.extend(self.requests.take_definitions(true));
        definitions
    }
}

/// The whole document.
pub(crate) fn document(routes: &[Route]) -> Value {
    let mut schemas = Schemas::new();
    let failure = schemas.answer(|generator| generator.subschema_for::<Failure>());
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        for (index, path) in route.paths.iter().enumerate() {
            let canonical = (index > 0).then(|| route.paths[0].as_str());
            let method = match route.method {
                "WS" => "get".to_owned(),
                method => method.to_ascii_lowercase(),
            };
            let entry = paths.entry(path.clone()).or_insert_with(|| json!({}));
            let operation = operation(route, path, canonical, &mut schemas);
            // POST and WebSocket of one path do not collide: the latter is a GET.
            entry[method] = operation;
        }
    }
    let mut definitions = schemas.into_definitions();
    for name in definitions.keys().cloned().collect::<Vec<_>>() {
        let example = example(&definitions[&name], &definitions, &name);
        if definitions[&name].get("properties").is_some() {
            definitions[&name]["examples"] = json!([example]);
        }
    }
    add_examples(&mut paths, &definitions);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "TOSE",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Push code or name an image, get a running app on a URL.",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This server"}],
        "tags": TAGS.map(|(name, text)| json!({"name": name, "description": text})),
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": common_responses(&failure),
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "`tose_sk_` and 40 lower-case hex digits. A key belongs to one workspace and one user and has that user's role there.",
                },
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "The same key as a bearer token.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": SESSION_COOKIE,
                    "description": "The cookie of a login. Calls that change something also need the header X-CSRF-Token, which the login and GET /api/me answer.",
                },
            },
        },
    })
}

const ABOUT: &str = "Success is `{\"success\":true,\"data\":…}`, lists add `meta`; failure is \
    `{\"success\":false,\"error\":…,\"code\":…}`, with `fields` for bad input. `PUT` changes what is sent and keeps the \
    rest. Times are RFC 3339 in UTC, ids are opaque. Every POST of an authenticated caller takes an `Idempotency-Key`: the \
    same key and body within 24 hours answer the first answer again. Every answer has an `X-Request-Id`. WebSockets also take the \
    key as `?api_key=`.";

const TAGS: [(&str, &str); 12] = [
    ("Accounts", "People who log in, and who the caller is."),
    (
        "Workspaces",
        "The unit of isolation, membership and billing.",
    ),
    ("Members", "Who belongs to a workspace, and who is invited."),
    ("API keys", "Keys for programs."),
    ("Projects", "Apps and their configuration."),
    ("Git", "A project's repository."),
    ("Variables", "A project's environment."),
    ("Deployments", "Attempts to bring a version to life."),
    ("Domains", "Host names that lead to a project."),
    ("Logs", "What builds and apps write, over WebSockets."),
    ("Commands", "Commands inside running replicas."),
    ("Server", "The server itself."),
];

fn tag(path: &str) -> &'static str {
    let has = |part: &str| path.contains(part);
    match path {
        _ if has("/members") || has("/invitations") => "Members",
        _ if has("/api-keys") => "API keys",
        _ if has("/api/auth") || has("/api/me") => "Accounts",
        _ if has("-logs") => "Logs",
        _ if has("/exec") => "Commands",
        _ if has("/git") || has("/api/webhooks") => "Git",
        _ if has("/env") => "Variables",
        _ if has("/deployments") || has("/redeploy") || has("/webhooks") => "Deployments",
        _ if has("/domains") => "Domains",
        _ if has("/projects") => "Projects",
        _ if has("/workspaces") => "Workspaces",
        _ => "Server",
    }
}

fn operation(route: &Route, path: &str, canonical: Option<&str>, schemas: &mut Schemas) -> Value {
    let doc = &route.doc;
    let mut operation = json!({
        "operationId": match canonical {
            None => doc.id.to_owned(),
            Some(_) => format!("{}_alias", doc.id),
        },
        "summary": doc.summary,
        "description": describe(route, canonical),
        "tags": [tag(path)],
        "parameters": parameters(route, path),
        "responses": responses(route, path, schemas),
        "security": security(route.needs),
    });
    match doc.takes {
        Takes::Nothing => {}
        Takes::Json(schema_of) => {
            operation["requestBody"] = json_body(schemas.request(schema_of), true);
        }
        Takes::OptionalJson(schema_of) => {
            operation["requestBody"] = json_body(schemas.request(schema_of), false);
        }
        Takes::Signed => {
            operation["requestBody"] = json_body(json!({"type": "object"}), true);
        }
        Takes::Push => {
            operation["requestBody"] = json!({
                "required": true,
                "description": "Commands and a pack, as Git sends them.",
                "content": {"application/x-git-receive-pack-request": {"schema": {"type": "string", "format": "binary"}}},
            });
        }
        Takes::Gzip => {
            operation["requestBody"] = json!({
                "required": true,
                "description": "A gzipped tar archive of a source tree.",
                "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
            });
        }
    }
    operation
}

fn json_body(schema: Value, is_required: bool) -> Value {
    json!({"required": is_required, "content": {"application/json": {"schema": schema}}})
}

fn describe(route: &Route, canonical: Option<&str>) -> String {
    let needs = match route.needs {
        Needs::Nothing => "Anybody may call it.".to_owned(),
        Needs::Caller => "Needs a key or a login.".to_owned(),
        Needs::Login => "Needs a login; a key cannot do this.".to_owned(),
        Needs::Operator => "Needs an operator of the server.".to_owned(),
        Needs::Role(role) => format!("Needs the role {} in the workspace.", role.as_str()),
    };
    let alias = canonical.map_or(String::new(), |path| format!("The same as `{path}`. "));
    let text = if route.doc.text.is_empty() {
        String::new()
    } else {
        format!("{} ", route.doc.text)
    };
    format!("{alias}{text}{needs}")
}

fn security(needs: Needs) -> Value {
    match needs {
        Needs::Nothing => json!([]),
        Needs::Login => json!([{"session": []}]),
        _ => json!([{"apiKey": []}, {"bearer": []}, {"session": []}]),
    }
}

fn is_tagged(route: &Route) -> bool {
    route.method == "GET" && matches!(route.doc.gives, Gives::One(_))
}

fn parameters(route: &Route, path: &str) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let (text, schema) = path_parameter(name);
            json!({"name": name, "in": "path", "required": true, "description": text, "schema": schema})
        })
        .collect();
    for param in &route.doc.query {
        parameters.push(json!({
            "name": param.name, "in": "query", "required": param.is_required,
            "description": param.text, "schema": param.schema,
        }));
    }
    if is_tagged(route) {
        parameters.push(json!({
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "The ETag of an earlier answer; 304 without a body if it is still the same.",
            "schema": {"type": "string"},
        }));
    }
    if is_replayable(route) {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key and body within 24 hours get the first answer again.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }));
    }
    Value::Array(parameters)
}

fn path_parameter(name: &str) -> (&'static str, Value) {
    const SLUG: &str = "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$";
    let slug = |example: &str| json!({"type": "string", "pattern": SLUG, "examples": [example]});
    let uuid = json!({"type": "string", "format": "uuid"});
    match name {
        "slug" => ("The workspace's slug", slug("demo")),
        "repository" => (
            "The project's slug and `.git`",
            json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\\.git$", "examples": ["shop.git"]}),
        ),
        "project_slug" => ("The project's slug", slug("shop")),
        "template_slug" => ("The instance's slug", slug("blog")),
        "database" => ("The database's slug, or its id", slug("store")),
        "key" => (
            "The variable's name",
            json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$", "examples": ["LOG_LEVEL"]}),
        ),
        "token" => (
            "The token",
            json!({"type": "string", "pattern": "^[0-9a-f]{40}$"}),
        ),
        "badge" => (
            "The slug of what the badge is of, and `.svg`",
            json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?\\.svg$", "examples": ["shop.svg"]}),
        ),
        "user_id" => ("The member's account", uuid),
        "key_id" => ("The key's id", uuid),
        "month" => (
            "The month",
            json!({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$", "examples": ["2026-01"]}),
        ),
        _ => ("The id", uuid),
    }
}

fn responses(route: &Route, path: &str, schemas: &mut Schemas) -> Value {
    let doc = &route.doc;
    let mut responses = Map::new();
    responses.insert(doc.status.to_string(), success(route, schemas));
    let mut add = |status: u16| {
        let reference = json!({"$ref": format!("#/components/responses/{status}")});
        responses.insert(status.to_string(), reference);
    };
    for status in refusals(route, path) {
        add(status);
    }
    if is_tagged(route) {
        responses.insert(
            "304".to_owned(),
            json!({"description": "The thing is still as the ETag in If-None-Match says.", "headers": headers(true)}),
        );
    }
    if !doc.conflicts.is_empty() {
        let replays = is_replayable(route).then_some(REUSED);
        let codes: Vec<String> = doc
            .conflicts
            .iter()
            .copied()
            .chain(replays)
            .map(|(code, when)| format!("`{code}`: {when}"))
            .collect();
        responses.insert(
            "409".to_owned(),
            json!({
                "description": codes.join("; "),
                "headers": headers(false),
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
            }),
        );
    }
    Value::Object(responses)
}

/// The conflict that every call with an `Idempotency-Key` can end in.
const REUSED: (&str, &str) = (
    "idempotency_key_reused",
    "the key came with another request before",
);

/// Whether it takes an `Idempotency-Key`.
fn is_replayable(route: &Route) -> bool {
    route.method == "POST" && route.needs != Needs::Nothing && route.key_place == KeyPlace::Header
}

/// The statuses that a route can answer besides its success.
fn refusals(route: &Route, path: &str) -> Vec<u16> {
    let doc = &route.doc;
    let mut statuses = vec![408, 429, 500];
    let has_body = !matches!(doc.takes, Takes::Nothing);
    let changes = !matches!(route.method, "GET" | "WS");
    if route.needs != Needs::Nothing {
        statuses.push(401);
    }
    if has_body || !doc.query.is_empty() || changes || matches!(doc.gives, Gives::Socket) {
        statuses.push(400);
    }
    if has_body {
        statuses.push(413);
    }
    if has_body && !matches!(doc.takes, Takes::Signed) {
        statuses.push(415);
    }
    if matches!(doc.takes, Takes::Signed) {
        statuses.push(401);
    }
    if route.needs != Needs::Nothing {
        // A role that is too low, or a page of another site.
        statuses.push(403);
    }
    if path.contains('{') {
        statuses.push(404);
    }
    if is_replayable(route) {
        statuses.push(409);
    }
    if doc.costs {
        statuses.push(402);
    }
    if doc.may_be_unavailable {
        statuses.push(503);
    }
    if matches!(doc.takes, Takes::Json(_)) && route.needs == Needs::Nothing {
        // A login, or what leads to one.
        statuses.extend([401, 403]);
    }
    statuses
}

fn success(route: &Route, schemas: &mut Schemas) -> Value {
    let doc = &route.doc;
    let data = |schema: Value, meta: bool| {
        let mut schema = json!({
            "type": "object",
            "required": ["success", "data"],
            "additionalProperties": false,
            "properties": {"success": {"const": true}, "data": schema},
        });
        if meta {
            schema["required"] = json!(["success", "data", "meta"]);
            schema["properties"]["meta"] = json!({"$ref": "#/components/schemas/Meta"});
        }
        json!({"application/json": {"schema": schema}})
    };
    let mut content = match doc.gives {
        Gives::One(schema_of) => data(schemas.answer(schema_of), false),
        Gives::List(schema_of) | Gives::Page(schema_of) => {
            schemas.answer(|generator| generator.subschema_for::<tose_api::Meta>());
            data(
                json!({"type": "array", "items": schemas.answer(schema_of)}),
                true,
            )
        }
        Gives::Raw("application/json") => {
            json!({"application/json": {"schema": {"type": "object"}}})
        }
        Gives::Raw(kind) => json!({kind: {"schema": {"type": "string"}}}),
        Gives::Socket => {
            return json!({"description": "A WebSocket is opened.", "headers": headers(false)});
        }
    };
    if let Some(kind) = doc.or_gives {
        content[kind] = json!({"schema": {"type": "string"}});
    }
    json!({
        "description": describe_success(doc),
        "headers": headers(is_tagged(route)),
        "content": content,
    })
}

fn describe_success(doc: &Doc) -> &'static str {
    match (doc.status, &doc.gives) {
        (201, _) => "It was made.",
        (202, _) => "It is on its way.",
        (_, Gives::List(_)) => "The whole list, as one page.",
        (_, Gives::Page(_)) => "One page, newest first.",
        _ => "Done.",
    }
}

fn headers(is_tagged: bool) -> Value {
    let mut headers = json!({
        "X-Request-Id": {
            "description": "Names this answer in the server's log.",
            "schema": {"type": "string"},
        },
    });
    if is_tagged {
        headers["ETag"] = json!({
            "description": "Changes with the answer.",
            "schema": {"type": "string"},
        });
    }
    headers
}

fn common_responses(failure: &Value) -> Value {
    let mut responses = Map::new();
    for (status, text) in [
        (
            400,
            "`invalid_input`: something that was sent is wrong; `fields` says what, where it can be said.",
        ),
        (
            401,
            "`unauthenticated`: no key or login came along, or none that is valid.",
        ),
        (
            402,
            "`wallet_empty`, `workspace_suspended`: the wallet has too little for it; top it up.",
        ),
        (403, "`forbidden`: the caller's role does not allow it."),
        (
            404,
            "`not_found`: there is no such thing, or none that the caller may know of.",
        ),
        (
            408,
            "`timeout`: the request did not arrive, or was not answered, in time.",
        ),
        (
            409,
            "`conflict`, `idempotency_key_reused` and the like: it collides with what there is.",
        ),
        (413, "`too_large`: the body is larger than the route takes."),
        (
            415,
            "`not_json` or `not_gzip`: the body is not of the type that the route takes.",
        ),
        (
            429,
            "`rate_limited`: too many; `Retry-After` says how many seconds to wait.",
        ),
        (
            500,
            "`internal`: a fault of the server; its log has the X-Request-Id.",
        ),
        (
            503,
            "`unavailable`: something that the server needs does not answer; `log_tier_unavailable`: old log lines are in a bucket that does not.",
        ),
    ] {
        let mut headers = headers(false);
        if status == 429 {
            headers["Retry-After"] = json!({
                "description": "Seconds to wait.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"},
            });
        }
        responses.insert(
            status.to_string(),
            json!({
                "description": text,
                "headers": headers,
                "content": {"application/json": {"schema": failure}},
            }),
        );
    }
    Value::Object(responses)
}

/// Gives every JSON body of every operation an example.
fn add_examples(paths: &mut Map<String, Value>, definitions: &Map<String, Value>) {
    let operations = paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations {
        let mut contents = Vec::new();
        if let Some(content) = operation.pointer_mut("/requestBody/content/application~1json") {
            contents.push(content.take());
            operation["requestBody"]["content"]["application/json"] =
                with_example(contents.remove(0), definitions);
        }
        let Some(responses) = operation["responses"].as_object_mut() else {
            continue;
        };
        for response in responses.values_mut() {
            if let Some(content) = response.pointer_mut("/content/application~1json") {
                *content = with_example(content.take(), definitions);
            }
        }
    }
}

fn with_example(mut content: Value, definitions: &Map<String, Value>) -> Value {
    let example = example(&content["schema"], definitions, "");
    content["example"] = example;
    content
}

/// A value that the schema allows, made of the examples that its parts carry.
fn example(schema: &Value, definitions: &Map<String, Value>, name: &str) -> Value {
    if let Some(example) = schema.pointer("/examples/0") {
        return example.clone();
    }
    if let Some(value) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return value.clone();
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.rsplit('/').next().unwrap_or_default();
        return definitions
            .get(target)
            .map_or(Value::Null, |schema| example(schema, definitions, target));
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(first) = schema.pointer(&format!("/{choice}/0")) {
            return example(first, definitions, name);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") => {
            let properties = schema["properties"].as_object();
            let mut object = Map::new();
            for (name, property) in properties.into_iter().flatten() {
                object.insert(name.clone(), example(property, definitions, name));
            }
            Value::Object(object)
        }
        Some("array") => json!([example(&schema["items"], definitions, name)]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        _ => json!(text_example(name)),
    }
}

/// Texts whose schema cannot say what they look like.
fn text_example(name: &str) -> &'static str {
    match name {
        "name" => "My app",
        "password" | "current_password" | "new_password" => "correct horse battery",
        "token" | "invitation_token" | "csrf_token" => "0123456789abcdef0123456789abcdef01234567",
        "code" => "123456",
        "health_check_path" => "/healthz",
        "start_command" => "node server.js",
        "path" => "/data",
        "url" => "http://demo-shop.localhost",
        "commit" | "sha" => "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "key" => "tose_sk_0123456789abcdef0123456789abcdef01234567",
        "key_prefix" => "tose_sk_0123…",
        "repo_full_name" => "you/app",
        "deploy_key" => "-----BEGIN OPENSSH PRIVATE KEY-----",
        "email" | "actor" | "created_by" | "invited_by" => "you@example.com",
        "ip" => "192.0.2.1",
        "namespace" => "tose-demo",
        "image" => "nginx:1.27",
        "action" => "project.create",
        "used" | "limit" | "memory" => "64Mi",
        "cpu" => "12m",
        _ => "text",
    }
}
