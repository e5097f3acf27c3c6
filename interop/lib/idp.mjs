// A real identity provider (npm oidc-provider) on loopback, with two people who can sign in.
import { createHash, randomBytes } from 'node:crypto';
import { generateKeyPair, exportJWK } from 'jose';
import Provider from 'oidc-provider';

const people = {
  alice: { tenant_id: 'acme', roles: ['developer'], groups: ['engineering'] },
  bob: { tenant_id: 'acme', roles: ['viewer'], groups: ['sales'] },
};

const client = { id: 'interop-agent', redirect: 'http://127.0.0.1:9/callback' };

/**
 * Starts the provider. Every resource may be asked for, and gets RFC 9068 tokens signed with ES256; with `opaque`, opaque
 * ones, which `opaque.clients` may ask about and which can be revoked; `clients` may sign people in. `grants` are the types
 * that were used, and `remove` takes a person out, as an administrator of the company would.
 */
export async function startIdp(port, { opaque, clients = [] } = {}) {
  const issuer = `http://localhost:${port}`;
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const key = { ...(await exportJWK(privateKey)), kid: 'interop-1', alg: 'ES256', use: 'sig' };
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clients: [
      {
        client_id: client.id,
        redirect_uris: [client.redirect],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        id_token_signed_response_alg: 'ES256',
      },
      ...(opaque?.clients ?? []),
      ...clients.map((other) => ({
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        id_token_signed_response_alg: 'ES256',
        ...other,
      })),
    ],
    findAccount: (_, id) => (people[id] ? { accountId: id, claims: () => ({ sub: id }) } : undefined),
    pkce: { required: () => true },
    ttl: { AccessToken: 3600 },
    extraTokenClaims: (_, token) => people[token.accountId],
    features: {
      devInteractions: { enabled: true },
      ...(opaque && { introspection: { enabled: true, allowedPolicy: () => true }, revocation: { enabled: true } }),
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'mcp',
          audience: resource,
          ...(opaque ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }),
        }),
      },
    },
  });
  const grants = [];
  provider.on('grant.success', ({ oidc }) => grants.push(oidc.params.grant_type));
  const server = await new Promise((resolve) => {
    const listening = provider.listen(port, '127.0.0.1', () => resolve(listening));
  });
  const asked = [];
  server.on('request', ({ url, headers }) => {
    if (url === '/token/introspection') asked.push(headers.authorization ? 'secret' : 'key');
  });
  const revoke = (token) =>
    fetch(`${issuer}/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: client.id }),
    });
  const remove = (user) => delete people[user];
  return { issuer, asked, grants, remove, revoke, signIn: (user, resource) => signIn(issuer, user, resource), stop: () => server.close() };
}

/** What a browser does for a person: authorization code with PKCE, the login form, the consent form. */
async function signIn(issuer, user, resource) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: client.id,
    response_type: 'code',
    redirect_uri: client.redirect,
    scope: 'openid mcp',
    prompt: 'consent',
    resource,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const browser = new Browser(issuer);
  const login = await browser.go(`/auth?${query}`);
  const loggedIn = await browser.go(login, { prompt: 'login', login: user, password: 'any' });
  const consent = await browser.go(loggedIn);
  const consented = await browser.go(consent, { prompt: 'consent' });
  const code = new URL(await browser.go(consented)).searchParams.get('code');
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: client.id,
      redirect_uri: client.redirect,
      code_verifier: verifier,
      code,
      resource,
    }),
  });
  const { access_token: token, ...rest } = await response.json();
  if (!token) throw new Error(`no token for ${user} at ${resource}: ${JSON.stringify(rest)}`);
  return token;
}

/** Just enough of one: cookies, and where it is sent next. */
class Browser {
  cookies = new Map();

  constructor(base) {
    this.base = base;
  }

  async go(url, form) {
    const response = await fetch(new URL(url, this.base), {
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      redirect: 'manual',
      headers: { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split(/=(.*)/s);
      this.cookies.set(name, value);
    }
    const next = response.headers.get('location');
    if (!next) throw new Error(`sign-in stopped at ${url}: ${response.status} ${await response.text()}`);
    return next;
  }
}
