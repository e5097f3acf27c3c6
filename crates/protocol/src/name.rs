//! Names on the shared endpoint `/mcp`, where tools and prompts of many servers meet (design §6).

use model::{Digest, ServerName};

/// The longest name that the model APIs behind common clients take, in bytes.
pub const LONGEST: usize = 64;

/// `server__name`, or where that is longer than [`LONGEST`] its beginning and ten digits of a hash of all of it.
///
/// Server names hold no `_`, so no two servers' names meet unless shortened; the catalog maps names back and
/// leaves out the later of two that meet.
pub fn shared(server: &ServerName, name: &str) -> String {
    let whole = format!("{server}__{name}");
    if whole.len() <= LONGEST {
        return whole;
    }
    let hex = Digest::of(whole.as_bytes()).hex();
    let tail = hex.get(..10).and_then(|hex| std::str::from_utf8(hex).ok()).unwrap_or_default();
    let mut room = LONGEST - tail.len() - 1;
    while !whole.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}_{tail}", whole.get(..room).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_and_shortened_to_fit() {
        let git = ServerName::new("git").unwrap();
        assert_eq!(shared(&git, "log"), "git__log");
        let fits = "x".repeat(59);
        assert_eq!(shared(&git, &fits), format!("git__{fits}"));
        for long in ["x".repeat(60), "x".repeat(61), "é".repeat(90)] {
            let name = shared(&git, &long);
            assert!(name.len() <= LONGEST && name.starts_with("git__"), "{name}");
            assert_eq!(name, shared(&git, &long));
        }
        assert_ne!(shared(&git, &"x".repeat(60)), shared(&git, &"x".repeat(61)));
        assert_ne!(shared(&git, "a__b"), shared(&ServerName::new("git-a").unwrap(), "b"));
    }
}
