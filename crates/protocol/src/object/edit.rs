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

#[derive(Clone, Debug)]
enum Change<'a> {
    Set(Raw),
    Remove,
    Within(Edit<'a>),
}

impl<'a> Edit<'a> {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the member at `path`. An object missing on the way is made; anything else on the way is replaced
    /// by one. A later change of the same path wins.
    pub fn set(&mut self, path: &[&'a str], value: Raw) -> &mut Self {
        self.change(path, Change::Set(value))
    }

    /// Removes the member at `path`, if it is there.
    pub fn remove(&mut self, path: &[&'a str]) -> &mut Self {
        self.change(path, Change::Remove)
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
            if matches!(change, Some(Change::Remove)) {
                // With the separator before it; the first member kept loses its own.
                if index == 0 {
                    out.extend_from_slice(text.get(..start).unwrap_or_default());
                }
                copied = entry.value.end;
                continue;
            }
            let from = if kept == 0 && index > 0 { start } else { copied };
            kept += 1;
            match change {
                None => out.extend_from_slice(text.get(from..entry.value.end).unwrap_or_default()),
                Some(change) => {
                    out.extend_from_slice(text.get(from..entry.value.start).unwrap_or_default());
                    out.extend_from_slice(change.value(Some(&to.slice(entry))).as_bytes());
                }
            }
            copied = entry.value.end;
        }
        if to.is_empty() {
            out.push(b'{');
            copied = 1;
        }
        for ((key, change), _) in
            self.changes.iter().zip(done).filter(|(change, done)| !done && change.1.adds())
        {
            if kept > 0 {
                out.push(b',');
            }
            kept += 1;
            write_string(key, &mut out);
            out.push(b':');
            out.extend_from_slice(change.value(None).as_bytes());
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        Raw::checked(Bytes::from(out))
    }

    fn change(&mut self, path: &[&'a str], change: Change<'a>) -> &mut Self {
        let Some((first, rest)) = path.split_first() else { return self };
        let position = self.changes.iter().position(|(key, _)| *key == *first);
        if rest.is_empty() {
            if let Some(position) = position {
                self.changes.remove(position);
            }
            self.changes.push((first, change));
            return self;
        }
        if let Some((_, Change::Within(edit))) = position.and_then(|position| self.changes.get_mut(position))
        {
            edit.change(rest, change);
            return self;
        }
        let mut edit = Self::new();
        edit.change(rest, change);
        if let Some(position) = position {
            // Something was set or removed here before: the deeper change applies on top of that.
            let (key, earlier) = self.changes.remove(position);
            let change = match earlier {
                Change::Set(value) => Change::Set(Change::Within(edit).value(Some(&value))),
                Change::Remove if edit.adds() => Change::Set(Change::Within(edit).value(None)),
                earlier @ (Change::Remove | Change::Within(_)) => earlier,
            };
            self.changes.push((key, change));
            return self;
        }
        self.changes.push((first, Change::Within(edit)));
        self
    }

    fn adds(&self) -> bool {
        self.changes.iter().any(|(_, change)| change.adds())
    }
}

impl Change<'_> {
    /// Whether it makes a member where there is none.
    fn adds(&self) -> bool {
        match self {
            Self::Set(_) => true,
            Self::Remove => false,
            Self::Within(edit) => edit.adds(),
        }
    }

    /// The new value of a member that had `old`.
    fn value(&self, old: Option<&Raw>) -> Raw {
        match (self, old) {
            (Self::Set(value), _) => value.clone(),
            (Self::Within(edit), old) => match old.and_then(Members::of) {
                Some(members) => edit.apply(&members),
                None if edit.adds() => edit.apply(&Members::empty()),
                None => old.cloned().unwrap_or_else(Raw::empty_object),
            },
            (Self::Remove, old) => old.cloned().unwrap_or_else(Raw::empty_object),
        }
    }
}
