//! What the front hall reads from its environment. Secrets are read by `broker` only.

/// What every stdio server gets besides its declared variables: the way to programs, and a home.
pub(crate) fn of_children() -> Vec<(String, String)> {
    #[allow(clippy::disallowed_methods, reason = "this module is where the gateway reads its environment")]
    let read = |name: &str| std::env::var(name).ok().map(|value| (name.to_owned(), value));
    ["PATH", "HOME"].into_iter().filter_map(read).collect()
}

/// Where programs keep what they are told (XDG Base Directory Specification).
pub(crate) fn config_home() -> Option<std::path::PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "this module is where the gateway reads its environment")]
    let read =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(std::path::PathBuf::from);
    // A relative one is to be ignored, as the specification says.
    let given = read("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    given.or_else(|| read("HOME").map(|home| home.join(".config")))
}

/// Whether the person asked for output without colour (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    #[allow(clippy::disallowed_methods, reason = "this module is where the gateway reads its environment")]
    let value = std::env::var_os("NO_COLOR");
    value.is_some_and(|value| !value.is_empty())
}

/// The token that the commands on the admin API send, if one is given this way.
pub(crate) fn token() -> Option<zeroize::Zeroizing<String>> {
    #[allow(clippy::disallowed_methods, reason = "this module is where the gateway reads its environment")]
    let value = std::env::var("PORTUNUS_TOKEN").ok();
    value.filter(|token| !token.trim().is_empty()).map(zeroize::Zeroizing::new)
}
