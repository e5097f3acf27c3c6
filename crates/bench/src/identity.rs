//! The two things that identity adds to every call, each beside the least it could cost: a token for the server beside a
//! bare signature, and the check of a token that is known beside its bare digest.

use anyhow::{Context as _, anyhow};
use authn::revocations::{self, Ages, Revocation, Revoke as _, View};
use authn::{Authn, IssuerConfig, Resource};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use broker::{Asked, Assertion, Kind, Mint, Minter, Plan, Sign, SignError, Signed, Whose};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};
use model::{CallId, Clock, Dice, Digest, Principal, SystemClock, SystemDice};
use serde::Serialize;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::{Db, Place, transaction};
use vault::{Keyring, Lifecycle, Root, SigningKeys, key_files};

/// What came out.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// A signature of ES256 over as many bytes, and nothing else.
    pub signature: Spread,
    /// A token for a server, from the plan to the header of the request.
    pub mint: Spread,
    /// SHA-256 of a token, which is how it is looked up.
    pub digest: Spread,
    /// The identity stage with a token that is known: looked up, and checked against what was revoked.
    pub authenticate: Spread,
    /// Holding a caller against eight thousand revocations, as after each new one and as streams and calls under way do.
    pub recheck: Spread,
}

/// Many times of one thing, in microseconds.
#[derive(Debug, Serialize)]
pub struct Spread {
    /// The middle one.
    pub p50_us: f64,
    /// All but one in a hundred are no longer.
    pub p99_us: f64,
}

/// Does each of them so often, in turns.
///
/// # Errors
/// When the keys cannot be had, or what should pass does not.
pub async fn measure(times: u32) -> anyhow::Result<Measured> {
    let folder = std::env::temp_dir().join(format!("portunus-identity-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let measured = measure_in(&folder, times).await;
    drop(std::fs::remove_dir_all(&folder));
    measured
}

async fn measure_in(folder: &Path, times: u32) -> anyhow::Result<Measured> {
    let (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>) =
        (Arc::new(SystemClock::default()), Arc::new(SystemDice));
    let db = Db::open(&storage::Config::at(Place::Sqlite(folder.join("portunus.db")))).await?;
    let root = Root::new(&key_files(folder, "root", dice.as_ref())?)?;
    let ring = Keyring::open(db.clone(), root, Arc::clone(&clock), Arc::clone(&dice)).await?;
    let keys =
        SigningKeys::open(db.clone(), Arc::new(ring), Lifecycle::default(), Arc::clone(&clock)).await?;
    let keys = Arc::new(keys);

    let minter =
        Minter::new(ISSUER, Arc::new(Keys(Arc::clone(&keys))), Arc::clone(&clock), Arc::clone(&dice));
    let minter = Arc::new(minter);
    let plan = plan()?;
    let whose = whose(clock.as_ref(), dice.as_ref());
    let mint = || {
        let mint = Mint { minter: Arc::clone(&minter), whose: whose.clone() };
        let credential = broker::attach(&plan, Some("tools/call"), Some(mint))?;
        let mut headers = HeaderMap::new();
        credential.apply(Some("tools/call"), &mut headers)?;
        anyhow::Ok(headers)
    };
    let sent = mint()?.get(AUTHORIZATION).map_or(0, HeaderValue::len);
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| anyhow!("no key"))?;
    let (random, bytes) = (SystemRandom::new(), vec![b'a'; sent]);

    let (authn, token) = caller(&keys, &clock)?;
    let view = Arc::new(revoked(&db, &clock).await?);
    let authn = authn.with_view(Arc::clone(&view));
    let kept = tokio::spawn(async move { view.keep(|_| {}).await });
    let resource = Resource::new(RESOURCE, Vec::new(), Vec::new(), Vec::new())?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?);
    let uri: Uri = "/mcp".parse()?;

    let [mut signature, mut minted, mut digest, mut known, mut held] = [(); 5].map(|()| Vec::new());
    for _ in 0..times {
        let begun = clock.ticks();
        black_box(pair.sign(&random, black_box(&bytes)).map_err(|_| anyhow!("no signature"))?);
        let signed = clock.ticks();
        black_box(mint()?);
        let sent = clock.ticks();
        black_box(Digest::of(black_box(token.as_bytes())));
        let digested = clock.ticks();
        let verified = authn.authenticate(&headers, &uri, &resource).await;
        let caller = black_box(verified.map_err(|rejection| rejection.error)?);
        let verified = clock.ticks();
        black_box(authn.recheck(&caller))?;
        held.push(clock.ticks() - verified);
        signature.push(signed - begun);
        minted.push(sent - signed);
        digest.push(digested - sent);
        known.push(verified - digested);
    }
    kept.abort();
    Ok(Measured {
        recheck: spread(held)?,
        signature: spread(signature)?,
        mint: spread(minted)?,
        digest: spread(digest)?,
        authenticate: spread(known)?,
    })
}

/// A view of a thousand revocations of every kind, none of which means the caller.
async fn revoked(db: &Db, clock: &Arc<dyn Clock>) -> anyhow::Result<View> {
    let now = clock.now();
    transaction!(db, tx => {
        for number in 0..1000 {
            for kind in revocations::Kind::ALL {
                let revocation = Revocation::new(kind, format!("somebody-else-{number}"), "bench");
                tx.revoke(&revocation, now).await?;
            }
        }
        anyhow::Ok(())
    })?;
    Ok(View::open(db, Ages::default(), Arc::clone(clock)).await?)
}

struct Keys(Arc<SigningKeys>);

impl Sign for Keys {
    fn sign(&self, typ: &str, claims: &[u8]) -> Result<Signed, SignError> {
        let signed = self.0.sign(typ, claims).map_err(|error| SignError(error.to_string()))?;
        Ok(Signed { kid: signed.kid, token: signed.token })
    }
}

fn plan() -> anyhow::Result<Plan> {
    Ok(Plan::none().asserting(Assertion {
        audience: "https://crm.example.org/mcp".into(),
        header: AUTHORIZATION,
        lifetime: Duration::from_secs(60),
        request_digest: true,
        groups: true,
    })?)
}

/// A person with an agent, in some groups, calling a tool.
fn whose(clock: &dyn Clock, dice: &dyn Dice) -> Whose {
    let many = |name: &str| (0..5).map(|number| format!("{name}-{number}").into()).collect();
    let principal = Principal {
        user: "usr_0123456789abcdef0123456789abcdef".into(),
        agent: Some("agt_0123456789abcdef0123456789abcdef".into()),
        roles: many("role"),
        groups: many("group"),
        scopes: many("scope"),
        ..Principal::service()
    };
    let asked = Asked {
        id: CallId::new(clock.now(), dice),
        item: Some((Kind::Tool, "tool_00".into())),
        digest: Some(Digest::of(b"{}")),
    };
    Whose { principal: Arc::new(principal), until: None, call: Some(asked) }
}

/// The identity stage as a gateway has it that issues tokens itself, and a token of its.
fn caller(keys: &Arc<SigningKeys>, clock: &Arc<dyn Clock>) -> anyhow::Result<(Authn, String)> {
    let day = Duration::from_secs(24 * 3600);
    let config = authn::Config {
        issuers: vec![IssuerConfig::own(ISSUER, Arc::clone(keys), day)],
        ..authn::Config::default()
    };
    let egress = net::egress::Client::new(&net::egress::Config::default())?;
    let authn = Authn::new(config, egress, Arc::clone(clock));
    let authn = authn.map_err(|faults| anyhow!("{faults:?}"))?;
    let now = clock.now().seconds();
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "usr_0123456789abcdef0123456789abcdef", "client_id": "cli",
        "tenant_id": "acme", "roles": ["reader"], "groups": ["staff"], "scope": "mcp", "grant_id": "grant",
        "jti": "token", "iat": now, "exp": now + 3600,
    });
    Ok((authn, keys.sign("at+jwt", claims.to_string().as_bytes())?.token))
}

fn spread(mut nanoseconds: Vec<u64>) -> anyhow::Result<Spread> {
    nanoseconds.sort_unstable();
    let at = |percent: usize| {
        let place = nanoseconds.len() * percent / 100;
        let found = nanoseconds.get(place).copied().context("nothing was measured")?;
        // A duration in microseconds has few digits.
        anyhow::Ok(Duration::from_nanos(found).as_secs_f64() * 1e6)
    };
    Ok(Spread { p50_us: at(50)?, p99_us: at(99)? })
}

/// Who signs.
const ISSUER: &str = "https://portunus.example.org";
/// What is called.
const RESOURCE: &str = "https://portunus.example.org/mcp";
