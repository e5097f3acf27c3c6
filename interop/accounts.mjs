// An organisation without an identity provider, from nothing: an operator at the command line makes accounts and an agent, a
// person sets a password in a real browser, signs the command line in both ways, calls a tool, and is stopped again.
//
//   node accounts.mjs --portunus BIN --js DIR
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { barriers, startBrowser } from './lib/browser.mjs';
import { startGateway } from './lib/gateway.mjs';
import { freePort, run, start, until } from './lib/process.mjs';
import { finish, readOptions } from './lib/runner.mjs';

const options = readOptions();
const dir = mkdtempSync(join(tmpdir(), 'portunus-accounts-'));
const port = await freePort();
const url = `http://localhost:${port}`;
const config = join(dir, 'gateway/portunus.yaml');
let [passed, failed] = [0, 0];
const check = (name, fine, seen) => {
  if (fine) passed += 1;
  else {
    failed += 1;
    console.log(`FAILED ${name}${seen === undefined ? '' : `: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`}`);
  }
};

const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port,
  adminPort: await freePort(),
  servers: {
    everything: {
      stdio: {
        command: process.execPath,
        args: [join(options.js, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js'), 'stdio'],
      },
    },
  },
  policies: { 'readers.cedar': '@id("readers") permit (principal, action, resource) when { principal.roles.contains("reader") };' },
  authorizationServer: { tenants: { acme: { display_name: 'Acme', local_accounts: true, allow_client_secrets: true } } },
  adminApi: { operator_tenant: 'acme', operator_roles: ['operator'] },
});
const browser = await startBrowser();
const resource = gateway.url('everything');

/** The command line of one person on one machine, whose logins are their own. */
function at(home, env = {}) {
  const all = { PATH: '/usr/bin:/bin', HOME: join(dir, home), XDG_CONFIG_HOME: join(dir, home), PORTUNUS_GATEWAY: url, ...env };
  const portunus = (...words) => run(options.portunus, words, { env: all });
  portunus.start = (...words) => start(options.portunus, words, { env: all });
  portunus.json = async (...words) => {
    const { code, out, err } = await portunus(...words, '--json');
    if (code !== 0) throw new Error(`portunus ${words.join(' ')}: ${err}`);
    return out.trim() ? JSON.parse(out) : null;
  };
  return portunus;
}

async function call(token, message) {
  const mcp = new Client({ name: 'accounts', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(resource), { requestInit: { headers: { authorization: `Bearer ${token}` } } });
  await mcp.connect(transport);
  const { content } = await mcp.callTool({ name: 'echo', arguments: { message } }, undefined, { timeout: 10_000 });
  await mcp.close();
  return content[0].text;
}
const refused = (token) => call(token, 'x').then(() => false, (error) => /401|PTN-2100/.test(String(error)));

const page = await (await browser.newContext()).newPage();
const audit = async (name) => check(`${name} bars nobody`, (await barriers(page)).length === 0, (await barriers(page)).join('\n'));
const password = 'umbrella seventeen gravel';

async function story() {
  const minted = (await run(options.portunus, ['admin', 'token', '--config', config])).out.trim();
  const operator = at('operator', { PORTUNUS_TOKEN: minted });

  const made = await operator.json('accounts', 'create', 'ana', '--name', 'Ana', '--role', 'reader');
  check('an account is listed, without a password', (await operator.json('accounts', 'list'))[0]?.password_set_at === null);
  const twice = await operator('accounts', 'create', 'ana');
  check('a name is given once, and the refusal says so', twice.code !== 0 && /PTN-/.test(twice.err), twice.err);

  await page.goto(made.link);
  await audit('the page that sets a password');
  await page.getByLabel('New password').fill('password password');
  await page.getByLabel('The same again').fill('password passwords');
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByRole('alert').waitFor();
  await audit('a password that was refused');
  await page.getByLabel('New password').fill(password);
  await page.getByLabel('The same again').fill(password);
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByRole('heading', { name: 'Password set' }).waitFor();
  await audit('the page of a password that is set');
  await page.goto(made.link);
  check('a link sets a password once', (await page.getByLabel('New password').count()) === 0);
  await audit('the page of a link that is used up');

  // By the browser: the command line waits for its code on this machine.
  const ana = at('ana');
  const login = ana.start('login', '--gateway', url, '--resource', resource);
  const address = await until('the address to open', () => /http\S+\/oauth\/authorize\S+/.exec(login.kept.err)?.[0]);
  await page.goto(address);
  await page.getByLabel('Account').fill('ana');
  await page.getByLabel('Password').fill('not this one at all');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  await audit('a sign-in that was refused');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: /Allow/ }).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
  const ended = await login.ended;
  check('the command line is signed in by a browser', ended.code === 0 && login.kept.out.includes(made.user), login.kept);
  const token = async () => (await ana('token', '--gateway', url, '--resource', resource)).out.trim();
  check('its token calls a tool', (await call(await token(), 'hello')).includes('hello'));
  check('it knows who is signed in', (await ana.json('whoami'))[0]?.user === made.user);
  await ana('logout', '--gateway', url);
  check('and signs out', (await ana('token', '--gateway', url, '--resource', resource)).code !== 0);

  // By a code, as on a machine without a browser.
  const device = ana.start('login', '--device', '--gateway', url, '--resource', resource);
  const code = await until('the code to enter', () => /code (\S+)/.exec(device.kept.err)?.[1]);
  await page.goto(`${url}/device`);
  await audit('the page for a device’s code');
  await page.getByLabel('Code').fill('WRNG-CODE');
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('alert').waitFor();
  await audit('a code that was refused');
  await page.getByLabel('Code').fill(code.toLowerCase());
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('heading', { name: /Allow/ }).waitFor();
  await audit('the page that asks about a device');
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  await page.getByRole('heading').first().waitFor();
  await audit('the page of a device that is signed in');
  check('the command line is signed in by a code', (await device.ended).code === 0, device.kept);
  const second = await token();
  check('that token calls a tool too', (await call(second, 'again')).includes('again'));

  // An agent that acts for her, by a secret.
  const agent = await operator.json('agents', 'create', '--name', 'Night batch', '--owner', made.user, '--trust', 'low', '--may-act-for', 'tenant');
  const credential = await operator.json('credentials', 'add', agent.id, '--secret');
  const exchange = () =>
    fetch(`${url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        client_id: agent.id,
        client_secret: credential.secret,
        subject_token: second,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        resource,
      }),
    }).then((response) => response.json());
  const acting = (await exchange()).access_token;
  check('an agent acts for her', (await call(acting, 'at night')).includes('at night'));
  const calls = await gateway.record();
  check('and the record names both', calls.some((entry) => entry.user === made.user && entry.client === agent.id), calls.at(-1));

  // Everything is there to be seen, and to be stopped.
  const kinds = {
    sessions: await operator.json('sessions', 'list', made.user),
    consents: await operator.json('consents', 'list', made.user),
    grants: await operator.json('grants', 'list', '--user', made.user),
    people: await operator.json('people', 'list'),
    agents: await operator.json('agents', 'list'),
    credentials: await operator.json('credentials', 'list', agent.id),
    tenants: await operator.json('tenants', 'list'),
  };
  for (const [kind, rows] of Object.entries(kinds)) check(`${kind} are listed`, rows.length > 0, rows);
  await operator('agents', 'disable', agent.id);
  check('an agent that was stopped is out', await until('its refusal', () => refused(acting)));
  check('and gets no other token', (await exchange()).error !== undefined);
  check('but she is in', (await call(second, 'still')).includes('still'));
  await operator.json('credentials', 'revoke', agent.id, credential.id);
  await operator.json('people', 'change', made.user, '--role', 'guest');
  await operator('grants', 'revoke', kinds.grants[0].id);
  check('a grant that was revoked is out', await until('its refusal', () => refused(second)));
  await operator('people', 'disable', made.user);
  await page.goto(`${url}/connections`);
  check('a person who was stopped has no session', await page.getByLabel('Account').count() === 1, await page.content());
  const revoked = await operator.json('revocations', 'list');
  check('what was revoked is listed', revoked.some((row) => row.kind === 'agent') && revoked.some((row) => row.kind === 'grant'), revoked);
  await operator('people', 'enable', made.user);
  const reset = await operator.json('accounts', 'reset', made.user);
  check('a password is set anew by another link', reset.link !== made.link && reset.link.includes('/sign-in/password'));
  const stranger = await at('stranger', { PORTUNUS_TOKEN: second })('people', 'list');
  check('a stranger is told why not', stranger.code !== 0 && /PTN-/.test(stranger.err), stranger.err);
  const clients = await operator.json('clients', 'list');
  check('clients are listed', Array.isArray(clients), clients);
}

await story().catch((error) => check('the story', false, `${error.stack}\n${page.url()}`));
await browser.close();
await finish({ gateway, idp: { stop: () => {} }, dir, passed, failed });
