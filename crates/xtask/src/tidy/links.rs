//! Relative links between the documents: each leads somewhere.

use std::path::Path;

use anyhow::Context as _;

use crate::ground::Ground;

pub(super) fn check(ground: &Ground, files: &[String]) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".md")) {
        let text =
            std::fs::read_to_string(ground.root.join(file)).with_context(|| format!("reading {file}"))?;
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        for target in targets(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let goal =
                if path.is_empty() { ground.root.join(file) } else { ground.root.join(folder).join(path) };
            if !goal.exists() {
                faults.push(format!("{file}: the link to {target} leads nowhere"));
            } else if !anchor.is_empty() && path.ends_with(".md") | path.is_empty() {
                let goal = std::fs::read_to_string(&goal).unwrap_or_default();
                if !anchors(&goal).contains(&anchor.to_owned()) {
                    faults.push(format!("{file}: there is no heading for {target}"));
                }
            }
        }
    }
    Ok(faults)
}

/// The targets of `[text](target)` that lead into the repository, outside of code blocks.
pub(super) fn targets(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut targets = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                targets.push(target.to_owned());
            }
        }
    }
    targets
}

/// The anchors of a document's headings as GitHub makes them, and those written as `<a id="…">`.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#').trim();
        let kept = title.to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    let headings = text.lines().filter(|line| line.starts_with('#')).map(heading);
    let written = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned);
    headings.chain(written).collect()
}
