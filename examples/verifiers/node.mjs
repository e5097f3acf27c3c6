// Who calls? Verifies the token that Portunus sends with every request to this server. Needs npm jose 6.
import { createHash } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';

/**
 * A function that verifies one request and returns the claims of its caller; it throws for anything else.
 * @param {string} issuer the public URL of Portunus
 * @param {string} audience this server, as `servers.<name>.identity.audience` names it (by default its `url` there)
 */
export function verifier({ issuer, audience }) {
  const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', issuer), { cacheMaxAge: 300_000, cooldownDuration: 5_000 });
  const rules = {
    issuer,
    audience,
    typ: 'at+jwt',
    algorithms: ['ES256'],
    clockTolerance: 5,
    requiredClaims: ['sub', 'sub_id', 'tenant_id', 'client_id', 'jti', 'iat', 'exp'],
  };
  /** `authorization` is the header's value, `message` the JSON-RPC message in the body, if there is one. */
  return async (authorization, message) => {
    const [, token] = /^Bearer ([\w.-]+)$/i.exec(authorization ?? '') ?? [];
    if (!token) throw new Error('no bearer token');
    const { payload } = await jwtVerify(token, keys, rules);
    const named = message?.id !== undefined ? message.method : undefined;
    if (payload.method !== named) throw new Error('the token is for another method');
    const judged = payload.request_digest && judgedOf(message);
    if (judged && payload.request_digest !== digest(judged)) throw new Error('the token is for other arguments');
    if (named === 'tools/call' && payload.tool !== message.params?.name) throw new Error('the token is for another tool');
    return payload;
  };
}

/** What was judged of a message, and so what `request_digest` is a digest of. */
export function judgedOf({ method, params = {} }) {
  switch (method) {
    case 'tools/call':
    case 'prompts/get':
      return params.arguments ?? {};
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return { uri: params.uri };
    case 'subscriptions/listen':
      return { uri: params.notifications.resourceSubscriptions[0] };
    case 'completion/complete':
      return params.ref.type === 'ref/resource' ? { uri: params.ref.uri } : {};
  }
}

/** SHA-256 of the canonical form, in hexadecimal. */
export function digest(value) {
  return createHash('sha256').update(canonical(value)).digest('hex');
}

/** RFC 8785: no white space, members in the order of their names' UTF-16 code units, numbers as ECMAScript prints them. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
  return `{${members.join(',')}}`;
}
