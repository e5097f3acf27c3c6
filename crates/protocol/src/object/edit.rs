//! Changes to members by path.

use super::Members;
use crate::raw::{Raw, write_string};
use bytes::Bytes;

/// Changes to an object's members, applied in one go. Members that are not named keep their order and every
/// byte, including the whitespace around them; new members are appended.
#[derive(Clone, Default, Debug)]
pub struct Edit<'a> {
    changes: Vec<(&'a str, Change<'a>)>,
}

/// What becomes of one member: what stands there first, and the changes within that.
#[derive(Clone, Debug)]
struct Change<'a> {
    base: Base,
    within: Edit<'a>,
}

#[derive(Clone, Debug)]
enum Base {
    AsItCame,
    Set(Raw),
    Removed,
}

impl<'a> Edit<'a> {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the member at `path`. An object missing on the way is made; anything else on the way is replaced
    /// by one. A later change of the same path wins; what a later one removes was never set, and nothing was made
    /// or replaced on its way.
    pub fn set(&mut self, path: &[&'a str], value: Raw) -> &mut Self {
        self.change(path, Base::Set(value))
    }

    /// Removes the member at `path`, if it is there.
    pub fn remove(&mut self, path: &[&'a str]) -> &mut Self {
        self.change(path, Base::Removed)
    }

    /// The object with all changes made; the same bytes if none applies.
    pub fn apply(&self, to: &Members) -> Raw {
        let text = to.raw().as_bytes();
        let mut out = Vec::with_capacity(text.len() + 128);
        let mut copied = 0;
        let mut kept = 0;
        let mut done = vec![false; self.changes.len()];
        for (index, entry) in to.entries().iter().enumerate() {
            // A member's key begins one byte earlier, at its quote.
            let start = entry.key.start.saturating_sub(1);
            let found = self.changes.iter().zip(&mut done).find(|((key, _), _)| entry.is(text, key));
            let change = found.map(|((_, change), done)| {
                *done = true;
                change
            });
            let new = change.map(|change| change.value(Some(&to.slice(entry))));
            if matches!(new, Some(None)) {
                // With the separator before it; the first member kept loses its own.
                if index == 0 {
                    out.extend_from_slice(text.get(..start).unwrap_or_default());
                }
                copied = entry.value.end;
                continue;
            }
            let from = if kept == 0 && index > 0 { start } else { copied };
            kept += 1;
            match new.flatten() {
                None => out.extend_from_slice(text.get(from..entry.value.end).unwrap_or_default()),
                Some(new) => {
                    out.extend_from_slice(text.get(from..entry.value.start).unwrap_or_default());
                    out.extend_from_slice(new.as_bytes());
                }
            }
            copied = entry.value.end;
        }
        if to.is_empty() {
            out.push(b'{');
            copied = 1;
        }
        for ((key, change), _) in self.changes.iter().zip(done).filter(|(_, done)| !done) {
            let Some(new) = change.value(None) else { continue };
            if kept > 0 {
                out.push(b',');
            }
            kept += 1;
            write_string(key, &mut out);
            out.push(b':');
            out.extend_from_slice(new.as_bytes());
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        Raw::checked(Bytes::from(out))
    }

    fn change(&mut self, path: &[&'a str], base: Base) -> &mut Self {
        let Some((first, rest)) = path.split_first() else { return self };
        let position = self.changes.iter().position(|(key, _)| *key == *first);
        if rest.is_empty() {
            if let Some(position) = position {
                self.changes.remove(position);
            }
            self.changes.push((first, Change { base, within: Self::new() }));
        } else if let Some((_, earlier)) = position.and_then(|position| self.changes.get_mut(position)) {
            earlier.within.change(rest, base);
        } else {
            let mut within = Self::new();
            within.change(rest, base);
            self.changes.push((first, Change { base: Base::AsItCame, within }));
        }
        self
    }

    fn adds(&self) -> bool {
        self.changes.iter().any(|(_, change)| change.adds())
    }
}

impl Change<'_> {
    /// Whether it makes a member where there is none.
    fn adds(&self) -> bool {
        matches!(self.base, Base::Set(_)) || self.within.adds()
    }

    /// The new value of a member that had `old`; none if there is no such member then.
    fn value(&self, old: Option<&Raw>) -> Option<Raw> {
        let base = match &self.base {
            Base::AsItCame => old,
            Base::Set(value) => Some(value),
            Base::Removed => None,
        };
        if self.within.changes.is_empty() {
            return base.cloned();
        }
        match base.and_then(Members::of) {
            Some(members) => Some(self.within.apply(&members)),
            None if self.within.adds() => Some(self.within.apply(&Members::empty())),
            None => base.cloned(),
        }
    }
}
