//! The Cedar schema in its JSON format, where action ids and attribute names are any text.

use super::{Record, Type};
use serde_json::{Map, Value, json};

/// An action in a schema.
#[derive(Clone, Debug)]
pub(crate) struct Declared<'a> {
    /// Its id.
    pub(crate) id: &'a str,
    /// The groups it is in; each must be declared too.
    pub(crate) groups: &'a [String],
    /// The common type of its context; `None` for a group.
    pub(crate) context: Option<&'a str>,
}

/// A schema with our entity types, the given context types and actions. A name declared twice keeps the last.
pub(crate) fn schema_json(contexts: &[(String, Value)], actions: &[Declared<'_>]) -> Value {
    let contexts: Map<String, Value> = contexts.iter().cloned().collect();
    let mut declared = Map::new();
    for action in actions {
        let groups: Vec<Value> = action.groups.iter().map(|id| json!({ "id": id })).collect();
        let mut body = Map::from_iter([("memberOf".to_owned(), Value::Array(groups))]);
        if let Some(context) = action.context {
            body.insert(
                "appliesTo".to_owned(),
                json!({
                    "principalTypes": ["User"],
                    "resourceTypes": ["Server"],
                    "context": { "type": context },
                }),
            );
        }
        declared.insert(action.id.to_owned(), Value::Object(body));
    }
    json!({
        "": {
            "commonTypes": contexts,
            "entityTypes": {
                "User": { "shape": { "type": "Record", "attributes": {
                    "user": { "type": "String" },
                    "tenant": { "type": "String" },
                    "client": { "type": "String" },
                    "agent": { "type": "String", "required": false },
                    "agent_trust": { "type": "String", "required": false },
                    "issuer": { "type": "String" },
                    "roles": strings(),
                    "groups": strings(),
                    "scopes": strings(),
                } } },
                "Server": {},
            },
            "actions": declared,
        }
    })
}

/// The type of `context` for an action with these arguments.
pub(crate) fn context_type(arguments: &Record) -> Value {
    json!({ "type": "Record", "attributes": {
        "args": record(arguments),
        "time": { "type": "Record", "attributes": {
            "now": { "type": "Extension", "name": "datetime" },
            "hour": { "type": "Long" },
            "minute": { "type": "Long" },
            "weekday": { "type": "Long" },
            "date": { "type": "String" },
            "zone": { "type": "String" },
        } },
        "network": { "type": "Record", "attributes": {
            "ip": { "type": "Extension", "name": "ipaddr" },
        } },
        "plan": { "type": "Record", "attributes": {
            "strategy": { "type": "String" },
            "account": { "type": "String", "required": false },
            "audience": { "type": "String", "required": false },
        } },
        "conversation": { "type": "Record", "attributes": {
            "source": { "type": "String" },
        } },
        "granted": strings(),
    } })
}

fn record(record: &Record) -> Value {
    let attributes: Map<String, Value> = record
        .iter()
        .map(|(name, field)| {
            let mut ty = type_json(&field.ty);
            if let (false, Value::Object(ty)) = (field.always_there(), &mut ty) {
                ty.insert("required".to_owned(), Value::Bool(false));
            }
            (name.clone(), ty)
        })
        .collect();
    json!({ "type": "Record", "attributes": attributes })
}

fn type_json(ty: &Type) -> Value {
    match ty {
        Type::Boolean => json!({ "type": "Boolean" }),
        Type::Long => json!({ "type": "Long" }),
        Type::Decimal => json!({ "type": "Extension", "name": "decimal" }),
        Type::Text => json!({ "type": "String" }),
        Type::Set(element) => json!({ "type": "Set", "element": type_json(element) }),
        Type::Record(fields) => record(fields),
    }
}

fn strings() -> Value {
    json!({ "type": "Set", "element": { "type": "String" } })
}
