// A real identity provider (npm oidc-provider) that people sign in at through the gateway, dressed as one make or another.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { generateKeyPair, exportJWK } from 'jose';
import Provider from 'oidc-provider';

const directory = '11111111-2222-3333-4444-555555555555';

/** What is special about a make: its issuer's path, its claims, what its metadata leaves out, and what it refuses. */
export const makes = {
  generic: { path: '', claims: { roles: ['reader'] }, config: {} },
  entra: {
    path: `/${directory}/v2.0`,
    claims: { oid: 'oid-of-alice', tid: directory, roles: ['reader'] },
    hides: ['code_challenge_methods_supported'],
    refusesResource: true,
    config: { profile: 'entra' },
  },
  okta: {
    path: '/oauth2/default',
    claims: { groups: ['Everyone', 'eng'] },
    scopes: ['groups'],
    config: { profile: 'okta', role_map: { eng: ['reader'] } },
  },
  keycloak: {
    path: '/realms/acme',
    claims: { realm_access: { roles: ['offline_access'] }, resource_access: { portunus: { roles: ['reader'] } } },
    config: { profile: 'keycloak' },
  },
};

/** Starts one. `callback` is the redirect URI that is registered, `logout` where logout tokens go. */
export async function startProvider(make, port, callback, logout) {
  const { path, claims, hides = [], scopes = [], refusesResource } = makes[make];
  const issuer = `http://localhost:${port}${path}`;
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const key = { ...(await exportJWK(privateKey)), kid: `${make}-1`, alg: 'ES256', use: 'sig' };
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clients: [
      {
        client_id: 'portunus',
        client_secret: 'a secret & a half',
        redirect_uris: [callback],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        token_endpoint_auth_method: 'client_secret_basic',
        id_token_signed_response_alg: 'ES256',
        backchannel_logout_uri: logout,
        backchannel_logout_session_required: true,
      },
    ],
    // Real makes put them into the ID token; the library does so when told not to go by the letter.
    conformIdTokenClaims: false,
    claims: { openid: ['sub', ...Object.keys(claims)], profile: ['name'], email: ['email'] },
    scopes: ['openid', 'profile', 'email', ...scopes],
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: 'Alice Liddell', email: `${id}@acme.example`, ...claims }),
    }),
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      introspection: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
  });
  provider.use(async (context, next) => {
    await next();
    if (context.oidc?.route === 'discovery') for (const name of hides) delete context.body[name];
  });
  const answer = provider.callback();
  const server = createServer((request, response) => {
    if (refusesResource && request.url.includes('resource=')) {
      response.writeHead(400).end('AADSTS9010010');
      return;
    }
    // Mounted below its issuer's path.
    request.originalUrl = request.url;
    if (!request.url.startsWith(path)) {
      response.writeHead(404).end();
      return;
    }
    request.url = request.url.slice(path.length) || '/';
    answer(request, response);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { issuer, stop: () => server.close() };
}
