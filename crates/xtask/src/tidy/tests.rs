use super::files::{Module, empty_name, modules};
use super::links::{anchors, targets};
use super::rooms::{compare, imports, table};
use serde_json::json;

const TABLE: &str = "\
| crate | what it is | imports |
|---|---|---|
| `model` | words | – |
| `wire` | bytes | model |
| `hall` | all of it | all above |

| `not` | of this table | – |
";

fn metadata(rooms: &[(&str, &[&str])]) -> serde_json::Value {
    let package = |(name, imports): &(&str, &[&str])| {
        let dependencies: Vec<_> = imports.iter().map(|name| json!({"name": name})).collect();
        json!({"name": name, "dependencies": dependencies})
    };
    json!({"packages": rooms.iter().map(package).collect::<Vec<_>>()})
}

#[test]
fn a_room_that_imports_what_its_row_allows_is_tidy() {
    let manifests =
        metadata(&[("model", &["serde"]), ("wire", &["model", "bytes"]), ("hall", &["model", "wire"])]);
    assert_eq!(compare(&table(TABLE), &imports(&manifests)), Vec::<String>::new());
}

#[test]
fn an_import_outside_of_the_row_is_named() {
    let manifests = metadata(&[("model", &["wire"]), ("wire", &[]), ("hall", &[])]);
    let faults = compare(&table(TABLE), &imports(&manifests));
    assert_eq!(faults, ["crates/model/Cargo.toml: model may not import wire; ARCHITECTURE.md"]);
}

#[test]
fn a_room_without_a_row_and_a_row_without_a_room_are_named() {
    let manifests = metadata(&[("model", &[]), ("wire", &[]), ("attic", &[])]);
    let faults = compare(&table(TABLE), &imports(&manifests));
    assert_eq!(
        faults,
        ["ARCHITECTURE.md: the room attic has no row", "ARCHITECTURE.md: there is no room hall"]
    );
}

#[test]
fn modules_are_found_whatever_their_visibility() {
    let text = "mod one;\npub mod two;\npub(crate) mod three;\nmod inline {\n    mod four;\n}\n// mod five;\n\
                #[path = \"../six.rs\"]\nmod six;\n";
    let named = ["one", "two", "three", "inline/four"].map(|name| Module::Named(name.into()));
    let expected: Vec<_> = named.into_iter().chain([Module::At("../six.rs".into())]).collect();
    assert_eq!(modules(text), expected);
}

#[test]
fn names_that_say_nothing_are_refused() {
    assert!(empty_name("crates/x/src/utils.rs").is_some());
    assert!(empty_name("crates/x/src/mod.rs").is_some());
    assert!(empty_name("crates/x/src/modes.rs").is_none());
}

#[test]
fn links_are_found_outside_of_code_and_inside_of_the_repository() {
    let text = "[a](docs/a.md#b) and [c](https://example.com) [d](#e)\n```\n[f](g.md)\n```\n";
    assert_eq!(targets(text), ["docs/a.md#b", "#e"]);
}

#[test]
fn anchors_are_those_of_headings() {
    assert_eq!(
        anchors("# The House\n## What's `new`?\ntext <a id=\"ptn-1001\"></a>\n"),
        ["the-house", "whats-new", "ptn-1001"]
    );
}
