// Real clients that sign in through the gateway's authorization server, with a real browser that presses the buttons and
// a real identity provider behind it: challenge, metadata, registration, sign-in, consent, code, tokens, a call, a refresh.
// `cargo xtask test --only interop` runs it.
//
//   node signing-in.mjs --portunus BIN --js DIR --py DIR [--client NAME]
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { signInBy, startBrowser } from './lib/browser.mjs';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { freePort, start, stop, until } from './lib/process.mjs';
import { chosen, finish, readOptions } from './lib/runner.mjs';

/** For a step, in milliseconds: a cold start of Python on a busy machine fits. */
const PATIENCE = 90_000;
/** Where the inspector takes its code. */
const CALLBACK = 'http://127.0.0.1:6276/oauth/callback';

const options = readOptions();
const { js, py } = options;
const dir = mkdtempSync(join(tmpdir(), 'portunus-signing-in-'));
const drivers = join(dirname(fileURLToPath(import.meta.url)), 'drivers');
const [port, secret] = [await freePort(), 'a-secret-between-gateway-and-provider'];
const portunus = {
  client_id: 'portunus',
  client_secret: secret,
  token_endpoint_auth_method: 'client_secret_basic',
  application_type: 'web',
  redirect_uris: [`http://localhost:${port}/sign-in/callback`],
};
const idp = await startIdp(await freePort(), { clients: [portunus] });
const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port,
  adminPort: await freePort(),
  files: { 'idp-secret': secret },
  authorizationServer: {
    tenants: {
      acme: {
        providers: [
          {
            name: 'idp',
            display_name: 'the company account',
            issuer: idp.issuer,
            client_id: 'portunus',
            client_secret: { from_file: 'idp-secret' },
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
const url = gateway.url('time');
const call = { name: 'get_current_time', arguments: { timezone: 'Europe/Berlin' } };
const inspector = join(js, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js');

/** Each client: how its program begins, and what it prints at its end. */
const clients = {
  'ts-sdk-1': script(process.execPath, 'sign-in.mjs', { sdk: 1, host: 'localhost' }),
  'ts-client-2': script(process.execPath, 'sign-in.mjs', { sdk: 2, host: '127.0.0.1' }),
  'py-mcp-1': script(join(py, 'mcp1/bin/python'), 'sign_in.py', { sdk: 1, host: '127.0.0.1' }),
  'py-mcp-2': script(join(py, 'mcp2/bin/python'), 'sign_in.py', { sdk: 2, host: 'localhost' }),
  inspector: (name) => commandLine(name),
};

const browser = await startBrowser();
let [passed, failed] = [0, 0];
for (const [name, client] of chosen(clients, options.client)) {
  // Each client has a person with a browser of their own, who signs in twice: the second time the provider is not asked.
  const context = await browser.newContext();
  for (const visit of ['first', 'second']) {
    const faults = await journey(name, client, context, visit).catch((error) => [String(error.stack ?? error)]);
    if (faults.length) failed += 1;
    else passed += 1;
    console.log(`${faults.length ? '✗' : '✓'} ${name} signs in, for the ${visit} time`);
    for (const fault of faults) console.log(`    ${fault}`);
  }
  await context.close();
}
await browser.close();
await finish({ gateway, idp, dir, passed, failed });

/** One client from its first, refused request to its last call; gives what is wrong. */
async function journey(name, client, context, visit) {
  const program = client(name);
  const ended = () => program.child.exitCode !== null;
  const told = () => `${program.kept.out.slice(-2000)}\n${program.kept.err.slice(-3000)}`;
  let pages;
  try {
    const open = await until('the client to open a page', () => ended() || program.opens(), PATIENCE);
    if (open === true) return [`it ended before it opened a page: ${told()}`];
    pages = await signInBy(context, open, { port, idp, user: 'alice' });
    await until('the client to end', ended, PATIENCE);
    await program.ended;
  } catch (error) {
    program.child.kill('SIGKILL');
    return [`${error.message}: ${told()}`, `pages: ${pages}`];
  }
  const seen = program.result();
  if (!seen) return [`it printed no result: ${told()}`, `pages: ${pages}`];
  const expected = visit === 'first' ? 'sign in, provider, consent' : 'consent';
  const calls = (await gateway.record()).filter((entry) => entry.name === call.name && entry.client === seen.clientId);
  return [
    // A program on this computer is asked about each time, whoever signed in before.
    pages.join(', ') !== expected && `pages: ${pages.join(', ')}, not ${expected}`,
    'tools' in seen && !seen.tools.includes(call.name) && `tools: ${seen.tools}`,
    !/Berlin/.test(JSON.stringify(seen.called)) && `the call: ${JSON.stringify(seen.called)}`,
    'again' in seen && !/Berlin/.test(JSON.stringify(seen.again)) && `the call after a refresh: ${JSON.stringify(seen.again)}`,
    'saved' in seen && seen.saved !== 2 && `tokens were kept ${seen.saved} times, not for a code and a refresh`,
    'iss' in seen && seen.iss !== `http://localhost:${port}` && `iss: ${seen.iss}`,
    seen.clientId && calls.length < 2 && `${calls.length} calls of ${seen.clientId} on record`,
    calls.some(({ user, tenant }) => !/^usr_[0-9a-f]{32}$/.test(user) || tenant !== 'acme') && `on record: ${JSON.stringify(calls)}`,
  ].filter(Boolean);
}

/** A client of ours around an SDK: it prints where to go, and at its end what it saw. */
function script(command, file, what) {
  return (name) => {
    const work = { ...what, name: `interop ${name}`, url, call };
    const program = start(command, [join(drivers, file), JSON.stringify(work)]);
    const lines = () => program.kept.out.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    return {
      ...program,
      opens: () => lines().find((line) => line.open)?.open,
      result: () => lines().find((line) => line.tools),
    };
  };
}

/** The inspector on the command line, which prints where to go, and makes one call. */
function commandLine(name) {
  const home = mkdtempSync(join(dir, `${name}-`));
  const args = [inspector, '--cli', url, '--transport', 'http', '--method', 'tools/call', '--tool-name', call.name];
  args.push('--tool-args-json', JSON.stringify(call.arguments), '--format', 'json', '--callback-url', CALLBACK);
  const program = start(process.execPath, args, {
    env: { ...process.env, HOME: home, MCP_AUTO_OPEN_ENABLED: 'true' },
  });
  return {
    ...program,
    opens: () => (program.kept.err + program.kept.out).match(/http:\/\/\S*\/oauth\/authorize\?\S+/)?.[0],
    result: () => {
      const begins = program.kept.out.indexOf('{');
      return begins < 0 ? undefined : { called: JSON.parse(program.kept.out.slice(begins)) };
    },
  };
}
