//! What an operation needs of its caller: one scope, which also says the standing. It is written once, in the operation's
//! description, and read from there by the door.

use http::Method;
use std::collections::HashMap;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nothing: anybody may.
    Nothing,
    /// A token for this API, and no scope.
    Token,
    /// To be a person, who looks at what is their own.
    SelfRead,
    /// To be a person, who changes what is their own.
    SelfWrite,
    /// To look at rows of a tenant.
    AdminRead,
    /// To change rows of a tenant.
    AdminWrite,
    /// To look at what is the house's.
    OperatorRead,
    /// To change what is the house's.
    OperatorWrite,
}

/// The scopes of the API, in the order of its metadata.
pub const SCOPES: &[&str] =
    &["self:read", "self:write", "admin:read", "admin:write", "operator:read", "operator:write"];

impl Need {
    /// The scope without which the operation is refused.
    pub(crate) const fn scope(self) -> Option<&'static str> {
        Some(match self {
            Self::Nothing | Self::Token => return None,
            Self::SelfRead => "self:read",
            Self::SelfWrite => "self:write",
            Self::AdminRead => "admin:read",
            Self::AdminWrite => "admin:write",
            Self::OperatorRead => "operator:read",
            Self::OperatorWrite => "operator:write",
        })
    }

    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::SelfWrite | Self::AdminWrite | Self::OperatorWrite)
    }

    const SCOPED: [Self; 6] = [
        Self::SelfRead,
        Self::SelfWrite,
        Self::AdminRead,
        Self::AdminWrite,
        Self::OperatorRead,
        Self::OperatorWrite,
    ];
}

/// An operation, as the door knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its name in the description and on record.
    pub(crate) name: String,
    /// What it needs.
    pub(crate) need: Need,
}

/// Every operation of a description, by method and path.
pub(crate) struct Needs(HashMap<(Method, String), Known>);

impl Needs {
    /// Reads the description. An operation that does not say exactly one need is left out, and what is left out is refused.
    pub(crate) fn of(description: &OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &description.paths.paths {
            for (method, operation) in operations(item) {
                if let Some(row) = read(operation) {
                    known.insert((method, path.clone()), row);
                }
            }
        }
        Self(known)
    }

    /// The operation of a method at a path as the router matched it; `HEAD` is a `GET` (RFC 9110 §9.3.2).
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<&Known> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, path.to_owned()))
    }
}

/// The operations of one path.
pub(crate) fn operations(item: &PathItem) -> Vec<(Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
    .collect()
}

fn read(operation: &Operation) -> Option<Known> {
    let name = operation.operation_id.clone()?;
    // The types of the library show a requirement only as JSON: `[{"bearer": ["admin:read"]}]`, or `[{}]` for none.
    let security = serde_json::to_value(operation.security.as_ref()?).ok()?;
    let [requirement] = security.as_array()?.as_slice() else { return None };
    let requirement = requirement.as_object()?;
    let need = match requirement.get("bearer") {
        None if requirement.is_empty() => Need::Nothing,
        None => return None,
        Some(scopes) => match scopes.as_array()?.as_slice() {
            [] => Need::Token,
            [scope] => Need::SCOPED.into_iter().find(|need| need.scope() == scope.as_str())?,
            _ => return None,
        },
    };
    Some(Known { name, need })
}
