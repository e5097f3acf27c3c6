//! All policies of one compilation, indexed by what their scope names, with what validation found out so far.

use crate::action::serial;
use crate::condition::Atom;
use crate::rule::{Rule, Scope, read};
use crate::schema::Record;
use crate::validate::Memo;
use crate::{Lint, PolicyFault, PolicyFile};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The policies of one compilation. Shared by all revisions that differ in shapes only.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) serial: u64,
    pub(crate) files: Vec<PolicyFile>,
    pub(crate) all: Vec<Arc<Rule>>,
    /// What reading the texts alone showed.
    pub(crate) lints: Vec<Lint>,
    /// Rules without an action scope.
    any: Vec<usize>,
    /// Rules by the one action they name.
    exactly: HashMap<String, Vec<usize>>,
    /// Rules by each group or action they name after `in`.
    within: HashMap<String, Vec<usize>>,
    pub(crate) memo: Mutex<Memo>,
}

impl Rules {
    pub(crate) fn read(files: &[PolicyFile]) -> Result<Self, Vec<PolicyFault>> {
        let (mut all, lints) = read(files)?;
        number(&mut all);
        let mut any = Vec::new();
        let (mut exactly, mut within) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (index, rule) in all.iter().enumerate() {
            match &rule.scope {
                Scope::Any => any.push(index),
                Scope::Exactly(id) => exactly.entry(id.clone()).or_default().push(index),
                Scope::In(ids) => {
                    for id in ids {
                        within.entry(id.clone()).or_default().push(index);
                    }
                }
            }
        }
        let memo = Mutex::default();
        Ok(Self { serial: serial(), files: files.to_vec(), all, lints, any, exactly, within, memo })
    }

    /// The rules whose action and server scope reach the action `id` in `groups` of `server`. A rule that is
    /// left out can never be satisfied there, so leaving it out changes no decision.
    pub(crate) fn reaching(&self, id: &str, groups: &[String], server: &str) -> Vec<Arc<Rule>> {
        let found = |map: &HashMap<String, Vec<usize>>, id: &str| map.get(id).cloned().unwrap_or_default();
        let mut indices: BTreeSet<usize> = self.any.iter().copied().collect();
        indices.extend(found(&self.exactly, id));
        indices.extend(found(&self.within, id));
        for group in groups {
            indices.extend(found(&self.within, group));
        }
        indices
            .into_iter()
            .filter_map(|index| self.all.get(index))
            .filter(|rule| rule.server.as_deref().is_none_or(|only| only == server))
            .cloned()
            .collect()
    }

    /// One allocation for all arguments of equal types.
    pub(crate) fn intern(&self, arguments: Record) -> Arc<Record> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).intern(arguments)
    }

    /// The file of that name.
    pub(crate) fn file(&self, name: &str) -> Option<&PolicyFile> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// Gives equal atoms one number and one allocation, so each is evaluated once per subject.
fn number(rules: &mut [Arc<Rule>]) {
    let mut known: BTreeMap<String, Arc<Atom>> = BTreeMap::new();
    for rule in rules {
        if let Some(rule) = Arc::get_mut(rule) {
            rule.condition.atoms_mut(&mut |atom| {
                let next = known.len();
                let shared = known.entry(atom.expr.to_string()).or_insert_with(|| {
                    Arc::new(Atom {
                        expr: Arc::clone(&atom.expr),
                        ast: atom.ast.clone(),
                        by_action: atom.by_action,
                        index: next,
                    })
                });
                *atom = Arc::clone(shared);
            });
        }
    }
}
