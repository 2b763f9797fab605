//! `/api/docs`: the OpenAPI document as one page that needs no script and nothing from elsewhere.

use std::fmt::Write;

use serde_json::Value;

/// The page for a document.
pub(crate) fn page(document: &Value) -> String {
    let mut html = String::with_capacity(256 * 1024);
    html.push_str(HEAD);
    let about = text(&document["info"]["description"]);
    push(
        &mut html,
        format_args!(
            "<h1>TOSE API <small>{}</small></h1><p>{}</p><p><a href=\"/api/openapi.json\">openapi.json</a></p>",
            text(&document["info"]["version"]),
            marked(&about)
        ),
    );
    let tags: Vec<&str> = document["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    html.push_str("<nav>");
    for tag in &tags {
        push(
            &mut html,
            format_args!("<a href=\"#{0}\">{0}</a> ", escape(tag)),
        );
    }
    html.push_str("</nav>");
    for tag in &tags {
        push(
            &mut html,
            format_args!("<h2 id=\"{0}\">{0}</h2>", escape(tag)),
        );
        for (path, method, operation) in operations(document) {
            if operation["tags"][0].as_str() == Some(tag) {
                write_operation(&mut html, document, path, method, operation);
            }
        }
    }
    html.push_str("<h2 id=\"schemas\">Types</h2>");
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
    {
        push(
            &mut html,
            format_args!(
                "<details id=\"type-{0}\"><summary><b>{0}</b> {1}</summary>",
                escape(name),
                marked(&text(&schema["description"]))
            ),
        );
        write_properties(&mut html, schema);
        html.push_str("</details>");
    }
    html.push_str("</main></body></html>");
    html
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(path, methods)| {
            methods
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
}

fn write_operation(
    html: &mut String,
    document: &Value,
    path: &str,
    method: &str,
    operation: &Value,
) {
    push(
        html,
        format_args!(
            "<details id=\"{id}\"><summary><code class=\"{method}\">{upper}</code> <code>{path}</code> {summary}</summary><p>{description}</p>",
            id = text(&operation["operationId"]),
            upper = method.to_ascii_uppercase(),
            path = escape(path),
            summary = text(&operation["summary"]),
            description = marked(&text(&operation["description"])),
        ),
    );
    let parameters = operation["parameters"].as_array();
    if parameters.is_some_and(|parameters| !parameters.is_empty()) {
        html.push_str("<h4>Parameters</h4><table>");
        for parameter in parameters.into_iter().flatten() {
            push(
                html,
                format_args!(
                    "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    text(&parameter["name"]),
                    text(&parameter["in"]),
                    type_of(&parameter["schema"]),
                    marked(&text(&parameter["description"])),
                ),
            );
        }
        html.push_str("</table>");
    }
    for (kind, content) in operation["requestBody"]["content"]
        .as_object()
        .into_iter()
        .flatten()
    {
        push(
            html,
            format_args!(
                "<h4>Body <small>{}</small></h4><p>{}</p>",
                escape(kind),
                type_of(&content["schema"])
            ),
        );
        write_example(html, &content["example"]);
    }
    html.push_str("<h4>Answers</h4><table>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let response = resolve(document, response);
        push(
            html,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}</td></tr>",
                escape(status),
                marked(&text(&response["description"]))
            ),
        );
    }
    html.push_str("</table>");
    let success = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .find(|(status, _)| status.starts_with('2'));
    if let Some((_, response)) = success {
        write_example(html, &response["content"]["application/json"]["example"]);
    }
    html.push_str("</details>");
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix('#'));
    pointer
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(value)
}

fn write_properties(html: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        push(html, format_args!("<p>{}</p>", type_of(schema)));
        return;
    };
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    html.push_str("<table>");
    for (name, property) in properties {
        let mark = if required.contains(&name.as_str()) {
            ""
        } else {
            "optional"
        };
        push(
            html,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}</td><td>{mark}</td><td>{}</td></tr>",
                escape(name),
                type_of(property),
                marked(&text(&property["description"]))
            ),
        );
    }
    html.push_str("</table>");
}

fn write_example(html: &mut String, example: &Value) {
    if !example.is_null() {
        let pretty = serde_json::to_string_pretty(example).unwrap_or_default();
        push(html, format_args!("<pre>{}</pre>", escape(&pretty)));
    }
}

/// What a schema allows, in a few words.
fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = escape(reference.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let names: Vec<_> = choices.iter().map(type_of).collect();
            return names.join(" or ");
        }
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escape(&value.to_string()));
    }
    if let Some(values) = schema["enum"].as_array() {
        let names: Vec<_> = values
            .iter()
            .map(|value| format!("<code>{}</code>", escape(&value.to_string())))
            .collect();
        return names.join(", ");
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", type_of(&schema["items"])),
        Value::String(kind) => escape(kind),
        Value::Array(kinds) => {
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
            escape(&kinds.join(" or "))
        }
        _ => "anything".to_owned(),
    }
}

fn push(html: &mut String, arguments: std::fmt::Arguments<'_>) {
    html.write_fmt(arguments)
        .expect("a text in memory takes what is written");
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Escaped text with its `…` as code.
fn marked(escaped: &str) -> String {
    let mut parts = escaped.split('`');
    let mut html = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        html.push_str(if index % 2 == 0 { "<code>" } else { "</code>" });
        html.push_str(part);
    }
    html
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>TOSE API</title>\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0}\
main{max-width:60rem;margin:0 auto;padding:1rem}nav{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}\
details{border:1px solid #8884;border-radius:.4rem;margin:.4rem 0;padding:.4rem .8rem}summary{cursor:pointer}\
table{border-collapse:collapse;width:100%}td{border-top:1px solid #8884;padding:.25rem .5rem;vertical-align:top}\
pre{background:#8881;overflow:auto;padding:.75rem;border-radius:.4rem}code{font-size:.9em}small{font-weight:normal;opacity:.7}\
</style></head><body><main>";
