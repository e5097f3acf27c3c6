//! From what a server listed to items: names, digests, headers, shapes; and what is left out, with the reason.
//! Pure.

use super::discover::{Discovered, Listed};
use super::snapshot::{Item, ServerView, State};
use super::{CatalogEvent, Kind};
use crate::config::ServerConfig;
use policy::{PromptShape, Shape, ToolShape};
use protocol::{Members, Raw, canonical, header, name};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;

/// Builds the view of a server. Items whose definition did not change are the very same as in `before`.
pub(super) fn view(config: &ServerConfig, found: Discovered, before: Option<&ServerView>) -> ServerView {
    let mut reading = Reading { config, dropped: Vec::new() };
    let old = |list: fn(&ServerView) -> &Vec<Arc<Item>>| before.map(list).map_or(&[][..], Vec::as_slice);
    let tools = reading.items(Sort::Tool, found.tools, old(|view| &view.tools));
    let prompts = reading.items(Sort::Prompt, found.prompts, old(|view| &view.prompts));
    let resources = reading.items(Sort::Resource, found.resources, old(|view| &view.resources));
    let templates = reading.items(Sort::Template, found.templates, old(|view| &view.templates));
    let (tools, shared_tools) = reading.shared(Kind::Tools, tools);
    let (prompts, shared_prompts) = reading.shared(Kind::Prompts, prompts);
    ServerView {
        name: config.name.clone(),
        state: State::Ready,
        capabilities: found.capabilities.raw().clone(),
        instructions: found.instructions,
        info: found.info,
        tools,
        prompts,
        resources,
        templates,
        dropped: reading.dropped,
        shared_tools,
        shared_prompts,
    }
}

/// What changed between two views, for the record; and the kinds of lists to be told about.
pub(super) fn difference(before: Option<&ServerView>, after: &ServerView) -> (Vec<Kind>, Vec<CatalogEvent>) {
    let (mut kinds, mut events) = (Vec::new(), Vec::new());
    let mut note = |kind: Kind, old: &[Arc<Item>], new: &[Arc<Item>]| {
        let known: HashMap<&str, &Arc<Item>> = old.iter().map(|item| (&*item.name, item)).collect();
        let still: HashMap<&str, ()> = new.iter().map(|item| (&*item.name, ())).collect();
        let named = |items: Vec<&Arc<Item>>| -> Vec<Arc<str>> {
            items.into_iter().take(CatalogEvent::NAMES).map(|item| Arc::clone(&item.name)).collect()
        };
        let added = named(new.iter().filter(|item| !known.contains_key(&*item.name)).collect());
        let changed =
            new.iter().filter(|item| known.get(&*item.name).is_some_and(|old| old.digest != item.digest));
        let changed = named(changed.collect());
        let removed = named(old.iter().filter(|item| !still.contains_key(&*item.name)).collect());
        if added.is_empty() && changed.is_empty() && removed.is_empty() {
            return;
        }
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        events.push(CatalogEvent::Changed { server: after.name.clone(), kind, added, changed, removed });
    };
    let old = |list: fn(&ServerView) -> &Vec<Arc<Item>>| before.map(list).map_or(&[][..], Vec::as_slice);
    note(Kind::Tools, old(|view| &view.tools), &after.tools);
    note(Kind::Prompts, old(|view| &view.prompts), &after.prompts);
    note(Kind::Resources, old(|view| &view.resources), &after.resources);
    note(Kind::Resources, old(|view| &view.templates), &after.templates);
    let known = before.map_or(&[][..], |view| view.dropped.as_slice());
    for dropped in after.dropped.iter().filter(|dropped| !known.contains(dropped)) {
        let (kind, name, reason) = dropped.clone();
        events.push(CatalogEvent::Dropped { server: after.name.clone(), kind, name, reason });
    }
    (kinds, events)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Tool,
    Prompt,
    Resource,
    Template,
}

impl Sort {
    fn kind(self) -> Kind {
        match self {
            Self::Tool => Kind::Tools,
            Self::Prompt => Kind::Prompts,
            Self::Resource | Self::Template => Kind::Resources,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Resource => "uri",
            Self::Template => "uriTemplate",
        }
    }
}

/// Items by their shared name.
type Named = HashMap<Arc<str>, Arc<Item>>;

struct Reading<'a> {
    config: &'a ServerConfig,
    dropped: Vec<(Kind, Arc<str>, Arc<str>)>,
}

impl Reading<'_> {
    fn items(&mut self, sort: Sort, listed: Listed, before: &[Arc<Item>]) -> Vec<Arc<Item>> {
        let known: HashMap<&[u8], &Arc<Item>> =
            before.iter().map(|item| (item.definition.as_bytes(), item)).collect();
        let total = listed.items.len();
        let mut items = Vec::with_capacity(total);
        for (at, definition) in listed.items.into_iter().enumerate() {
            let same =
                known.get(definition.as_bytes()).filter(|item| item.impact == self.impact(sort, &item.name));
            match same {
                Some(item) => items.push(Arc::clone(item)),
                None => match self.item(sort, definition) {
                    Ok(item) => items.push(Arc::new(item)),
                    Err((name, reason)) => {
                        self.drop(sort.kind(), name.unwrap_or(format!("#{at}").into()), reason)
                    }
                },
            }
        }
        if listed.cut {
            self.drop(
                sort.kind(),
                "…".into(),
                format!("it lists more than the {total} that are taken").into(),
            );
        }
        items.sort_by(|a, b| a.name.cmp(&b.name));
        let mut unique: Vec<Arc<Item>> = Vec::with_capacity(items.len());
        for item in items {
            if unique.last().is_some_and(|last| last.name == item.name) {
                self.drop(
                    sort.kind(),
                    Arc::clone(&item.name),
                    "it is listed twice; the first is taken".into(),
                );
            } else {
                unique.push(item);
            }
        }
        unique
    }

    fn impact(&self, sort: Sort, name: &str) -> model::Impact {
        if sort == Sort::Tool { self.config.impact.of(name) } else { self.config.impact.default }
    }

    fn item(&self, sort: Sort, definition: Raw) -> Result<Item, (Option<Arc<str>>, Arc<str>)> {
        let members = definition.members().ok_or((None, "it is no object".into()))?;
        let name: Arc<str> = members
            .text(sort.key())
            .ok_or_else(|| (None, format!("it has no {}", sort.key()).into()))?
            .into();
        let bound = if sort.kind() == Kind::Resources { URI_BYTES } else { NAME_BYTES };
        if name.is_empty() || name.len() > bound {
            let shown = name.chars().take(64).collect::<String>();
            return Err((Some(shown.into()), format!("its name is not of 1 to {bound} bytes").into()));
        }
        let refused = |reason: String| (Some(Arc::clone(&name)), reason.into());
        let digest = canonical::digest(&definition).map_err(|error| refused(error.to_string()))?;
        let impact = self.impact(sort, &name);
        let schema = members.get("inputSchema").filter(|_| sort == Sort::Tool);
        let tool_headers = match &schema {
            Some(schema) => header::params_of(schema).map_err(|error| refused(error.to_string()))?.into(),
            None => Arc::default(),
        };
        let shape = match sort {
            Sort::Tool => Some(self.tool(&name, schema.as_ref(), impact)),
            Sort::Prompt => Some(self.prompt(&name, &members, impact)),
            Sort::Resource | Sort::Template => None,
        };
        let public_name = match sort {
            Sort::Tool | Sort::Prompt => name::shared(&self.config.name, &name).into(),
            Sort::Resource | Sort::Template => Arc::clone(&name),
        };
        let server = self.config.name.clone();
        Ok(Item { server, name, public_name, definition, digest, tool_headers, impact, shape })
    }

    fn tool(&self, name: &str, schema: Option<&Raw>, impact: model::Impact) -> Shape {
        let input_schema = schema.and_then(|schema| schema.read::<&RawValue>().ok()).map(ToOwned::to_owned);
        let server = self.config.name.clone();
        Shape::Tool(Arc::new(ToolShape { server, name: name.to_owned(), input_schema, impact }))
    }

    fn prompt(&self, name: &str, definition: &Members, impact: model::Impact) -> Shape {
        let listed =
            definition.get("arguments").and_then(|arguments| arguments.elements()).unwrap_or_default();
        let arguments = listed.iter().filter_map(Raw::members).filter_map(|argument| {
            let required = argument.get("required").and_then(|required| required.to_bool()) == Some(true);
            argument.text("name").map(|name| (name.into_owned(), required))
        });
        let arguments = arguments.collect();
        let server = self.config.name.clone();
        Shape::Prompt(Arc::new(PromptShape { server, name: name.to_owned(), arguments, impact }))
    }

    /// Shortened names can meet: the later is left out everywhere, so that no name means two things.
    fn shared(&mut self, kind: Kind, items: Vec<Arc<Item>>) -> (Vec<Arc<Item>>, Named) {
        let mut names = Named::with_capacity(items.len());
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            if names.contains_key(&item.public_name) {
                self.drop(kind, Arc::clone(&item.name), "its shortened name is that of another".into());
            } else {
                names.insert(Arc::clone(&item.public_name), Arc::clone(&item));
                kept.push(item);
            }
        }
        (kept, names)
    }

    fn drop(&mut self, kind: Kind, name: Arc<str>, reason: Arc<str>) {
        if self.dropped.len() < DROPPED {
            self.dropped.push((kind, name, reason));
        }
    }
}

/// The longest name of a tool or prompt.
const NAME_BYTES: usize = 256;
/// The longest URI or template.
const URI_BYTES: usize = 8192;
/// Dropped items remembered with their reason.
const DROPPED: usize = 1000;
