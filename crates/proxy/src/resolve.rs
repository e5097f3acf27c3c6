//! What a request names: the server, the item, its definition as last listed, and the identity that will act.
//! No I/O: the broker's plan is a plan.

mod find;

use crate::admit::Call;
use crate::catalog::Item;
use crate::continuation::{self, Leg, keys};
use crate::house::House;
use crate::parked::Bay;
use crate::stop::{Refusal, Stop};
use crate::trail::Stage;
use model::{Code, ErrorKind, Impact, ServerName};
use protocol::method::{Names, Record};
use protocol::view::{Completion, CompletionRef, PromptGet, ResourceRef, ToolCall};
use protocol::{Edit, Members, Raw};
use std::sync::Arc;

/// A request and what it names.
pub(crate) struct Target {
    pub(crate) call: Box<Call>,
    pub(crate) server: ServerName,
    pub(crate) named: Named,
    /// The name as the caller wrote it.
    pub(crate) shown: Box<str>,
    /// What policy judges: one JSON object.
    pub(crate) arguments: Raw,
    /// The params as the server will read them: its own names, its own request state.
    pub(crate) params: Option<Members>,
    /// Whether this is a plain read: its method's row or the tool's class says so.
    pub(crate) plain_read: bool,
    /// The call of which this is a later leg, if it waits here.
    pub(crate) parked: Option<Bay>,
}

/// What kind of thing is named.
pub(crate) enum Named {
    Tool(Arc<Item>),
    Prompt(Arc<Item>),
    /// A resource or a template, by the server that has it.
    Resource,
}

/// Finds the target of a request that has one.
pub(crate) fn resolve(house: &House, call: Box<Call>) -> Result<Target, Stop> {
    let names = call.method.row().names;
    resolve_as(house, call, names)
}

fn resolve_as(house: &House, mut call: Box<Call>, names: Names) -> Result<Target, Stop> {
    match look(house, &mut call, names) {
        Ok(found) => {
            let Found { server, named, shown, name, arguments, params, parked, impact } = found;
            let trail = &mut call.trail;
            trail.item = Some(name);
            trail.definition = match &named {
                Named::Tool(item) | Named::Prompt(item) => Some(item.digest),
                Named::Resource => None,
            };
            trail.impact = Some(impact);
            trail.server = Some(server.clone());
            trail.plan = call.state.config.servers.get(&server).map(|config| Arc::clone(&config.plan));
            trail.arguments_bytes = arguments.as_bytes().len();
            match protocol::canonical::digest(&arguments) {
                Ok(digest) => trail.arguments = Some(digest),
                // SECURITY: what cannot be named exactly is not sent: `a_number_beyond_exactness_is_refused`.
                Err(error) => {
                    let refusal = Refusal::params(error.to_string());
                    return Err(Stop::refused(call.trail, refusal));
                }
            }
            if call.state.config.record_arguments {
                trail.arguments_value = Some(arguments.clone());
            }
            trail.mark(house, Stage::Resolve);
            let plain_read = match call.method.row().record {
                Record::Read | Record::Nothing => true,
                Record::ByImpact => impact == Impact::Read,
            };
            Ok(Target { call, server, named, shown, arguments, params, plain_read, parked })
        }
        Err(refusal) => Err(Stop::refused(call.trail, *refusal)),
    }
}

/// Whether what a request names is listed already. A request that cannot be read, or names what is not there, is not.
pub(crate) fn finds(house: &House, call: &Call) -> bool {
    let snapshot = house.catalog.snapshot();
    let place = find::Place {
        snapshot: &snapshot,
        endpoint: &call.trail.endpoint,
        config: &call.state.config,
        caller: &call.caller.verified.principal,
    };
    let name = |key| call.params.as_ref().and_then(|params| params.text(key));
    match call.method.row().names {
        Names::Tool => name("name").is_some_and(|name| place.tool(&name).is_some()),
        Names::Prompt => name("name").is_some_and(|name| place.prompt(&name).is_some()),
        Names::ResourceUri => name("uri").is_some_and(|uri| place.resource(&uri).is_some()),
        Names::Completion | Names::Nothing => false,
    }
}

/// Finds the target of a stream that follows one resource, named by `uri` in the params.
pub(crate) fn subscription(house: &House, call: Box<Call>) -> Result<Target, Stop> {
    let mut target = resolve_as(house, call, Names::ResourceUri)?;
    // The URI was there to be judged; the server reads it in the filter.
    target.params =
        target.params.and_then(|params| Members::of(&Edit::new().remove(&["uri"]).apply(&params)));
    Ok(target)
}

struct Found {
    server: ServerName,
    named: Named,
    shown: Box<str>,
    name: Arc<str>,
    arguments: Raw,
    params: Option<Members>,
    parked: Option<Bay>,
    impact: Impact,
}

fn look(house: &House, call: &mut Call, names: Names) -> Result<Found, Box<Refusal>> {
    let snapshot = house.catalog.snapshot();
    let (endpoint, state) = (call.trail.endpoint.clone(), Arc::clone(&call.state));
    let caller = Arc::clone(&call.caller.verified.principal);
    let place =
        find::Place { snapshot: &snapshot, endpoint: &endpoint, config: &state.config, caller: &caller };
    let params = call.params.as_ref();
    let bad = |error: protocol::view::ViewError| Box::new(Refusal::params(error.to_string()));
    match names {
        Names::Tool => {
            let view = ToolCall::of(params).map_err(bad)?;
            let item = place.tool(&view.name).ok_or_else(|| unknown("tool", &view.name))?;
            let leg = continuation::open(
                house,
                call,
                &item.server,
                &item.name,
                &view.arguments,
                view.request_state,
            )?;
            let parked = leg.as_ref().and_then(|leg| leg.parked);
            let sent = own(call, &item.server, "name", &view.name, &item.name, leg);
            let impact = find::tool_impact(&item);
            Ok(Found {
                server: item.server.clone(),
                name: Arc::clone(&item.name),
                named: Named::Tool(item),
                shown: view.name,
                arguments: view.arguments,
                params: sent,
                parked,
                impact,
            })
        }
        Names::Prompt => {
            let view = PromptGet::of(params).map_err(bad)?;
            let item = place.prompt(&view.name).ok_or_else(|| unknown("prompt", &view.name))?;
            let leg = continuation::open(
                house,
                call,
                &item.server,
                &item.name,
                &view.arguments,
                view.request_state,
            )?;
            let parked = leg.as_ref().and_then(|leg| leg.parked);
            let sent = own(call, &item.server, "name", &view.name, &item.name, leg);
            let impact = place.default_impact(&item.server);
            Ok(Found {
                server: item.server.clone(),
                name: Arc::clone(&item.name),
                named: Named::Prompt(item),
                shown: view.name,
                arguments: view.arguments,
                params: sent,
                parked,
                impact,
            })
        }
        Names::ResourceUri => {
            let view = ResourceRef::of(params).map_err(bad)?;
            let server = place.resource(&view.uri).ok_or_else(|| unknown("resource", &view.uri))?;
            let arguments = Raw::of_value(&serde_json::json!({"uri": &*view.uri}));
            let leg = continuation::open(house, call, &server, &view.uri, &arguments, view.request_state)?;
            let parked = leg.as_ref().and_then(|leg| leg.parked);
            let sent = own(call, &server, "uri", &view.uri, &view.uri, leg);
            let impact = place.default_impact(&server);
            let name = (&*view.uri).into();
            Ok(Found {
                server,
                named: Named::Resource,
                shown: view.uri,
                name,
                arguments,
                params: sent,
                parked,
                impact,
            })
        }
        Names::Completion => completion(&place, call),
        Names::Nothing => Err(Box::new(Refusal::new(
            ErrorKind::Internal,
            Code::INTERNAL,
            protocol::reply::INTERNAL_ERROR,
            "the method names nothing",
        ))),
    }
}

fn completion(place: &find::Place<'_>, call: &Call) -> Result<Found, Box<Refusal>> {
    let view =
        Completion::of(call.params.as_ref()).map_err(|error| Box::new(Refusal::params(error.to_string())))?;
    match view.reference {
        CompletionRef::Prompt(name) => {
            let item = place.prompt(&name).ok_or_else(|| unknown("prompt", &name))?;
            let params = call.params.as_ref().and_then(|params| {
                Members::of(&Edit::new().set(&["ref", "name"], Raw::of_str(&item.name)).apply(params))
            });
            let impact = place.default_impact(&item.server);
            Ok(Found {
                server: item.server.clone(),
                name: Arc::clone(&item.name),
                named: Named::Prompt(item),
                shown: name,
                arguments: Raw::empty_object(),
                params,
                parked: None,
                impact,
            })
        }
        CompletionRef::Resource(uri) => {
            let server = place.resource(&uri).ok_or_else(|| unknown("resource", &uri))?;
            let impact = place.default_impact(&server);
            let arguments = Raw::of_value(&serde_json::json!({"uri": &*uri}));
            let params = call.params.clone();
            let name = (&*uri).into();
            Ok(Found {
                server,
                named: Named::Resource,
                shown: uri,
                name,
                arguments,
                params,
                parked: None,
                impact,
            })
        }
    }
}

/// The params with the server's own name, request state and keys of answers.
fn own(
    call: &Call,
    server: &ServerName,
    key: &str,
    shown: &str,
    name: &str,
    leg: Option<Leg>,
) -> Option<Members> {
    let params = call.params.as_ref()?;
    if shown == name && leg.is_none() {
        return Some(params.clone());
    }
    let mut edit = Edit::new();
    if shown != name {
        edit.set(&[key], Raw::of_str(name));
    }
    if leg.is_some()
        && let Some(answers) = keys::own(&call.trail.endpoint, server, params)
    {
        edit.set(&["inputResponses"], answers);
    }
    match leg {
        Some(Leg { state: Some(state), .. }) => drop(edit.set(&["requestState"], Raw::of_str(&state))),
        Some(Leg { state: None, .. }) => drop(edit.remove(&["requestState"])),
        None => {}
    }
    Members::of(&edit.apply(params))
}

fn unknown(what: &str, name: &str) -> Box<Refusal> {
    Box::new(Refusal::unknown(what, name, format!("no server lists this {what}")))
}
