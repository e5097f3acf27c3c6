//! A set of policies in force over a set of shapes.

use crate::rule::Scope;
use crate::rules::Rules;
use crate::schema::{Declared, Record, context_type, schema_json};
use crate::server::ServerActions;
use crate::validate::{Fit, Target, validate};
use crate::{
    Action, ActionName, Decision, Environment, Explanation, Lint, PolicyFault, Report, Shape, Subject, Zone,
    decide, explain,
};
use model::{Digest, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One `.cedar` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its path as the operator knows it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What the operator sets besides the texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The zone of `context.time`.
    pub zone: Zone,
}

/// Policies in force over shapes. Immutable; put it in an `ArcSwap`. Cheap to derive from the one before.
#[derive(Clone, Debug)]
pub struct Revision {
    rules: Arc<Rules>,
    settings: Settings,
    digest: Digest,
    servers: BTreeMap<ServerName, Arc<ServerActions>>,
}

impl Revision {
    /// Compiles `files` for `shapes`.
    ///
    /// # Errors
    /// Every fault of the texts; also every policy that does not validate against one of `shapes`.
    pub fn compile(
        files: &[PolicyFile],
        shapes: &[Shape],
        settings: &Settings,
    ) -> Result<Self, Vec<PolicyFault>> {
        let mut by_server: BTreeMap<&ServerName, Vec<Shape>> = BTreeMap::new();
        for shape in shapes {
            by_server.entry(shape.server()).or_default().push(shape.clone());
        }
        Self::build(files, &by_server, settings, &|_| true)
    }

    /// Compiles new texts over the shapes in force. A policy whose text did not change never blocks: what does
    /// not validate against it stays withheld. A new or changed policy must validate against all it reaches.
    ///
    /// # Errors
    /// Every fault; the caller keeps this revision.
    pub fn recompile(&self, files: &[PolicyFile], settings: &Settings) -> Result<Self, Vec<PolicyFault>> {
        let by_server = self.servers.iter().map(|(name, server)| (name, server.shapes.clone())).collect();
        let known: BTreeSet<(&str, &str)> =
            self.rules.all.iter().map(|rule| (rule.id.as_ref(), rule.text.as_ref())).collect();
        Self::build(files, &by_server, settings, &|rule| {
            !known.contains(&(rule.id.as_ref(), rule.text.as_ref()))
        })
    }

    fn build(
        files: &[PolicyFile],
        shapes: &BTreeMap<&ServerName, Vec<Shape>>,
        settings: &Settings,
        must_fit: &dyn Fn(&crate::rule::Rule) -> bool,
    ) -> Result<Self, Vec<PolicyFault>> {
        let rules = Arc::new(Rules::read(files)?);
        let mut faults = unreached(&rules);
        let mut misfits: Misfits = BTreeMap::new();
        let mut servers = BTreeMap::new();
        for (name, shapes) in shapes {
            let server = ServerActions::new(&rules, name, shapes);
            for (rule, action, fault) in &server.failures {
                if must_fit(rule) && !faults.contains(fault) {
                    misfits.entry(Arc::clone(fault)).or_default().push(action.clone());
                }
            }
            servers.insert((*name).clone(), Arc::new(server));
        }
        faults.extend(misfits.into_iter().map(|(fault, actions)| against(&fault, &actions)));
        if !faults.is_empty() {
            faults.sort();
            return Err(faults);
        }
        Ok(Self { rules, settings: settings.clone(), digest: digest(files, settings), servers })
    }

    /// The same policies after `server` listed anew: `shapes` replaces all it had; empty removes it, so pass
    /// [`Shape::Server`] for one that has nothing. Never fails: what a live policy does not validate against is
    /// withheld. Other servers are untouched.
    #[must_use]
    pub fn with_server(&self, server: &ServerName, shapes: &[Shape]) -> Self {
        let mut next = self.clone();
        if shapes.is_empty() {
            next.servers.remove(server);
        } else {
            let actions = ServerActions::new(&self.rules, server, shapes);
            next.servers.insert(server.clone(), Arc::new(actions));
        }
        next
    }

    /// What an operator should know. Costs time proportional to all that is known; not for the path of a call.
    pub fn report(&self) -> Report {
        let mut report = Report { lints: self.rules.lints.clone(), ..Report::default() };
        let (mut live, mut never) = (BTreeSet::new(), BTreeSet::new());
        for server in self.servers.values() {
            report.partly_typed.extend(server.partly_typed.iter().cloned());
            report.withheld.extend(server.withheld.iter().cloned());
            live.extend(server.live.iter());
            never.extend(server.never.iter());
            live.extend(server.withheld.iter().map(|withheld| &withheld.rule));
        }
        for rule in &self.rules.all {
            let message = if live.contains(&rule.id) {
                continue;
            } else if never.contains(&rule.id) {
                "it can never hold for any action it reaches; an attribute it tests may be misspelt"
            } else if self.servers.is_empty() {
                continue;
            } else {
                "its scope names no known action; a name may be misspelt, or its server is not listed yet"
            };
            let code = if never.contains(&rule.id) { "never-applies" } else { "no-such-action" };
            let (file, rule, line) = (rule.file.to_string(), Arc::clone(&rule.id), rule.place.line);
            report.lints.push(Lint { file, line, rule, code, message: message.to_owned() });
        }
        report.lints.sort_by(|a, b| (&a.file, a.line, a.code).cmp(&(&b.file, b.line, b.code)));
        report
    }

    /// Identifies the texts and settings: the policy revision on record.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many policies are in force.
    pub fn policies(&self) -> usize {
        self.rules.all.len()
    }

    /// The action of that name, if it is known.
    pub fn action(&self, name: &ActionName<'_>) -> Option<Action> {
        let server = self.servers.get(name.server())?;
        match name {
            ActionName::Tool(_, tool) => server.tools.get(*tool),
            ActionName::Prompt(_, prompt) => server.prompts.get(*prompt),
            ActionName::Resource(_) => server.resource.as_ref(),
            ActionName::Discover(_) => server.discover.as_ref(),
            ActionName::Ask(_, question) => {
                server.asks.iter().find(|(asks, _)| asks == question).map(|(_, action)| action)
            }
        }
        .cloned()
    }

    /// Judges one call. `arguments` are the bytes that will be sent: one JSON object.
    pub fn decide(
        &self,
        subject: &Subject,
        action: &Action,
        arguments: &[u8],
        environment: &Environment<'_>,
    ) -> Decision {
        decide::decide(subject, &action.0, arguments, environment, &self.settings.zone)
    }

    /// Whether some arguments, context and met obligations could permit `action` for `subject`. Never `false`
    /// for what [`Self::decide`] permits.
    pub fn listable(&self, subject: &Subject, action: &Action) -> bool {
        subject.listed(&action.0)
    }

    /// Judges one call slowly and says why.
    pub fn explain(
        &self,
        subject: &Subject,
        action: &Action,
        arguments: &[u8],
        environment: &Environment<'_>,
    ) -> Explanation {
        explain::explain(subject, &action.0, arguments, environment, &self.settings.zone)
    }

    /// The Cedar schema (JSON format) of everything known, for editors and `portunus policy check`.
    pub fn cedar_schema(&self) -> serde_json::Value {
        let slices: Vec<_> =
            self.servers.values().flat_map(|server| server.actions()).map(|a| &a.0).collect();
        let mut names: BTreeMap<usize, String> = BTreeMap::new();
        let mut contexts = Vec::new();
        // Interned: equal types are one allocation.
        let key = |arguments: &Arc<Record>| Arc::as_ptr(arguments).addr();
        for slice in &slices {
            let next = names.len().saturating_add(1);
            names.entry(key(&slice.arguments)).or_insert_with(|| {
                let name = format!("Context{next}");
                contexts.push((name.clone(), context_type(&slice.arguments)));
                name
            });
        }
        let groups = slices.iter().flat_map(|slice| &slice.groups);
        let mut declared: Vec<Declared<'_>> =
            groups.map(|id| Declared { id, groups: &[], context: None }).collect();
        declared.extend(slices.iter().map(|slice| Declared {
            id: &slice.id,
            groups: &slice.groups,
            context: names.get(&key(&slice.arguments)).map(String::as_str),
        }));
        schema_json(&contexts, &declared)
    }
}

/// A fault, and the actions it was found against.
type Misfits = BTreeMap<Arc<PolicyFault>, Vec<String>>;

/// The same fault, naming the first action and how many more there are.
fn against(fault: &PolicyFault, actions: &[String]) -> PolicyFault {
    let first = actions.first().map(String::as_str).unwrap_or_default();
    let more = match actions.len() {
        0 | 1 => String::new(),
        many => format!(" and {} more", many.saturating_sub(1)),
    };
    PolicyFault { message: format!("against Action::{first:?}{more}: {}", fault.message), ..fault.clone() }
}

/// Faults of policies that can be told before any server has listed: those that read no argument.
fn unreached(rules: &Rules) -> Vec<PolicyFault> {
    let nothing = rules.intern(Record::new());
    // One action that is in every group named, so every rule with groups reaches it.
    let groups: BTreeSet<&String> = rules
        .all
        .iter()
        .filter_map(|rule| match &rule.scope {
            Scope::In(groups) => Some(groups),
            Scope::Any | Scope::Exactly(_) => None,
        })
        .flatten()
        .collect();
    let groups: Vec<String> = groups.into_iter().cloned().collect();
    let pairs: Vec<_> = rules
        .all
        .iter()
        .filter(|rule| !rule.reads_arguments())
        .map(|rule| {
            let (id, groups) = match &rule.scope {
                Scope::Exactly(id) => (id.as_str(), &[][..]),
                Scope::Any | Scope::In(_) => (ANYTHING, groups.as_slice()),
            };
            (Arc::clone(rule), Target { id, groups, arguments: &nothing })
        })
        .collect();
    let fits = validate(rules, &pairs);
    fits.into_iter()
        .filter_map(|fit| match fit {
            Fit::Invalid(fault) => Some(fault.as_ref().clone()),
            Fit::Valid | Fit::Never => None,
        })
        .collect()
}

fn digest(files: &[PolicyFile], settings: &Settings) -> Digest {
    let mut files: Vec<&PolicyFile> = files.iter().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = Vec::new();
    let mut put = |part: &str| {
        text.extend_from_slice(part.len().to_string().as_bytes());
        text.push(b':');
        text.extend_from_slice(part.as_bytes());
    };
    put(settings.zone.name());
    for file in files {
        put(&file.name);
        put(&file.text);
    }
    Digest::of(&text)
}

/// No action of a server: it holds neither `/` nor `:`.
const ANYTHING: &str = "anything";
