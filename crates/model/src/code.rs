//! Every error a person can see: a stable code, its cause, its fix. `docs/errors.md` is generated from
//! this table by `cargo xtask gen`.

/// A stable error code. The text form (`PTN-1001`) never changes its meaning; a retired code is not reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Code(pub u16);

/// What is known about a code.
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// The code.
    pub code: Code,
    /// A few words, lower case, that name the fault.
    pub title: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal: $title:literal, $cause:literal, $fix:literal;)*) => {
        impl Code {
            $(
                #[doc = $title]
                pub const $name: Self = Self($number);
            )*

            /// The whole table, in order.
            pub const ALL: &'static [CodeRow] = &[
                $(CodeRow { code: Self::$name, title: $title, cause: $cause, fix: $fix },)*
            ];
        }
    };
}

// 1xxx the request, 2xxx identity, 3xxx policy, 4xxx upstream, 5xxx record and operation, 6xxx configuration.
codes! {
    REQUEST_MALFORMED = 1001: "malformed request",
        "The body is not one JSON-RPC 2.0 object: broken JSON, a batch, a repeated key, or an id that is neither a string nor an integer.",
        "Send one JSON-RPC request, notification or response per POST (MCP, streamable HTTP).";
    REQUEST_TOO_LARGE = 1002: "request over a bound",
        "The body, its nesting or its number of items is over a configured limit.",
        "Send less, or ask the operator to raise `request_bytes`, `argument_bytes`, `string_bytes`, `json_depth` or `json_items` of `limits`.";
    CONTENT_TYPE = 1003: "wrong content type or accept",
        "A POST must carry `Content-Type: application/json` and accept `application/json` and `text/event-stream`.",
        "Set both headers.";
    HEADER_MISMATCH = 1004: "headers and body disagree",
        "`MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name` or an `Mcp-Param-*` header is missing, repeated, undecodable or differs from the body.",
        "Derive the headers from the body that is sent.";
    VERSION_UNSUPPORTED = 1005: "unsupported protocol version",
        "The protocol version is none that the gateway speaks.",
        "Use one of the versions in `data.supported`.";
    SESSION_UNKNOWN = 1006: "unknown session",
        "The session id was not issued by this gateway, has ended, has expired, or belongs to another caller.",
        "Send `initialize` again without a session id.";
    METHOD_UNKNOWN = 1007: "unknown method",
        "The method does not exist in this version of MCP, or the gateway does not carry it.",
        "See docs/request-path.md for the methods that are carried.";
    ERA_UNBRIDGED = 1008: "needs a conversation across protocol eras",
        "The client and the server speak different eras of MCP and this call needs a conversation between them.",
        "Use a client and a server of the same era for this call.";
    HOST_REFUSED = 1009: "host or origin refused",
        "The `Host` or `Origin` header is not one this listener serves.",
        "Add it to `listen.allowed_hosts` or `listen.allowed_origins`.";
    NOT_FOUND = 1010: "no such tool, prompt, resource or server for this caller",
        "Nothing of that name is visible to the caller.",
        "List what is visible; ask the operator with the reference in `data` if it should be there.";
    BUSY = 1011: "too many at once",
        "A bound on calls, streams, sessions or children is reached.",
        "Try again later; the operator can raise the bound under `limits`.";
    NO_SUCH_ENDPOINT = 1012: "no such endpoint",
        "The path is not an endpoint of this gateway.",
        "Use `/mcp`, `/servers/<name>/mcp` or `/toolsets/<name>/mcp`.";
    REQUEST_STATE = 1013: "request state refused",
        "The `requestState` was not issued by this gateway for this caller, call and arguments, or has expired.",
        "Start the call again without `requestState`.";
    INPUT_MISSING = 1014: "a question was not answered",
        "The server asked the caller something in the middle of the call, and no answer came in time, or the caller's stream was gone.",
        "Start the call again, with its stream open, and answer within `limits.question_timeout`.";
    STREAM_GONE = 1015: "a stream that cannot be taken up",
        "The stream that `Last-Event-ID` names is not kept any more, or not from that event on.",
        "Take up a stream soon after it broke off. Whether its call took effect is on record.";
    TOKEN_MISSING = 2001: "no token",
        "The request has no bearer token in its `Authorization` header, or carries one in its query string.",
        "Sign in; the `WWW-Authenticate` header names the resource metadata to start from.";
    TOKEN_INVALID = 2002: "token refused",
        "The token is malformed, expired, revoked, signed by an unknown key, of another type, from another issuer, or for another audience.",
        "Sign in again for this endpoint's resource.";
    ISSUER_UNAVAILABLE = 2003: "issuer unavailable",
        "The issuer's keys could not be fetched and none are remembered.",
        "Check the issuer and the way to it; `/readyz` names what is missing.";
    SCOPE_MISSING = 2004: "scope missing",
        "The token lacks a scope that this endpoint requires.",
        "Sign in again with the scopes that the `WWW-Authenticate` header names.";
    OAUTH_REQUEST = 2005: "OAuth request refused",
        "A parameter of the request to the authorization server is missing, repeated, unknown or of the wrong form.",
        "`error_description` names the parameter; the client has to be mended.";
    CLIENT_UNKNOWN = 2006: "unknown client",
        "The authorization server knows no client of that id: it is not configured, its document cannot be used, or its registration was not made here.",
        "Remove the server from the client and add it again, so that it registers anew; or ask the operator to add it under `authorization_server.clients`.";
    REDIRECT_REFUSED = 2007: "redirect refused",
        "The address that the client wants the browser sent back to is not one of those it registered.",
        "Add the server to the client again; for a client that the operator wrote down, add the address to its `redirect_uris`.";
    TARGET_UNKNOWN = 2008: "unknown resource",
        "The `resource` is not an endpoint of this gateway, or is missing.",
        "Send the endpoint's URL exactly as its resource metadata says it.";
    CLIENT_REFUSED = 2009: "client refused",
        "The client did not prove who it is: its secret, assertion or certificate is missing, wrong, expired, or was used before.",
        "Check the client's credential, its clock, and `token_endpoint_auth_method`.";
    GRANT_REFUSED = 2010: "code or refresh token refused",
        "The authorization code or refresh token is unknown, expired, used before, or another client's.",
        "Sign in again.";
    CLIENT_DOCUMENT = 2011: "client's document refused",
        "The document that the client's id names could not be fetched, or does not say what it must.",
        "The page or `error_description` says what is wrong with it; its publisher has to mend it.";
    REGISTRATION_REFUSED = 2012: "registration refused",
        "A client asked for something that a registration cannot have, or registration is not offered here.",
        "`error_description` names the member; or ask the operator to add the client under `authorization_server.clients`.";
    TRANSACTION_GONE = 2013: "sign-in expired",
        "The sign-in took longer than ten minutes, or was finished already in another window.",
        "Start again from the client.";
    ISSUING_UNAVAILABLE = 2014: "authorization server unavailable",
        "The database or the signing keys of the authorization server are not available.",
        "Try again; `/readyz` says what is missing.";
    REFRESH_REUSED = 2015: "refresh token used twice",
        "A refresh token came again after its successor was issued: somebody may have a copy. All tokens of the grant are revoked.",
        "Sign in again. If it happens often, two processes of one client share its tokens.";
    SCOPE_REFUSED = 2016: "scope refused",
        "None of the scopes that were asked for is one that this client may have at this resource.",
        "Ask for scopes named in the resource metadata.";
    CLIENT_LIMIT = 2017: "too many requests to the authorization server",
        "More registrations, or more failed proofs of a client, came than are taken in a minute.",
        "Try again in a minute.";
    SIGN_IN_NO_PROVIDER = 2020: "no such provider",
        "The tenant or the identity provider that the page named is not, or no longer, in the configuration.",
        "Start again from the client; ask the operator which provider is yours.";
    SIGN_IN_STATE = 2021: "sign-in started elsewhere or too long ago",
        "What came back from the identity provider does not belong to a sign-in of this browser, was used already, or is older than ten minutes.",
        "Start again from the client, in this browser, with cookies allowed.";
    SIGN_IN_UNTRUSTED = 2022: "identity provider's answer refused",
        "The answer is not the configured provider's own, or its ID token fails a check: issuer, audience, signature, time, nonce or organisation.",
        "Start again. If it stays, the operator finds the failed check on record under `sign_in_refused`; `portunus doctor idp` tries the provider.";
    SIGN_IN_REFUSED = 2023: "identity provider said no",
        "The identity provider refused the sign-in, or the code it had given.",
        "Try again, or ask whoever runs the identity provider whether you may use this application.";
    SIGN_IN_CLAIMS = 2024: "identity provider said too little",
        "The provider vouches for the person but not for what is needed: no stable subject, a list that is none, or more groups than it puts into a token.",
        "Ask the operator: `claims`, `role_map` and `groups_overage` of the provider say what is read; the record says what was missing.";
    SIGN_IN_PROVIDER_DOWN = 2025: "identity provider unavailable",
        "The identity provider does not answer, or its metadata or keys cannot be used. Who is signed in stays signed in, and tokens that were issued go on.",
        "Try again in a while. The operator finds the reason on record and by `portunus doctor idp`.";
    SIGN_IN_UNAVAILABLE = 2026: "sign-in unavailable",
        "The gateway's own database or record cannot be written, so nobody is signed in.",
        "Try again in a while; `/readyz` names what is missing.";
    SIGN_IN_WRONG = 2027: "name or password wrong",
        "There is no such account, or this is not its password.",
        "Try again, or ask an administrator for a link that sets a new password.";
    SIGN_IN_WAIT = 2028: "too many tries",
        "The account or the address has had too many failed sign-ins.",
        "Wait as long as the page says; the right password is taken then.";
    SIGN_IN_DISABLED = 2029: "person disabled",
        "An administrator has disabled the person.",
        "Ask an administrator of your tenant.";
    FORM_REFUSED = 2030: "form refused",
        "The form was not made for this browser's session, or came from another site.",
        "Open the page again and send it from there, with cookies allowed.";
    REQUEST_GONE = 2031: "request expired",
        "The client's request was answered already, or is older than ten minutes.",
        "Connect again from the client.";
    LINK_GONE = 2032: "link used or expired",
        "The link that sets a password was used already, is older than a day, or never was one.",
        "Ask an administrator for a new one.";
    LOGOUT_REFUSED = 2033: "logout token refused",
        "The token that the identity provider sent to end sessions fails a check, or was used before.",
        "The record says which check; `portunus doctor idp` tries the provider.";
    NO_SUCH_PAGE = 2034: "no such page",
        "There is nothing at this address.",
        "Start from the client, or from `/connections`.";
    CONSENT_REFUSED = 2035: "not allowed by the person",
        "The person did not allow the client, or would have to be asked and may not be.",
        "Connect again and allow it, or use a client that you trust.";
    SIGN_IN_NEEDED = 2036: "nobody is signed in",
        "The client asked for an answer without any page, and nobody is signed in in this browser.",
        "Connect again without `prompt=none`.";
    EXCHANGE_REFUSED = 2040: "token exchange refused",
        "The person's or the agent's token is not good here, or nothing lets this agent act for this person: neither the token's `may_act`, nor a rule of the agent, nor a consent.",
        "Show current tokens of this gateway; let the person consent at `/device`, or the agent's owner change its rule.";
    DEVICE_REFUSED = 2041: "device code refused",
        "The code is unknown, expired, used, denied, or was asked about too often.",
        "Begin again, and ask no more often than `interval` says.";
    CONTRACT_UNREADABLE = 2060: "token contract unreadable",
        "The issuer's token contract is stored and cannot be read by this gateway, so none of its tokens can be judged.",
        "Upgrade this gateway, or publish a version that it can read: `portunus contract list` shows them.";
    INTROSPECTION_UNAVAILABLE = 2061: "introspection unavailable",
        "The token is opaque and its issuer could not be asked what it means, or answered what is no answer.",
        "Check the issuer's introspection endpoint, the way to it and this gateway's credential there; the log says which failed.";
    GROUPS_UNAVAILABLE = 2062: "directory of groups unavailable",
        "The token has too many groups to name them, and the directory that knows them could not be asked.",
        "Check the entry of `group_directories` that the issuer's contract names, and the log.";
    CONTRACT_REFUSED = 2063: "token contract refused",
        "The contract has faults, or its samples do not do what they have to, so it is not published.",
        "Each fault is named; `portunus contract check` tries a token against a file.";
    TOKEN_REVOKED = 2100: "revoked",
        "The token, its grant, its session, its user, its agent, its client or the key that signed it was revoked. A call under way was cancelled then.",
        "Sign in again, or ask whoever revoked it: the record has the event `revoked` with the reason.";
    REVOCATIONS_STALE = 2101: "revocations unknown",
        "This replica could not read for a while what has been revoked, so it refuses: first whatever is no plain read, later everything.",
        "Try again in a second. Check the way to the database (or `revoked_tokens_file`); `/readyz` says how old the view is, `revocation` of the configuration how old it may be.";
    SERVER_CONTAINED = 2102: "server contained",
        "An administrator has contained the MCP server: nothing is sent to it, and what was under way has been cancelled.",
        "Ask the administrator; `portunus revoked lift server <name>` lets it serve again.";
    ADMIN_ROLE = 2120: "may not administer this",
        "The caller is known and none of its roles administers what the operation is about.",
        "Ask whoever runs the gateway for a role that `admin_api.operator_roles` or `admin_api.tenant_admin_roles` names; an operator also belongs to `admin_api.operator_tenant`.";
    ADMIN_PERSON = 2121: "needs a person",
        "An agent without a person behind it may not do this.",
        "Use a person's token, or let agents change things with `admin_api.agents_may_write`.";
    ADMIN_NOT_FOUND = 2122: "no such thing to administer",
        "Nothing of this path or id is there for the caller.",
        "List what is there; the description at `/api/v1/openapi.json` has every operation.";
    ADMIN_REQUEST = 2123: "admin request refused",
        "The body, a parameter, a header or an id is not what the operation takes.",
        "Send what the description at `/api/v1/openapi.json` says; the detail names what is wrong.";
    ADMIN_CHANGED = 2124: "changed in the meantime",
        "The change does not say of which state it is one, or the row is another by now.",
        "Read the row again and send its `ETag` in `If-Match`.";
    ADMIN_REPEATED = 2125: "idempotency key in use",
        "A request with this `Idempotency-Key` is still running, ended in a way that nobody knows, or had another body.",
        "Look whether the first one took effect, then use another key.";
    ADMIN_CONFLICT = 2126: "not possible as things stand",
        "The row is in a state in which this cannot be done, or another one is in the way.",
        "The detail names what is in the way.";
    ADMIN_STORAGE = 2127: "database unavailable",
        "The gateway's database did not answer.",
        "Try again; `/readyz` names what is missing. A change may have taken effect: look before repeating it.";
    DENIED = 3001: "denied by policy",
        "A policy forbids the call with these arguments in this context, or none permits it.",
        "Change the arguments, or ask the operator with the call id; `portunus policy explain` shows the deciding rules.";
    OBLIGATION_UNMET = 3002: "denied until an obligation is met",
        "The call is forbidden until the named obligation is met, and this gateway cannot meet it yet.",
        "Ask the operator with the call id.";
    UPSTREAM_UNREACHABLE = 4001: "server unreachable",
        "The MCP server could not be reached, or its process did not start.",
        "Look at the server's state in `/readyz` and the log; the call was not sent.";
    UPSTREAM_FAILED = 4002: "server failed",
        "The MCP server broke the connection, answered garbage, or answered beyond a bound.",
        "The call may have taken effect: check before repeating it.";
    UPSTREAM_TIMEOUT = 4003: "server too slow",
        "The MCP server did not answer within its deadline.",
        "The call may have taken effect: check before repeating it, or raise the server's `timeout`.";
    CREDENTIAL_UNAVAILABLE = 4004: "credential unavailable",
        "The credential that the server needs could not be read from where the configuration says it is, or the caller's identity could not be signed.",
        "Check the references under the server's `http.headers` or `stdio.env`, or `portunus keys list` for one with `identity`; the record names what failed. The call was not sent.";
    RECORD_UNAVAILABLE = 5001: "record unavailable",
        "The call cannot be written to the record, so it is refused.",
        "Free disk space or mend the disk under `data_dir`; `/readyz` turns green by itself.";
    RECORD_OUTCOME = 5002: "outcome not recorded",
        "The call was sent and its outcome could not be recorded: the effect may have happened.",
        "Check the effect before repeating the call; the intent is on record under the call id.";
    DRAINING = 5003: "shutting down",
        "The gateway is draining its connections.",
        "Connect again.";
    INTERNAL = 5004: "internal fault",
        "A fault of the gateway itself.",
        "Report it with the call id.";
    SESSION_STORE = 5005: "session store unavailable",
        "The end of the session could not be written, so it might be forgotten in a restart.",
        "Free disk space or mend the disk under `data_dir`, and end the session again.";
    CONFIG_INVALID = 6001: "configuration refused",
        "The configuration file has faults.",
        "Each fault is printed with its path and what would be accepted; `portunus check` tries the file without starting.";
    POLICY_INVALID = 6002: "policy refused",
        "A policy does not parse, or does not validate against the schema of the tools it names.",
        "The fault is printed with file, line and column; the last good policies stay in force.";
}

impl Code {
    /// The row of this code.
    pub fn row(self) -> Option<&'static CodeRow> {
        Self::ALL.iter().find(|row| row.code == self)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PTN-{:04}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].code.0 < pair[1].code.0));
    }
}
