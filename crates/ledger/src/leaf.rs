//! The leaves. Strings are `Cow`s, so that the pipeline lends what it has and an auditor owns what it reads.
//! Every text leaves the encoder clipped to [`TEXT_BYTES`](crate::TEXT_BYTES).

use model::{CallId, Code, Digest, ErrorKind, Impact, Principal, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One entry of the record, without its sequence number and time.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf<'a> {
    /// A call that was permitted and is about to be sent.
    Intent(Intent<'a>),
    /// How that call ended.
    Outcome(Outcome<'a>),
    /// A call that was stopped before its intent: nothing was sent.
    Denial(Denial<'a>),
    /// Counted failures to authenticate.
    AuthnFailures(AuthnFailures<'a>),
    /// Something that happened to the house and not to a call.
    Event(Event<'a>),
}

/// What is known of a call before it is sent. Shared by [`Intent`] and [`Denial`].
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'a> {
    /// The call, over all its legs.
    pub id: CallId,
    /// Who asks, and through what.
    pub caller: Caller<'a>,
    /// What groups this call with others. It never grants anything.
    pub conversation: Option<Conversation<'a>>,
    /// The path of the endpoint: `/mcp`, `/servers/<name>/mcp`, `/toolsets/<name>/mcp`.
    pub endpoint: Cow<'a, str>,
    /// The MCP method as the caller sent it.
    pub method: Cow<'a, str>,
    /// What the call names; `None` for lists and for what was stopped before it was read.
    pub target: Option<Target<'a>>,
    /// The identity that acts at the server: the broker's plan.
    pub downstream: Option<Downstream<'a>>,
    /// The impact class of the tool, as the operator set it.
    pub impact: Option<Impact>,
    /// W3C trace id: 32 hexadecimal characters.
    pub trace: Option<Cow<'a, str>>,
    /// Size of the request's body as received, in bytes.
    pub request_bytes: u64,
    /// The arguments, by digest and perhaps by value.
    pub arguments: Option<Arguments<'a>>,
}

/// The identities on the caller's side.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Caller<'a> {
    /// The person or workflow that asked.
    #[serde(borrow)]
    pub user: Cow<'a, str>,
    /// The agent, if it is known apart from the client.
    #[serde(default)]
    pub agent: Option<Cow<'a, str>>,
    /// The OAuth client the token was issued to.
    pub client: Cow<'a, str>,
    /// The tenant.
    pub tenant: Cow<'a, str>,
    /// Who vouches for all of the above.
    pub issuer: Cow<'a, str>,
}

impl<'a> Caller<'a> {
    /// The identities of `principal`, borrowed.
    pub fn of(principal: &'a Principal) -> Self {
        Self {
            user: Cow::Borrowed(&principal.user),
            agent: principal.agent.as_deref().map(Cow::Borrowed),
            client: Cow::Borrowed(&principal.client),
            tenant: Cow::Borrowed(&principal.tenant),
            issuer: Cow::Borrowed(&principal.issuer),
        }
    }
}

/// What groups calls (design §6).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Conversation<'a> {
    /// Its id, unique within its source and caller.
    pub id: Cow<'a, str>,
    /// Where the id comes from, and so how far to trust it.
    pub source: ConversationSource,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in the record.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

words!(
    /// Where a conversation's id comes from.
    ConversationSource {
        /// The sealed session of an older client.
        Session = "session",
        /// A key in `_meta` that the client declared.
        Declared = "declared",
        /// The W3C trace.
        Trace = "trace",
        /// Principal, client and an idle gap.
        Inferred = "inferred",
    }
);

words!(
    /// What kind of thing a target's name names.
    Named {
        /// A tool.
        Tool = "tool",
        /// A prompt.
        Prompt = "prompt",
        /// A resource, by URI.
        Resource = "resource",
        /// A resource template, by URI template.
        Template = "template",
    }
);

words!(
    /// What a decision says.
    Effect {
        /// Allowed.
        Permit = "permit",
        /// Not allowed.
        Deny = "deny",
    }
);

words!(
    /// How far an attempt got (design §2).
    Attempt {
        /// The server answered.
        Answered = "answered",
        /// Nothing was sent; the call had no effect.
        NotSent = "not_sent",
        /// It may have been sent, and may have had its effect.
        Unknown = "unknown",
        /// The gateway answered by itself; no server was involved.
        Local = "local",
    }
);

words!(
    /// What an event is about.
    What {
        /// The writer started; `detail` says what it found.
        Started = "started",
        /// The writer was closed in order.
        Stopped = "stopped",
        /// The last segment ended in a torn write, which was cut off.
        TailCut = "tail_cut",
        /// The record could not be written for a while and can be again.
        RecordResumed = "record_resumed",
        /// A new configuration is in force.
        ConfigLoaded = "config_loaded",
        /// A new configuration was refused; the old one stays.
        ConfigRefused = "config_refused",
        /// New policies are in force.
        PolicyLoaded = "policy_loaded",
        /// New policies were refused; the old ones stay.
        PolicyRefused = "policy_refused",
        /// A tool, prompt or resource is listed for the first time.
        DefinitionAdded = "definition_added",
        /// A definition differs from the one listed before.
        DefinitionChanged = "definition_changed",
        /// A definition is no longer listed.
        DefinitionRemoved = "definition_removed",
        /// A tool is not offered since its definition is invalid.
        ToolDropped = "tool_dropped",
        /// A tool is not offered since a policy does not validate against it.
        ToolWithheld = "tool_withheld",
        /// A server does not answer; what it offers is missing from lists.
        ServerMissing = "server_missing",
        /// A server answers (again).
        ServerReady = "server_ready",
        /// A capability or extension was declared that the gateway does not carry.
        ExtensionStripped = "extension_stripped",
        /// A person signed in.
        SignedIn = "signed_in",
        /// A sign-in was refused, or failed.
        SignInRefused = "sign_in_refused",
        /// A session ended: by its person, its provider or its age.
        SignedOut = "signed_out",
        /// A person let a client act.
        ConsentGiven = "consent_given",
        /// A person did not let a client act.
        ConsentRefused = "consent_refused",
        /// A consent was taken back.
        ConsentWithdrawn = "consent_withdrawn",
        /// A client registered itself.
        ClientRegistered = "client_registered",
        /// The authorization server issued an access token.
        TokenIssued = "token_issued",
        /// A token was asked for and not issued.
        TokenRefused = "token_refused",
        /// A refresh token was used again after its successor was: its grant is revoked.
        RefreshReused = "refresh_reused",
        /// A token was exchanged for another.
        TokenExchanged = "token_exchanged",
        /// Something is no longer good: see `about`.
        Revoked = "revoked",
        /// Signing keys moved on: a new one is published, in use or retired.
        KeyRotated = "key_rotated",
        /// A signing key was revoked at once.
        KeyRevoked = "key_revoked",
        /// An agent was made, changed or removed.
        AgentChanged = "agent_changed",
        /// A credential of an agent or a client was added, changed or removed.
        CredentialChanged = "credential_changed",
        /// A person's entry was made, changed or removed.
        UserChanged = "user_changed",
        /// A token contract was drafted, published or rolled back.
        ContractChanged = "contract_changed",
        /// Somebody is about to change something through the admin API.
        AdminIntended = "admin_intended",
        /// It was changed.
        AdminChanged = "admin_changed",
        /// It was not, and why; or somebody may not.
        AdminRefused = "admin_refused",
        /// This replica no longer knows what was revoked lately, and refuses accordingly.
        ViewStale = "view_stale",
        /// It knows again.
        ViewFresh = "view_fresh",
    }
);

/// What a call names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Target<'a> {
    /// The configured name of the server.
    pub server: Cow<'a, str>,
    /// What `name` names; `None` when the server itself is meant.
    #[serde(default)]
    pub named: Option<Named>,
    /// The server's own name of the tool or prompt, or the resource's URI.
    #[serde(default)]
    pub name: Option<Cow<'a, str>>,
    /// The digest of the definition last listed.
    #[serde(default)]
    pub definition: Option<Digest>,
}

/// The identity that acts at the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Downstream<'a> {
    /// How the credential is obtained: `none`, `header`, `environment`, `gateway_jwt`.
    pub strategy: Cow<'a, str>,
    /// The account it stands for, as the operator names it.
    #[serde(default)]
    pub account: Option<Cow<'a, str>>,
    /// Whom a token of ours is for.
    #[serde(default)]
    pub audience: Option<Cow<'a, str>>,
}

/// A token of ours that a call carried, by what names it: never the token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Token<'a> {
    /// The key that signed it.
    pub kid: Cow<'a, str>,
    /// Its `jti`.
    pub jti: Cow<'a, str>,
}

/// The arguments of a call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Arguments<'a> {
    /// SHA-256 of the arguments in canonical form (RFC 8785).
    pub digest: Digest,
    /// Their size as judged, in bytes.
    pub bytes: u64,
    /// The arguments themselves, if configured. Left out when the leaf would pass
    /// [`LEAF_BYTES`](crate::LEAF_BYTES).
    #[serde(default, borrow)]
    pub value: Option<Json<'a>>,
}

/// One JSON text, kept as it was.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Json<'a>(#[serde(borrow)] pub Cow<'a, RawValue>);

impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl<'a> From<&'a RawValue> for Json<'a> {
    fn from(value: &'a RawValue) -> Self {
        Self(Cow::Borrowed(value))
    }
}

/// What policy decided.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Decision<'a> {
    /// Permit or deny.
    pub effect: Effect,
    /// The ids of the rules that decided. At most [`LIST_ITEMS`](crate::LIST_ITEMS) are kept.
    #[serde(default)]
    pub rules: Vec<Cow<'a, str>>,
    /// The obligations that were met (permit) or are unmet (deny).
    #[serde(default)]
    pub obligations: Vec<Cow<'a, str>>,
    /// The digest of the policy revision that decided.
    #[serde(default)]
    pub policy: Option<Digest>,
}

/// A call that was permitted and is about to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent<'a> {
    /// The call.
    pub call: Call<'a>,
    /// The permit.
    pub decision: Decision<'a>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome<'a> {
    /// The call whose intent this completes.
    pub call: CallId,
    /// How it ended.
    pub status: Status,
    /// How far it got.
    pub attempt: Attempt,
    /// The code the caller was told, if it failed.
    pub code: Option<Code>,
    /// Why, for operators.
    pub reason: Option<Cow<'a, str>>,
    /// The id of the request upstream, as JSON text: `7` or `"a"`.
    pub upstream: Option<Cow<'a, str>>,
    /// The token that went with it last, where it carries one of ours.
    pub token: Option<Token<'a>>,
    /// What the guard found in the answer.
    pub findings: Vec<Cow<'a, str>>,
    /// Size of what the server answered, in bytes, over all messages.
    pub answer_bytes: u64,
    /// Size of what the caller was sent, in bytes, over all messages.
    pub reply_bytes: u64,
    /// Where the time went.
    pub latency: Latency,
}

/// A call that was stopped before its intent.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial<'a> {
    /// The call, as far as it was understood.
    pub call: Call<'a>,
    /// The decision, when the call got as far as policy.
    pub decision: Option<Decision<'a>>,
    /// The kind of stop.
    pub kind: ErrorKind,
    /// The code the caller was told.
    pub code: Code,
    /// Why, for operators.
    pub reason: Option<Cow<'a, str>>,
    /// Where the time went.
    pub latency: Latency,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// With a result.
    Ok,
    /// With a result that says `isError`.
    ToolError,
    /// With a question to the caller; another leg follows under the same call id.
    InputRequired,
    /// Nobody knows.
    Unknown,
    /// With an error of this kind; `Cancelled` when the caller withdrew.
    Failed(ErrorKind),
}

/// Where the time went, by stage, in microseconds. A zero is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Who is calling?
    pub authenticate: u32,
    /// Frame, method, session.
    pub admit: u32,
    /// Server, tool, plan.
    pub resolve: u32,
    /// Policy.
    pub authorize: u32,
    /// The guard over what goes out.
    pub inspect: u32,
    /// The wait for the intent to be on record.
    pub record: u32,
    /// The upstream's credential.
    pub attach: u32,
    /// The server.
    pub upstream: u32,
    /// The guard over what came back.
    pub release: u32,
    /// From the first byte to the outcome.
    pub total: u32,
}

/// Failures to authenticate, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthnFailures<'a> {
    /// The start of the time they are counted over; the leaf's own time is its end.
    pub from: Timestamp,
    /// One row per (source, code, issuer). At most [`LIST_ITEMS`](crate::LIST_ITEMS) are kept.
    pub failures: Vec<AuthnFailure<'a>>,
    /// Failures that found no room in the bounded table and are only counted here.
    pub uncounted: u64,
}

/// Failures of one kind from one place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuthnFailure<'a> {
    /// Where from: an IPv4 /24 or an IPv6 /56, in CIDR notation.
    pub source: Cow<'a, str>,
    /// The code they were told.
    #[serde(deserialize_with = "crate::decode::code")]
    pub code: Code,
    /// The issuer the token claimed, if it could be read. Not verified.
    #[serde(default)]
    pub issuer: Option<Cow<'a, str>>,
    /// How many.
    pub count: u64,
}

/// Something that happened to the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened.
    pub what: What,
    /// The tenant it happened in.
    pub tenant: Option<Cow<'a, str>>,
    /// Who did it: the id of a person or an agent, `operator` for the command line, `portunus` for the house itself.
    pub by: Option<Cow<'a, str>>,
    /// Whom or what of the identities it is about. Never a token, a code, a secret or an e-mail address.
    pub about: Option<About<'a>>,
    /// The server it is about.
    pub server: Option<Cow<'a, str>>,
    /// The tool, prompt, resource, file or extension it is about.
    pub name: Option<Cow<'a, str>>,
    /// The digest of the new definition or revision.
    pub digest: Option<Digest>,
    /// The code of the error, if it is one.
    pub code: Option<Code>,
    /// Why, for operators.
    pub detail: Option<Cow<'a, str>>,
}

impl Event<'_> {
    /// An event with nothing but its kind.
    pub const fn of(what: What) -> Self {
        Self {
            what,
            tenant: None,
            by: None,
            about: None,
            server: None,
            name: None,
            digest: None,
            code: None,
            detail: None,
        }
    }
}

/// Whom or what an event of identity is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct About<'a> {
    /// The kind: `user`, `agent`, `client`, `session`, `grant`, `token`, `key`, `server`, `credential`, `contract`, …
    pub kind: Cow<'a, str>,
    /// Its id.
    pub id: Cow<'a, str>,
}

impl<'a> About<'a> {
    /// The thing of this kind with this id.
    pub fn new(kind: impl Into<Cow<'a, str>>, id: impl Into<Cow<'a, str>>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

impl Status {
    /// The word in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::InputRequired => "input_required",
            Self::Unknown => "unknown",
            Self::Failed(kind) => kind.as_str(),
        }
    }
}

#[cfg(test)]
mod tests;
