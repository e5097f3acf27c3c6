// A real identity provider that is asked again whether it still vouches for its people: one who was removed there is out
// here at the next refresh, another goes on.
// `cargo xtask test --only interop` runs it.
//
//   node vouching.mjs --portunus BIN --js DIR --py DIR
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { signInBy, startBrowser } from './lib/browser.mjs';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { freePort } from './lib/process.mjs';
import { finish, readOptions } from './lib/runner.mjs';

/** The shortest time for which a provider is believed, and a little more, in milliseconds. */
const BELIEVED = 62_000;

const { portunus, py } = readOptions();
/** Where the program that signs people in takes its codes. */
const callback = createServer((_, answer) => answer.end('done'));
await new Promise((listening) => callback.listen(0, '127.0.0.1', listening));
const CALLBACK = `http://127.0.0.1:${callback.address().port}/callback`;
const dir = mkdtempSync(join(tmpdir(), 'portunus-vouching-'));
const [port, secret] = [await freePort(), 'a-secret-between-gateway-and-provider'];
const idp = await startIdp(await freePort(), {
  clients: [
    {
      client_id: 'portunus',
      client_secret: secret,
      token_endpoint_auth_method: 'client_secret_basic',
      application_type: 'web',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [`http://localhost:${port}/sign-in/callback`],
    },
  ],
});
const gateway = await startGateway({
  portunus,
  dir: join(dir, 'gateway'),
  port,
  adminPort: await freePort(),
  files: { 'idp-secret': secret },
  authorizationServer: {
    clients: { desk: { name: 'A program', redirect_uris: [CALLBACK] } },
    tenants: {
      acme: {
        providers: [
          {
            name: 'idp',
            display_name: 'the company account',
            issuer: idp.issuer,
            client_id: 'portunus',
            client_secret: { from_file: 'idp-secret' },
            recheck: { every: '1m', grace: '1h' },
            allow_loopback: true,
          },
        ],
      },
    },
  },
  servers: {
    time: {
      stdio: { command: join(py, 'servers/bin/mcp-server-time'), args: ['--local-timezone', 'UTC'] },
      impact: { tools: { get_current_time: 'read' } },
    },
  },
  policies: { 'time.cedar': '@id("time") permit (principal, action == Action::"time/get_current_time", resource);' },
});
const resource = gateway.url('time');
const origin = new URL(resource).origin;

let [passed, failed] = [0, 0];
const check = (what, good, seen) => {
  if (good) passed += 1;
  else failed += 1;
  console.log(`${good ? '✓' : '✗'} ${what}${good ? '' : `: ${JSON.stringify(seen)}`}`);
};

const browser = await startBrowser();
const tokens = {};
for (const user of ['alice', 'bob']) {
  const context = await browser.newContext();
  tokens[user] = await signIn(context, user);
  check(`${user} signs in`, tokens[user].refresh_token, tokens[user]);
  await context.close();
}
await browser.close();
callback.closeAllConnections();
callback.close();
const signedIn = Date.now();
const early = await refresh(tokens.alice);
check('the provider is believed at first', early.access_token && !idp.grants.includes('refresh_token'), [early, idp.grants]);
idp.remove('bob');
await setTimeout(signedIn + BELIEVED - Date.now());

const [alice, bob] = [await refresh(early), await refresh(tokens.bob)];
check('whoever is there still goes on', alice.access_token, alice);
check('the provider was asked', idp.grants.filter((type) => type === 'refresh_token').length === 1, idp.grants);
check('whoever was removed does not', bob.error === 'invalid_grant' && /does not vouch/.test(bob.error_description), bob);
// What is revoked is refused within a second.
await setTimeout(1_000);
const [hers, his] = [await initialize(alice), await initialize(tokens.bob)];
check('her token is good', hers === 200, hers);
check('nor is his token of before', his === 401, his);
await finish({ gateway, idp, dir, passed, failed });

async function signIn(context, user) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'desk',
    redirect_uri: CALLBACK,
    resource,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const { end } = await signInBy(context, `${origin}/oauth/authorize?${query}`, { port, idp, user });
  const code = end.searchParams.get('code');
  return token({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK });
}

function refresh({ refresh_token }) {
  return token({ grant_type: 'refresh_token', refresh_token });
}

async function token(form) {
  const body = new URLSearchParams({ client_id: 'desk', resource, ...form });
  return (await fetch(`${origin}/oauth/token`, { method: 'POST', body })).json();
}

/** The status of the first request of a client with that token. */
async function initialize({ access_token }) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'probe', version: '1' } };
  const answer = await fetch(resource, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${access_token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
  await answer.arrayBuffer();
  return answer.status;
}
