//! The policies in force over what the catalog lists.
//!
//! Two things change them: the operator's texts, which are refused as a whole when they are wrong (the last
//! good revision stays), and what servers list, which never fails: a tool against which a live policy does not
//! validate is withheld.

use arc_swap::ArcSwap;
use model::{Principal, PrincipalKey, ServerName};
use policy::{PolicyFault, PolicyFile, Revision, Settings, Shape, Subject, Subjects};
use std::sync::{Arc, Mutex, PoisonError};

/// The policies in force.
pub struct Rules {
    current: ArcSwap<Current>,
    /// One writer at a time: texts and shapes change independently.
    writing: Mutex<()>,
    capacity: usize,
}

/// One revision and the principals made ready for it.
pub struct Current {
    /// The compiled policies.
    pub revision: Revision,
    subjects: Subjects,
    /// Counts every change of texts or shapes.
    pub(crate) serial: u64,
}

impl Current {
    /// The principal, ready to be judged.
    pub fn subject(&self, key: PrincipalKey, principal: &Principal) -> Arc<Subject> {
        self.subjects.of(key, principal)
    }
}

impl Rules {
    /// Compiles the first texts, before any server has listed anything.
    ///
    /// # Errors
    /// Every fault of the texts.
    pub fn compile(
        files: &[PolicyFile],
        settings: &Settings,
        servers: &[ServerName],
        principals: usize,
    ) -> Result<Self, Vec<PolicyFault>> {
        let shapes: Vec<Shape> = servers.iter().cloned().map(Shape::Server).collect();
        let revision = Revision::compile(files, &shapes, settings)?;
        let current = Current { revision, subjects: Subjects::new(principals), serial: 0 };
        Ok(Self { current: ArcSwap::from_pointee(current), writing: Mutex::new(()), capacity: principals })
    }

    /// What is in force now.
    pub fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Puts other texts in force.
    ///
    /// # Errors
    /// Every fault of the texts; what was in force stays.
    pub fn reload(&self, files: &[PolicyFile], settings: &Settings) -> Result<(), Vec<PolicyFault>> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.current().revision.recompile(files, settings)?;
        self.store(next);
        Ok(())
    }

    /// A server listed anew; no shapes removes it.
    pub fn relist(&self, server: &ServerName, shapes: &[Shape]) {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.current().revision.with_server(server, shapes);
        self.store(next);
    }

    fn store(&self, revision: Revision) {
        let serial = self.current().serial + 1;
        self.current.store(Arc::new(Current { revision, subjects: Subjects::new(self.capacity), serial }));
    }
}
