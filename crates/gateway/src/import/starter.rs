//! The configuration of a gateway that has none: what cannot be guessed is left to a person, in its place.

/// What the servers are added to. Without issuers nobody can sign in, and the gateway does not start.
pub(super) const TEXT: &str = "\
# Made by `portunus import`. Every key is described in docs/configuration.md; `portunus check` tries the file.
version: 1

# Still missing: who may vouch for callers. The gateway does not start before somebody can.
# issuers:
#   - issuer: https://login.example.org/realms/staff   # exactly as the tokens say in `iss`
#     token_types: [at+jwt, JWT]
#     tenant: example

# No tool has an `impact` yet, so each counts as external-or-regulated; no policy permits any of them yet.
servers: {}
";
