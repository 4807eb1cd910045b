//! What the description of a face says of its routes: which queries they have, and which of them
//! take a ticket. So what is described and what is checked cannot differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::extract::KEY_LEN_MAX;

/// Routes that take an Idempotency-Key although nobody logs in there. What else is sent without a
/// key of the API is known again by what a container, a shop or a seat's number says.
const ANYBODYS: [&str; 2] = ["/v1/{vendor}/losses", "/v1/{vendor}/served"];

/// One route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Names that may stand in its query.
    queries: BTreeSet<String>,
    /// Whether a ticket stands in its body.
    pub takes_ticket: bool,
    /// Whether its body is text that somebody signed: a key says nothing there.
    pub takes_signed: bool,
}

/// The routes of a face, by template and method (in small letters).
#[derive(Debug, Clone, Default)]
pub struct Routes(HashMap<String, BTreeMap<String, Arc<Route>>>);

impl Routes {
    /// As a description in OpenAPI has them.
    pub fn of(document: &Value) -> Self {
        let mut routes: HashMap<String, BTreeMap<String, Arc<Route>>> = HashMap::new();
        for (template, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, said) in methods.as_object().into_iter().flatten() {
                let parameters = said["parameters"].as_array().into_iter().flatten();
                let queries = parameters.filter(|one| one["in"] == "query");
                let queries = queries.filter_map(|one| one["name"].as_str().map(str::to_owned));
                let schema = &said["requestBody"]["content"]["application/json"]["schema"];
                let takes_signed = schema["type"] == "string";
                let schema = schema["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
                let schema = schema.and_then(|place| document.pointer(place));
                let takes_ticket =
                    schema.is_some_and(|schema| schema["properties"]["ticket"].is_object());
                let route = Route { queries: queries.collect(), takes_ticket, takes_signed };
                let own = routes.entry(template.clone()).or_default();
                own.insert(method.clone(), Arc::new(route));
            }
        }
        Routes(routes)
    }

    /// The route of a request.
    pub fn find(&self, template: &str, method: &str) -> Option<&Arc<Route>> {
        let mut own = self.0.get(template)?.iter();
        own.find(|(name, _)| name.eq_ignore_ascii_case(method)).map(|(_, route)| route)
    }
}

/// Says of every route what is true of all: names in its path are text, changes may be asked for
/// again under a key, a refusal is a problem under a type of its own, and the server may be the one
/// who fails.
pub fn complete(document: &mut Value) {
    let problem = json!({ "description": "Refused.", "content": { "application/problem+json": {
        "schema": { "$ref": "#/components/schemas/Problem" } } } });
    let lists = lists(document);
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (template, methods) in paths {
        let names =
            template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let own = names.map(|name| {
            json!({ "in": "path", "name": name, "required": true, "schema": { "type": "string" } })
        });
        let own: Vec<Value> = own.collect();
        for (method, said) in methods.as_object_mut().into_iter().flatten() {
            let known = said["parameters"].as_array().cloned().unwrap_or_default();
            let once = takes_once(template, method).then(once);
            said["parameters"] = own.iter().cloned().chain(known).chain(once).collect();
            for class in ["4XX", "5XX"] {
                said["responses"][class] = problem.clone();
            }
            // Looked up by a pointer: an index would put in what is not there.
            let Some(content) = said.pointer_mut("/responses/200/content") else { continue };
            let schema = content.pointer("/application~1json/schema/$ref").and_then(Value::as_str);
            if schema.is_some_and(|schema| lists.contains(schema)) {
                content["text/csv"] = json!({ "schema": { "type": "string" } });
            }
        }
    }
}

/// Whether a route may be asked again under an Idempotency-Key.
fn takes_once(template: &str, method: &str) -> bool {
    method != "get" && (!template.starts_with("/v1/{vendor}") || ANYBODYS.contains(&template))
}

fn once() -> Value {
    let what = "Drawn by the client. The same request under the same key has one effect and one \
                answer, for a day; another request under it is refused.";
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": KEY_LEN_MAX });
    json!({ "in": "header", "name": "Idempotency-Key", "description": what, "schema": schema })
}

/// Schemas of parts of lists, which are sent as tables too.
fn lists(document: &Value) -> BTreeSet<String> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let lists = schemas.filter(|(_, schema)| {
        schema["properties"]["rows"].is_object() && schema["properties"]["next"].is_object()
    });
    lists.map(|(name, _)| format!("#/components/schemas/{name}")).collect()
}

impl Route {
    /// A name in `query` that this route does not know.
    pub fn unknown<'a>(&self, query: &'a str) -> Option<&'a str> {
        let parts = query.split('&').filter(|part| !part.is_empty());
        let mut names = parts.map(|part| part.split('=').next().unwrap_or_default());
        names.find(|name| !self.queries.contains(*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_what_is_known() {
        let document = json!({
            "paths": {
                "/v1/a": { "get": { "parameters": [
                    { "in": "query", "name": "limit" }, { "in": "path", "name": "id" } ] } },
                "/v1/b": { "post": { "requestBody": { "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/T" } } } } } },
            },
            "components": { "schemas": { "T": { "properties": { "ticket": {} } } } },
        });
        let routes = Routes::of(&document);
        let list = routes.find("/v1/a", "GET").unwrap();
        assert_eq!(list.unknown("limit=1"), None);
        assert_eq!(list.unknown("limit=1&id=2"), Some("id"));
        assert_eq!(list.unknown("limi%74=1"), Some("limi%74"));
        assert!(!list.takes_ticket);
        assert!(routes.find("/v1/b", "POST").unwrap().takes_ticket);
        assert_eq!(routes.find("/v1/a", "POST"), None);
    }
}
