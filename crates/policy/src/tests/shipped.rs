//! The policies in `policies/` hold what their tables say.

use super::*;
use crate::PolicyTable;
use std::path::Path;

pub(crate) fn folder(path: &str) -> Vec<PolicyFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let mut files: Vec<PolicyFile> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "cedar"))
        .map(|path| PolicyFile {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            text: std::fs::read_to_string(path).unwrap(),
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

#[test]
fn shipped_policies_are_valid_and_do_what_their_table_says() {
    let shapes = [
        tool("files", "read", Impact::Read, RICH),
        tool("files", "move", Impact::WriteReversible, RICH),
        tool("files", "delete", Impact::ExternalOrRegulated, RICH),
        prompt("files", "tidy"),
    ];
    let revision = Revision::compile(&folder("policies"), &shapes, &Settings { zone: Zone::utc() }).unwrap();
    assert_eq!(revision.report().lints, []);
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/tests/starter.yaml");
    let table: PolicyTable = serde_saphyr::from_str(&std::fs::read_to_string(table).unwrap()).unwrap();
    let wrong: Vec<_> = table.run(&revision).into_iter().filter(|row| row.failure.is_some()).collect();
    assert_eq!(wrong, []);
}

#[test]
fn the_service_discovers_and_does_nothing_else() {
    let revision =
        Revision::compile(&folder("policies"), &[tool("files", "read", Impact::Read, RICH)], &settings())
            .unwrap();
    let service = Subject::of(&Principal::service());
    let files = server("files");
    let ask = |name: &ActionName<'_>| {
        short(&revision.decide(&service, &revision.action(name).unwrap(), b"{}", &moment()))
    };
    assert_eq!(ask(&ActionName::Discover(&files)), "permit: service-discovers");
    assert_eq!(ask(&ActionName::Resource(&files)), "forbidden: service-only-discovers");
    assert_eq!(ask(&ActionName::Tool(&files, "read")), "forbidden: service-only-discovers");
}
