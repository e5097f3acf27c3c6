// Identity carried downstream: real servers verify the token of a real call with stock libraries (npm jose, PyPI PyJWT) and
// log the person who calls; both libraries refuse what is forged, stale or somebody else's; keys rotate under load and are
// revoked. `cargo xtask test --only interop` runs it.
//
//   node identity.mjs --portunus BIN --js DIR --py DIR
import { mkdtempSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { verifier } from '../examples/verifiers/node.mjs';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { freePort, run, start, stop, until } from './lib/process.mjs';
import { finish, readOptions } from './lib/runner.mjs';

const options = readOptions();
const dir = mkdtempSync(join(tmpdir(), 'portunus-identity-'));
const verifiers = join(dirname(fileURLToPath(import.meta.url)), '../examples/verifiers');
const python = join(options.py, 'mcp2/bin/python');
const idp = await startIdp(await freePort());
const port = await freePort();
const issuer = `http://localhost:${port}`;
let [passed, failed] = [0, 0];

/** Each demo server with a relay in front of it, which keeps what was sent. */
const servers = {};
for (const [name, program, script, seconds] of [
  ['crm', process.execPath, 'server.mjs', 10],
  ['ledger', python, 'server.py', 60],
]) {
  const own = await freePort();
  const process_ = start(program, [join(verifiers, script), String(own), issuer]);
  const seen = [];
  const relayPort = await relay(own, seen);
  servers[name] = { seen, process: process_, audience: `http://127.0.0.1:${own}/mcp`, url: `http://127.0.0.1:${relayPort}/mcp`, seconds };
  await until(`the server ${name}`, async () => (await fetch(`http://127.0.0.1:${own}/mcp`)).status === 401);
  // Those were ours.
  process_.kept.err = '';
}

const configured = ({ url, audience, seconds }) => ({
  http: { url, allow_loopback: true },
  identity: { audience, lifetime: `${seconds}s` },
});
const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port,
  adminPort: await freePort(),
  issuer: idp.issuer,
  servers: Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, configured(server)])),
  policies: { 'everything.cedar': '@id("everything") permit (principal, action, resource);' },
});
const alice = await connect('alice');
const bob = await connect('bob');

await check('a demo server of the TypeScript SDK knows the person, and not a bot', async () => {
  same((await alice.crm.callTool({ name: 'whoami' })).content[0].text, 'alice of acme');
  same((await bob.crm.callTool({ name: 'whoami' })).content[0].text, 'bob of acme');
  same(callers(servers.crm), ['alice', 'bob']);
  same(new Set(lines(servers.crm).map((line) => line.sub)), new Set(['service', 'alice', 'bob']));
});

await check('a demo server of the Python SDK recomputes the digest of what it was asked', async () => {
  for (const amount of [1, 2.5, 1e21, 123456789012345680000, 1e-7, -0.000001, 333333333.3333333]) {
    const note = '10 "é" 😀 \u2028 \\ /';
    const result = await alice.ledger.callTool({ name: 'book', arguments: { note, amount } });
    same(/booked/.test(result.content?.[0]?.text), true, JSON.stringify(result));
  }
  same(callers(servers.ledger).every((sub) => sub === 'alice'), true);
  same(servers.ledger.process.kept.err, '');
});

const captured = Object.fromEntries(
  Object.entries(servers).map(([name, { seen }]) => [name, seen.findLast(({ message }) => message?.method === 'tools/call')]),
);

await check('every request had a token of its own', () => {
  const tokens = Object.values(servers).flatMap(({ seen }) => seen.map(({ authorization }) => authorization));
  same(tokens.every(Boolean), true);
  same(new Set(tokens).size, tokens.length);
});

/** What both libraries must say of a token: its name, what is presented, and whether it passes. */
const { authorization, message } = captured.ledger;
const { audience } = servers.ledger;
const [header, claims, signature] = authorization.slice('Bearer '.length).split('.');
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const read = (text) => JSON.parse(Buffer.from(text, 'base64url'));
const other = (text) => text.slice(0, 20) + (text[20] === 'A' ? 'B' : 'A') + text.slice(21);
const cases = [
  ['the token as it came', { authorization, message, issuer, audience }, true],
  ['another audience', { authorization, message, issuer, audience: servers.crm.audience }, false],
  ['another issuer', { authorization, message, issuer: issuer.replace('localhost', '127.0.0.1'), audience }, false],
  ['a changed claim', forged(`${header}.${part({ ...read(claims), sub: 'mallory' })}.${signature}`), false],
  ['a changed signature', forged(`${header}.${claims}.${other(signature)}`), false],
  ['an unknown key', forged(`${part({ ...read(header), kid: 'nobody' })}.${claims}.${signature}`), false],
  ['no signature', forged(`${part({ alg: 'none', typ: 'at+jwt' })}.${claims}.`), false],
  ['other arguments', with_({ arguments: { ...message.params.arguments, amount: 1000 } }), false],
  ['another tool', with_({ name: 'refund' }), false],
  ['another method', { authorization, message: { ...message, method: 'prompts/get' }, issuer, audience }, false],
  ['no token', { authorization: undefined, message, issuer, audience }, false],
];
for (const [name, input, passes] of cases) await both(name, input, passes);

await check('keys rotate under load without one refusal, and a revoked key is gone', async () => {
  const file = join(dir, 'gateway/portunus.yaml');
  const keys = (...words) => run(options.portunus, ['keys', ...words, '--config', file]);
  const list = async () => JSON.parse((await keys('list', '--json')).out);
  const refusals = () => Object.values(servers).map(({ process }) => process.kept.err).join('');
  let going = true;
  const load = [alice, bob].map(async ({ crm }) => {
    while (going) same((await crm.callTool({ name: 'whoami' })).isError ?? false, false);
  });
  same((await keys('rotate')).code, 1, 'a key that was published just now is not rotated to without --force');
  const before = (await list()).find((key) => key.state === 'active').kid;
  same((await keys('rotate', '--force')).code, 0);
  const signs = () => read(servers.crm.seen.at(-1).authorization.slice(7).split('.')[0]).kid;
  await until('the next key to sign', () => signs() !== before);
  await sleep(500);
  going = false;
  await Promise.all(load);
  same(refusals(), '');

  const revoked = signs();
  same((await keys('revoke', revoked)).code, 0);
  await until('the set without it', async () => !(await published()).includes(revoked), 3000);
  // To try again is always right; a key that never was is another matter.
  same((await keys('revoke', revoked)).code, 0);
  same((await keys('revoke', 'nobody')).code, 1);
  // The key that signs now was published a moment ago only: the server looks at the set again after its own pause.
  const known = async () => /alice/.test((await alice.crm.callTool({ name: 'whoami' })).content[0].text);
  await until('the server to know the next key', known);
  same(signs() === revoked, false);
  same((await published()).includes(signs()), true);
  const gone = servers.crm.seen.findLast(({ authorization: text }) => read(text.slice(7).split('.')[0]).kid === revoked);
  const fresh = verifier({ issuer, audience: servers.crm.audience });
  same(await fresh(gone.authorization, gone.message).then(() => 'passed', (error) => error.code), 'ERR_JWKS_NO_MATCHING_KEY');
});

const late = captured.crm;
const { exp } = read(late.authorization.slice('Bearer '.length).split('.')[1]);
await sleep(Math.max(0, (exp + 6) * 1000 - Date.now()));
await both('a token that has expired', { ...late, issuer, audience: servers.crm.audience }, false);

for (const client of [alice, bob]) await Promise.all(Object.values(client).map((each) => each.close()));
for (const { process } of Object.values(servers)) await stop(process);
await finish({ gateway, idp, dir, passed, failed });

/** A client of each server, signed in. */
async function connect(person) {
  const clients = {};
  for (const name of Object.keys(servers)) {
    const url = new URL(gateway.url(name));
    const headers = { authorization: `Bearer ${await idp.signIn(person, url.href)}` };
    clients[name] = new Client({ name: 'identity', version: '1' });
    await clients[name].connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
  }
  return clients;
}

/** Passes everything on to a port, and keeps what was said of the caller. */
async function relay(target, seen) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    seen.push({ authorization: request.headers.authorization, message: body.length ? JSON.parse(body) : undefined });
    const { method, headers, url: path } = request;
    const onward = forward({ host: '127.0.0.1', port: target, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    onward.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return server.address().port;
}

/** What a demo server logged. */
function lines({ process }) {
  return process.kept.out.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** For whom its tools were called. */
function callers(server) {
  return lines(server).filter(({ request }) => request === 'tools/call').map(({ sub }) => sub);
}

async function published() {
  const { keys } = await (await fetch(`${issuer}/.well-known/jwks.json`)).json();
  return keys.map(({ kid }) => kid);
}

function forged(token) {
  return { authorization: `Bearer ${token}`, message, issuer, audience };
}

function with_(params) {
  return { authorization, message: { ...message, params: { ...message.params, ...params } }, issuer, audience };
}

/** One token at both libraries, with keys from the gateway. */
async function both(name, input, passes) {
  await check(`jose ${passes ? 'takes' : 'refuses'} ${name}`, async () => {
    const verify = verifier({ issuer: input.issuer, audience: input.audience });
    const said = await verify(input.authorization, input.message).then((claims) => claims.sub, (error) => error);
    same(passes ? said : said instanceof Error, passes ? 'alice' : true, String(said));
  });
  await check(`PyJWT ${passes ? 'takes' : 'refuses'} ${name}`, async () => {
    const { out, err } = await run(python, [join(dirname(fileURLToPath(import.meta.url)), 'drivers/verify.py'), verifiers, JSON.stringify(input)]);
    same(passes ? out.trim() : /^refused: /.test(out), passes ? 'alice' : true, out + err);
  });
}

function same(found, expected, why = '') {
  const text = (value) => JSON.stringify(value instanceof Set ? [...value].sort() : value);
  if (text(found) !== text(expected)) throw new Error(`${text(found)} is not ${text(expected)} ${why}`);
}

async function check(name, work) {
  try {
    await work();
    passed += 1;
    console.log(`✓ ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`✗ ${name}\n    ${error.message}`);
  }
}
