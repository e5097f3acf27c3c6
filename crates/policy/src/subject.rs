//! A principal, made ready to be judged many times.

use crate::action::{Kind, Slice, uid};
use crate::condition::{Atom, Outcomes};
use crate::context::{self, Unrepresentable};
use crate::decide::holds;
use crate::standing::Standing;
use cedar_policy_core::ast::{Context, Entity, EntityUID, EntityUIDEntry, PartialValue, Request, Value};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use model::{Principal, PrincipalKey};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// A principal as Cedar entities, with what was already worked out about it. Share it: the more requests use
/// one subject, the less each costs. Holds bounded memory.
pub struct Subject {
    pub(crate) uid: Arc<EntityUID>,
    entity: Arc<Entity>,
    memory: Mutex<Memory>,
    /// The address it called from last.
    address: Mutex<Option<(IpAddr, Value)>>,
}

/// What was worked out. Everything in it can be worked out again.
#[derive(Default)]
struct Memory {
    /// Outcomes of the atoms that read the principal only, by their number within one set of rules.
    atoms: (u64, Vec<Option<Outcomes>>),
    /// By the serial of a slice.
    standings: HashMap<u64, Arc<Standing>>,
    /// Whether listed, by the group of a slice and its place in it.
    listed: HashMap<u64, Vec<Option<bool>>>,
}

impl Subject {
    /// Makes `principal` ready (some microseconds).
    pub fn of(principal: &Principal) -> Self {
        let uid = uid(Kind::User, &user_id(principal));
        let text = |text: &str| PartialValue::from(Value::from(text));
        let set = |items: &[Arc<str>]| {
            PartialValue::from(Value::set(items.iter().map(|item| Value::from(item.as_ref())), None))
        };
        let mut attributes = vec![
            ("user", text(&principal.user)),
            ("tenant", text(&principal.tenant)),
            ("client", text(&principal.client)),
            ("issuer", text(&principal.issuer)),
            ("roles", set(&principal.roles)),
            ("groups", set(&principal.groups)),
            ("scopes", set(&principal.scopes)),
        ];
        attributes.extend(principal.agent.as_deref().map(|agent| ("agent", text(agent))));
        attributes.extend(principal.registered.as_deref().map(|agent| ("agent_trust", text(&agent.trust))));
        let entity = Entity::new_with_attr_partial_value(
            uid.clone(),
            attributes.into_iter().map(|(name, value)| (name.into(), value)),
            HashSet::new(),
            HashSet::new(),
            [],
        );
        Self {
            uid: Arc::new(uid),
            entity: Arc::new(entity),
            memory: Mutex::default(),
            address: Mutex::default(),
        }
    }

    /// `ip` as Cedar sees it, made once as long as the subject stays where it is.
    pub(crate) fn address(&self, ip: IpAddr) -> Result<Value, Unrepresentable> {
        let mut known = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((from, value)) = &*known
            && *from == ip
        {
            return Ok(value.clone());
        }
        let value = context::address(ip)?;
        *known = Some((ip, value.clone()));
        Ok(value)
    }

    /// The standing of this subject towards `slice`, worked out once.
    pub(crate) fn standing(&self, slice: &Slice) -> Arc<Standing> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = memory.standings.get(&slice.serial) {
            return Arc::clone(standing);
        }
        let standing = Arc::new(Standing::of(self, slice, &mut self.judge(slice, &mut memory.atoms)));
        if memory.standings.len() >= STANDINGS {
            memory.standings.clear();
        }
        memory.standings.insert(slice.serial, Arc::clone(&standing));
        standing
    }

    /// Whether `slice` is listed for this subject, worked out once.
    pub(crate) fn listed(&self, slice: &Slice) -> bool {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (group, index) = slice.place;
        if let Some(Some(listed)) = memory.listed.get(&group).and_then(|listed| listed.get(index)) {
            return *listed;
        }
        let answer = slice.listable(&mut self.judge(slice, &mut memory.atoms));
        if memory.listed.len() >= LISTED {
            memory.listed.clear();
        }
        let listed = memory.listed.entry(group).or_default();
        if listed.len() <= index {
            listed.resize(index.saturating_add(1), None);
        }
        if let Some(slot) = listed.get_mut(index) {
            *slot = Some(answer);
        }
        answer
    }

    /// Evaluates atoms for `slice`, remembering those that do not depend on it.
    fn judge<'a>(
        &'a self,
        slice: &'a Slice,
        atoms: &'a mut (u64, Vec<Option<Outcomes>>),
    ) -> impl FnMut(&Atom) -> Outcomes + 'a {
        if atoms.0 != slice.rules_serial {
            *atoms = (slice.rules_serial, Vec::new());
        }
        let atoms = &mut atoms.1;
        // Made for the first atom that needs evaluating.
        let mut entities: Option<Entities> = None;
        move |atom| {
            if !atom.by_action
                && let Some(Some(known)) = atoms.get(atom.index)
            {
                return *known;
            }
            let entities = entities.get_or_insert_with(|| self.entities(slice));
            let outcome = self.evaluate(atom, slice, entities);
            if !atom.by_action {
                if atoms.len() <= atom.index {
                    atoms.resize(atom.index.saturating_add(1), None);
                }
                if let Some(slot) = atoms.get_mut(atom.index) {
                    *slot = Some(outcome);
                }
            }
            outcome
        }
    }

    fn evaluate(&self, atom: &Atom, slice: &Slice, entities: &Entities) -> Outcomes {
        let request = self.request(slice, Context::empty());
        let evaluator = Evaluator::new(request, entities, Extensions::all_available());
        match holds(&evaluator, &atom.ast, &HashMap::new()) {
            Ok(true) => Outcomes::TRUE,
            Ok(false) => Outcomes::FALSE,
            Err(_) => Outcomes::ERROR,
        }
    }

    /// The request of this subject for `slice`.
    pub(crate) fn request(&self, slice: &Slice, context: Context) -> Request {
        let known = |euid: &Arc<EntityUID>| EntityUIDEntry::Known { euid: Arc::clone(euid), loc: None };
        Request::new_unchecked(known(&self.uid), known(&slice.uid), known(&slice.server_uid), Some(context))
    }

    /// The subject, the action and the server as an entity store.
    pub(crate) fn entities(&self, slice: &Slice) -> Entities {
        let [action, server] = &slice.entities;
        let all = [Arc::clone(&self.entity), Arc::clone(action), Arc::clone(server)];
        // Fails only for two unlike entities of one id; on failure nothing has attributes and policies err.
        Entities::new()
            .add_entities(
                all,
                None::<&NoEntitiesSchema>,
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .unwrap_or_default()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.uid.to_string()).finish()
    }
}

/// The id of the principal's entity: `<issuer>|<user>`.
fn user_id(principal: &Principal) -> String {
    format!("{}|{}", principal.issuer, principal.user)
}

/// A bounded map from principals to subjects.
#[derive(Debug)]
pub struct Subjects {
    capacity: usize,
    generations: Mutex<Generations>,
}

/// Two halves: what was used since the last turn, and what was used before it.
#[derive(Debug, Default)]
struct Generations {
    recent: HashMap<PrincipalKey, Arc<Subject>>,
    older: HashMap<PrincipalKey, Arc<Subject>>,
}

impl Subjects {
    /// Room for `capacity` principals (at least two); when it is full the half not used lately goes.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, generations: Mutex::default() }
    }

    /// The subject of `principal`, whose key is `key`.
    pub fn of(&self, key: PrincipalKey, principal: &Principal) -> Arc<Subject> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subject) = generations.recent.get(&key) {
            return Arc::clone(subject);
        }
        let subject = generations.older.remove(&key).unwrap_or_else(|| Arc::new(Subject::of(principal)));
        if generations.recent.len() >= (self.capacity / 2).max(1) {
            generations.older = std::mem::take(&mut generations.recent);
        }
        generations.recent.insert(key, Arc::clone(&subject));
        subject
    }
}

/// Standings kept per subject, up to a kilobyte each: the actions a principal calls within a revision.
const STANDINGS: usize = 64;
/// Servers whose listing answers are kept per subject, a byte per action.
const LISTED: usize = 1024;
