// A TypeScript client that signs in by itself: challenge, metadata, registration, code and tokens are its SDK's, and a
// page of its own on loopback takes the code. `work.sdk` is 1 (@modelcontextprotocol/sdk) or 2 (client).
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

const work = JSON.parse(process.argv[2]);
const say = (word) => console.log(JSON.stringify(word));
const { Client, Transport } = await sdk();

const page = createServer();
page.listen(0, '127.0.0.1');
await once(page, 'listening');
const redirect = `http://${work.host}:${page.address().port}/callback`;
const callback = new Promise((resolve) => {
  page.on('request', (request, response) => {
    const url = new URL(request.url, redirect);
    response.end('You may close this page.');
    if (url.pathname === '/callback') resolve(url.searchParams);
  });
});

const kept = { saved: 0 };
const provider = {
  redirectUrl: redirect,
  clientMetadata: {
    client_name: work.name,
    redirect_uris: [redirect],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
  state: () => (kept.state ??= randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => {
    kept.tokens = tokens;
    kept.saved += 1;
  },
  redirectToAuthorization: (url) => say({ open: String(url) }),
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
};

const transport = () => new Transport(new URL(work.url), { authProvider: provider });
const first = transport();
const refused = await new Client({ name: work.name, version: '1' }).connect(first).catch((error) => error);
if (refused?.constructor.name !== 'UnauthorizedError') throw refused ?? new Error('it was let in without signing in');
const answer = await callback;
if (answer.get('state') !== kept.state) throw new Error('another state came back');
if (!answer.get('code')) throw new Error(`no code came back: ${answer}`);
await first.finishAuth(work.sdk === 1 ? answer.get('code') : answer);

const client = new Client({ name: work.name, version: '1' });
await client.connect(transport());
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const called = await client.callTool(work.call);
// What a client does when its token is no longer good: it takes a fresh one and asks again.
kept.tokens = { ...kept.tokens, access_token: 'no-longer-good' };
const again = await client.callTool(work.call);
await client.close();
page.close();
say({ tools, called, again, clientId: kept.client.client_id, iss: answer.get('iss'), saved: kept.saved });

async function sdk() {
  if (work.sdk === 1) {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    return { Client, Transport: StreamableHTTPClientTransport };
  }
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  return { Client, Transport: StreamableHTTPClientTransport };
}
