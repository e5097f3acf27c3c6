use super::*;
use crate::need::{Needs, operations};
use std::collections::BTreeSet;

#[test]
fn every_operation_says_who_may() {
    let (_, description) = routes().split_for_parts();
    let needs = Needs::of(&description);
    let mut names = BTreeSet::new();
    let mut count = 0;
    for (path, item) in &description.paths.paths {
        for (method, operation) in operations(item) {
            let known = needs.find(&method, path).unwrap_or_else(|| panic!("{method} {path} says no need"));
            let changes = !matches!(method.as_str(), "GET");
            assert_eq!(known.need.writes(), changes, "{method} {path}: a change needs a scope that writes");
            assert!(operation.summary.is_some(), "{method} {path} has no summary");
            assert!(
                operation.tags.as_ref().is_some_and(|tags| tags.len() == 1),
                "{method} {path} has no tag"
            );
            names.insert(known.name.clone());
            count += 1;
        }
    }
    assert_eq!(names.len(), count, "names of operations are unique");
}

#[test]
fn the_router_has_no_path_that_the_description_lacks() {
    let (router, description) = routes().split_for_parts();
    // What axum shows of its own table of paths.
    let shown = format!("{router:?}");
    let table = shown.split("paths: {").nth(1).unwrap().split('}').collect::<Vec<_>>();
    let table = table.join("}");
    let routed: BTreeSet<&str> =
        table.split('"').skip(1).step_by(2).take_while(|path| path.starts_with('/')).collect();
    let described: BTreeSet<&str> = description.paths.paths.keys().map(String::as_str).collect();
    assert_eq!(routed, described);
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    fn references<'a>(tree: &'a serde_json::Value, found: &mut Vec<&'a str>) {
        match tree {
            serde_json::Value::Object(members) => {
                found.extend(members.get("$ref").and_then(serde_json::Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let tree: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
    assert!(tree["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut found = Vec::new();
    references(&tree, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(tree.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
}
