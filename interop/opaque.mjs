// A real identity provider that issues opaque tokens: the gateway asks it what they mean (RFC 7662), proving who asks by a
// secret and by a key. `cargo xtask test --only interop` runs it.
//
//   node opaque.mjs --portunus BIN --js DIR
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { answers, freePort, start, stop, until } from './lib/process.mjs';
import { readOptions } from './lib/runner.mjs';

const options = readOptions();
const serverPort = await freePort();
const everything = join(options.js, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const server = start(process.execPath, [everything, 'streamableHttp'], {
  env: { ...process.env, PORT: String(serverPort) },
});
const serverUrl = `http://127.0.0.1:${serverPort}/mcp`;
await until('server-everything', () => answers(serverUrl));

const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
const common = {
  client_id: 'gateway',
  redirect_uris: [],
  response_types: [],
  grant_types: [],
  id_token_signed_response_alg: 'ES256',
};
const ways = {
  secret: {
    client: { ...common, client_secret: 'a secret: with %', token_endpoint_auth_method: 'client_secret_basic' },
    introspection: { client_secret: { from_file: 'secret' } },
  },
  key: {
    client: {
      ...common,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'gateway-1', alg: 'ES256', use: 'sig' }] },
    },
    introspection: { private_key: { from_file: 'key.pem' }, key_id: 'gateway-1' },
  },
};

let failed = 0;
for (const [way, { client, introspection }] of Object.entries(ways)) failed += await run(way, client, introspection);
await stop(server);
process.exit(failed ? 1 : 0);

async function run(way, client, introspection) {
  const idp = await startIdp(await freePort(), { opaque: { clients: [client] } });
  const dir = mkdtempSync(join(tmpdir(), 'portunus-opaque-'));
  const gateway = await startGateway({
    portunus: options.portunus,
    dir: join(dir, 'gateway'),
    port: await freePort(),
    adminPort: await freePort(),
    issuer: idp.issuer,
    issuerExtra: {
      introspection: { url: `${idp.issuer}/token/introspection`, only: true, client_id: 'gateway', ...introspection },
    },
    files: { secret: 'a secret: with %', 'key.pem': await exportPKCS8(privateKey) },
    servers: { everything: { http: { url: serverUrl, allow_loopback: true } } },
    policies: { 'everything.cedar': '@id("everything") permit (principal, action, resource);' },
  });
  const url = new URL(gateway.url('everything'));
  const [token, other] = [await idp.signIn('alice', url.href), await idp.signIn('bob', url.href)];
  const faults = [];
  const check = (holds, what) => holds || faults.push(what);
  check(!token.includes('.'), 'the token is not opaque');

  const agent = new Client({ name: 'opaque', version: '1' });
  const headers = { authorization: `Bearer ${token}` };
  await agent.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
  const result = await agent.callTool({ name: 'echo', arguments: { message: 'hello' } });
  check(/hello/.test(result.content?.[0]?.text), `the answer: ${JSON.stringify(result)}`);
  check(String(idp.asked) === way, `the issuer was asked by ${idp.asked}`);
  const call = (await gateway.record()).find(({ name }) => name === 'echo');
  check(call?.user === 'alice' && call?.tenant === 'acme', `on record: ${JSON.stringify(call)}`);

  const status = async (bearer) => {
    const reply = await fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${bearer}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
    await reply.body?.cancel();
    return reply.status;
  };
  check((await status('nobodys')) === 401, 'a token of nobody is let in');
  await idp.revoke(token);
  const begun = Date.now();
  await until('the revoked token to be refused', async () => (await status(token)) === 401, 40_000);
  check(Date.now() - begun < 35_000, 'a revoked token was good for too long');
  await agent.close().catch(() => {});
  idp.stop();
  check((await status(other)) === 503, 'without its issuer a token is let in, or blamed');
  await gateway.stop();
  rmSync(dir, { recursive: true, force: true });
  const text = gateway.log();
  check(!text.includes(token) && !text.includes('a secret'), 'the log holds the token or the secret');
  console.log(`${faults.length ? '✗' : '✓'} opaque tokens, asked about by ${way}`);
  for (const fault of faults) console.log(`    ${fault}`);
  if (faults.length) console.log(text.slice(-3000));
  return faults.length;
}
