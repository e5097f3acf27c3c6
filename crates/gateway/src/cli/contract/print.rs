//! Contracts as a person reads them.

use super::super::exit::Failure;
use super::super::out::Out;
use authn::Contract;
use authn::contract::{ContractRow, Document, Status};
use serde_json::Value;

/// Versions as a table.
pub(super) fn rows(rows: &[ContractRow], out: &mut Out) -> Result<(), Failure> {
    let row = |row: &ContractRow| {
        vec![
            row.key.issuer.clone(),
            row.key.resource.clone().unwrap_or_else(|| "(all)".to_owned()),
            row.version.to_string(),
            row.status.as_str().to_owned(),
            row.changed_at.to_string(),
            row.changed_by.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    Ok(out.table(&["issuer", "resource", "version", "status", "since", "by"], &rows)?)
}

/// One version's document.
pub(super) fn document(rows: &[ContractRow], version: Option<i64>, out: &mut Out) -> Result<(), Failure> {
    let wanted = match version {
        Some(version) => rows.iter().find(|row| row.version == version),
        None => rows.iter().find(|row| row.status == Status::Enforced).or(rows.last()),
    };
    let row = wanted.ok_or_else(|| Failure::Found("there is no such version of a contract".into()))?;
    let document: Value = serde_json::from_str(&row.document)
        .map_err(|error| Failure::Found(format!("the contract cannot be read: {error}")))?;
    Ok(out.json(&document)?)
}

/// Tries the samples, and prints those that do not do what they have to.
pub(super) fn samples(document: &Document, out: &mut Out) -> Result<(), Failure> {
    let contract = Contract::compile(document, 0).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::Policy(format!("{} fault(s) in the contract\n{}", lines.len(), lines.join("\n")))
    })?;
    let faults = contract.try_samples(document);
    for fault in &faults {
        out.remark(fault.to_string())?;
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::Policy(format!(
        "{} sample(s) do not do what they have to; nothing is published",
        faults.len()
    )))
}
