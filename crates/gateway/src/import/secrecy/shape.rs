//! What secrets look like, whatever they are called.

/// Whether a text is, or holds, something of a secret's shape.
pub(crate) fn looks_secret(text: &str) -> bool {
    text.contains("-----BEGIN ")
        || has_known_prefix(text)
        || is_web_token(text)
        || is_address_with_secret(text)
        || is_random(text)
}

/// Tokens whose makers gave them a beginning to be known by.
fn has_known_prefix(text: &str) -> bool {
    let pieces = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    pieces.into_iter().any(|piece| {
        PREFIXES.iter().any(|(prefix, least)| {
            piece.strip_prefix(prefix).is_some_and(|rest| {
                rest.len() >= *least && rest.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            })
        })
    })
}

/// `eyJ….eyJ….…` (RFC 7519).
fn is_web_token(text: &str) -> bool {
    text.match_indices("eyJ").any(|(at, _)| {
        let rest = text.get(at..).unwrap_or_default();
        let head = rest.split('.').next().unwrap_or_default();
        head.len() >= 12
            && rest.len() > head.len()
            && head.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}

/// `scheme://user:password@host`, or a query whose parameter is named like a secret.
fn is_address_with_secret(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    if user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty()) {
        return true;
    }
    let query = rest.split_once('?').map(|(_, query)| query).unwrap_or_default();
    query
        .split(['&', ';', '#'])
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| super::is_secret_argument(name, value))
}

/// A run of letters and digits too mixed to be words. Names of commits and images, which pin what is run, are
/// public.
fn is_random(text: &str) -> bool {
    let mut before = "";
    let mut at = 0;
    for run in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        let pinned = before.ends_with(['@', '#']) || before.ends_with("sha256:");
        let is_hash = run.bytes().all(|b| b.is_ascii_hexdigit()) && [40, 64].contains(&run.len());
        if is_mixed(run) && !(pinned && is_hash) {
            return true;
        }
        at += run.len()
            + text.get(at + run.len()..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        before = text.get(..at).unwrap_or_default();
    }
    false
}

/// Long, and letters and digits take turns in it: words and versions have one turn or two.
fn is_mixed(run: &str) -> bool {
    let bytes = run.as_bytes();
    let turns = bytes
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit()))
        .count();
    bytes.len() >= RANDOM_BYTES && turns >= 3
}

/// The shortest run that is taken for random.
const RANDOM_BYTES: usize = 20;

/// Known beginnings, and how much must follow.
const PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("gldt-", 16),
    ("sk-", 16),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 8),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxs-", 8),
    ("xoxe-", 8),
    ("xapp-", 8),
    ("AKIA", 12),
    ("ASIA", 12),
    ("AIza", 20),
    ("ya29.", 8),
    ("GOCSPX-", 8),
    ("hf_", 16),
    ("npm_", 16),
    ("pypi-", 16),
    ("dop_v1_", 16),
    ("shpat_", 16),
    ("shpss_", 16),
    ("lin_api_", 16),
    ("ntn_", 16),
    ("secret_", 16),
    ("figd_", 16),
    ("SG.", 16),
    ("sntrys_", 16),
    ("sntryu_", 16),
    ("tvly-", 12),
    ("fc-", 20),
    ("BSA", 20),
    ("r8_", 16),
    ("gsk_", 16),
    ("xai-", 16),
    ("pplx-", 16),
    ("nvapi-", 16),
    ("ATATT", 16),
    ("ATCTT", 16),
    ("hvs.", 16),
    ("hvb.", 16),
    ("dapi", 24),
    ("sbp_", 16),
    ("phx_", 16),
    ("glsa_", 16),
    ("AGE-SECRET-KEY-", 16),
    ("pat-", 16),
    ("key-", 16),
    ("patA", 12),
    ("vercel_", 16),
    ("rnd_", 16),
    ("ops_ey", 16),
    ("ctx7sk-", 12),
    ("apify_api_", 12),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_shape() {
        for text in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "github_pat_11ABCDEFG0aaaaaaaaaaaa_bbbbbbbb",
            "sk-proj-AbCdEfGhIjKlMnOpQrSt",
            "prefix xoxb-1234567890-abc",
            "AKIAIOSFODNN7EXAMPLE",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "0123456789abcdef0123456789abcdef",
            "a1b2c3d4e5f6a7b8c9d0e1f2",
            "postgresql://shop:hunter2@db.example.org/shop",
            "https://me:pw@tools.example.org/mcp",
            "https://tools.example.org/mcp?api_key=hunter2",
            "https://tools.example.org/mcp?region=eu&token=hunter2",
            "-----BEGIN PRIVATE KEY-----\nx",
            "https://hooks.example.org/NzY4x9Qk2LmPq7RsT4vW/mcp",
        ] {
            assert!(looks_secret(text), "{text}");
        }
    }

    #[test]
    fn names_paths_versions_and_pins_are_not_secrets() {
        for text in [
            "",
            "-y",
            "@modelcontextprotocol/server-filesystem@2025.8.21",
            "mcp-server-git==2025.12.18",
            "/srv/projects/2024/quarter3/reports2025",
            "ghcr.io/github/github-mcp-server:v0.13.0",
            "ghcr.io/a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "git+https://example.org/a/b@0123456789abcdef0123456789abcdef01234567",
            "http://127.0.0.1:8080/mcp",
            "https://tools.example.org/mcp?region=eu",
            "postgresql://db.example.org/shop",
            "git@example.org:team/handbook.git",
            "internationalization2025",
            "sk-learn",
            "key-value-store-of-the-house",
            "secret_santa_and_his_friends",
            "9b2f0f5e-7d1c-4a6b-8e21-0c5d6f7a8b90",
        ] {
            assert!(!looks_secret(text), "{text}");
        }
    }
}
