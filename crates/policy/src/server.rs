//! One server's actions within a revision.

use crate::action::{Action, ActionName, Kind, Question, Slice, serial, uid};
use crate::rule::Rule;
use crate::rules::Rules;
use crate::schema::{Arguments, Field, Record, Type, arguments_of};
use crate::standing::Shared;
use crate::validate::{Fit, Target, validate};
use crate::{PartlyTyped, PolicyFault, Shape, Withheld};
use cedar_policy_core::ast;
use model::{Impact, ServerName};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The actions of one server and what was found out about them.
#[derive(Debug)]
pub(crate) struct ServerActions {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) tools: HashMap<Box<str>, Action>,
    pub(crate) prompts: HashMap<Box<str>, Action>,
    pub(crate) resource: Option<Action>,
    pub(crate) discover: Option<Action>,
    pub(crate) asks: Vec<(Question, Action)>,
    pub(crate) partly_typed: Vec<PartlyTyped>,
    pub(crate) withheld: Vec<Withheld>,
    /// Each policy that does not validate against an action, the action's id, and the fault.
    pub(crate) failures: Vec<(Arc<Rule>, String, Arc<PolicyFault>)>,
    /// Rules that can hold for some action here, and rules that reach one but can hold for none of it.
    pub(crate) live: BTreeSet<Arc<str>>,
    pub(crate) never: BTreeSet<Arc<str>>,
}

/// An action on its way to a slice.
struct Draft<'a> {
    name: ActionName<'a>,
    id: String,
    groups: Vec<String>,
    arguments: Arc<Record>,
    rules: Vec<Arc<Rule>>,
}

impl ServerActions {
    pub(crate) fn new(rules: &Rules, server: &ServerName, shapes: &[Shape]) -> Self {
        let mut this = Self {
            shapes: shapes.to_vec(),
            tools: HashMap::new(),
            prompts: HashMap::new(),
            resource: None,
            discover: None,
            asks: Vec::new(),
            partly_typed: Vec::new(),
            withheld: Vec::new(),
            failures: Vec::new(),
            live: BTreeSet::new(),
            never: BTreeSet::new(),
        };
        let drafts = drafts(rules, server, shapes, &mut this.partly_typed);
        let pairs: Vec<(Arc<Rule>, Target<'_>)> = drafts
            .iter()
            .flat_map(|Draft { id, groups, arguments, rules, .. }| {
                rules.iter().map(move |rule| (Arc::clone(rule), Target { id, groups, arguments }))
            })
            .collect();
        let mut fits = validate(rules, &pairs).into_iter();
        let group = serial();
        for (index, draft) in drafts.into_iter().enumerate() {
            let fits: Vec<Fit> = fits.by_ref().take(draft.rules.len()).collect();
            let withheld = this.judge(&draft, &fits);
            let name = draft.name;
            let action = Action(Arc::new(draft.slice(rules.serial, (group, index), withheld)));
            match name {
                ActionName::Tool(_, name) => _ = this.tools.insert(name.into(), action),
                ActionName::Prompt(_, name) => _ = this.prompts.insert(name.into(), action),
                ActionName::Resource(_) => this.resource = Some(action),
                ActionName::Discover(_) => this.discover = Some(action),
                ActionName::Ask(_, question) => this.asks.push((question, action)),
            }
        }
        this
    }

    /// Notes how the rules of `draft` fit; whether one does not.
    fn judge(&mut self, draft: &Draft<'_>, fits: &[Fit]) -> bool {
        let mut withheld = fits.len() != draft.rules.len();
        for (rule, fit) in draft.rules.iter().zip(fits) {
            match fit {
                Fit::Valid => _ = self.live.insert(Arc::clone(&rule.id)),
                Fit::Never => _ = self.never.insert(Arc::clone(&rule.id)),
                Fit::Invalid(fault) => {
                    withheld = true;
                    self.withheld.push(Withheld {
                        action: draft.id.clone(),
                        rule: Arc::clone(&rule.id),
                        reason: fault.message.clone(),
                    });
                    self.failures.push((Arc::clone(rule), draft.id.clone(), Arc::clone(fault)));
                }
            }
        }
        withheld
    }

    pub(crate) fn actions(&self) -> impl Iterator<Item = &Action> {
        let items = self.tools.values().chain(self.prompts.values());
        items.chain(&self.resource).chain(&self.discover).chain(self.asks.iter().map(|(_, action)| action))
    }
}

impl<'a> Draft<'a> {
    fn new(rules: &Rules, name: ActionName<'a>, impact: Option<Impact>, arguments: Record) -> Self {
        let (id, groups) = (name.id(), name.groups(impact));
        let reaching = rules.reaching(&id, &groups, name.server().as_str());
        Self { name, id, groups, arguments: rules.intern(arguments), rules: reaching }
    }

    fn slice(self, rules_serial: u64, place: (u64, usize), withheld: bool) -> Slice {
        let server = self.name.server();
        let action_uid = uid(Kind::Action, &self.id);
        let server_uid = uid(Kind::Server, server.as_str());
        let parents = self.groups.iter().map(|group| uid(Kind::Action, group)).collect();
        let entity = |uid: &ast::EntityUID, parents| {
            Arc::new(ast::Entity::new_with_attr_partial_value(uid.clone(), [], HashSet::new(), parents, []))
        };
        Slice {
            serial: serial(),
            place,
            entities: [entity(&action_uid, parents), entity(&server_uid, HashSet::new())],
            uid: Arc::new(action_uid),
            server_uid: Arc::new(server_uid),
            id: self.id.into(),
            groups: self.groups,
            arguments: self.arguments,
            rules: self.rules,
            withheld,
            shared: Shared::default(),
            rules_serial,
        }
    }
}

/// Every action of a server. A name listed twice keeps its first definition.
fn drafts<'a>(
    rules: &Rules,
    server: &'a ServerName,
    shapes: &'a [Shape],
    partly_typed: &mut Vec<PartlyTyped>,
) -> Vec<Draft<'a>> {
    let uri = Record::from([("uri".to_owned(), Field { ty: Type::Text, required: true, nullable: false })]);
    let mut drafts = vec![
        Draft::new(rules, ActionName::Discover(server), None, Record::new()),
        Draft::new(rules, ActionName::Resource(server), None, uri),
    ];
    drafts.extend(
        Question::ALL
            .map(|question| Draft::new(rules, ActionName::Ask(server, question), None, Record::new())),
    );
    let mut seen: HashSet<(bool, &str)> = HashSet::new();
    for shape in shapes.iter().filter(|shape| shape.server() == server) {
        match shape {
            Shape::Server(_) => {}
            Shape::Tool(tool) => {
                if !seen.insert((true, &tool.name)) {
                    continue;
                }
                let name = ActionName::Tool(server, &tool.name);
                let Arguments { record, gaps } = match &tool.input_schema {
                    None => Arguments::default(),
                    Some(schema) => match serde_json::from_str(schema.get()) {
                        Ok(schema) => arguments_of(&schema),
                        Err(_) => Arguments::unreadable(),
                    },
                };
                partly_typed.extend(gaps.into_iter().map(|gap| PartlyTyped {
                    action: name.id(),
                    pointer: gap.pointer,
                    reason: gap.reason,
                }));
                drafts.push(Draft::new(rules, name, Some(tool.impact), record));
            }
            Shape::Prompt(prompt) => {
                if !seen.insert((false, &prompt.name)) {
                    continue;
                }
                let name = ActionName::Prompt(server, &prompt.name);
                let field = |required: &bool| Field { ty: Type::Text, required: *required, nullable: false };
                let record = prompt.arguments.iter().map(|(name, required)| (name.clone(), field(required)));
                drafts.push(Draft::new(rules, name, Some(prompt.impact), record.collect()));
            }
        }
    }
    drafts
}
