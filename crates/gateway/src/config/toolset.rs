//! Section `toolsets`.

use super::check::{At, Check};
use model::{ServerName, ToolsetName};
use proxy::{Selector, Toolset};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A named selection, served at `/toolsets/<name>/mcp`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolsetSection {
    /// `server/name` or `server/prefix*`, of tools, prompts and resources.
    tools: Vec<String>,
}

/// The checked toolsets; selectors may only name servers in `servers`.
pub(super) fn check(
    sections: BTreeMap<String, ToolsetSection>,
    servers: &[&str],
    at: &At,
    check: &mut Check,
) -> BTreeMap<ToolsetName, Arc<Toolset>> {
    let mut toolsets = BTreeMap::new();
    for (name, section) in sections {
        let here = at.key(&name);
        let Ok(name) = ToolsetName::new(&name) else {
            check.fault(&here, "not a toolset's name", super::NAME_ACCEPTS);
            continue;
        };
        let mut selectors = Vec::new();
        for (index, text) in section.tools.iter().enumerate() {
            let place = here.key("tools").index(index);
            match Selector::parse(text) {
                Err(fault) => check.fault(&place, fault.to_string(), "server/name or server/prefix*"),
                Ok(selector) if !known(servers, &selector.server) => {
                    check.unknown(
                        &place,
                        format!("no server `{}`", selector.server),
                        selector.server.as_str(),
                        servers,
                    );
                }
                Ok(selector) => selectors.push(selector),
            }
        }
        if section.tools.is_empty() {
            check.fault(&here.key("tools"), "a toolset of nothing", "at least one selector");
        }
        toolsets.insert(name, Arc::new(Toolset { selectors }));
    }
    toolsets
}

fn known(servers: &[&str], name: &ServerName) -> bool {
    servers.contains(&name.as_str())
}
