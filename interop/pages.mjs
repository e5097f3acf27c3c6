// Every page in a real browser: people sign in at real identity providers of several makes, allow a client, and the client's
// token calls a tool; no page bars anybody (axe-core), and all of it works without JavaScript.
//
//   node pages.mjs --portunus BIN --js DIR
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { barriers, startBrowser } from './lib/browser.mjs';
import { startGateway } from './lib/gateway.mjs';
import { freePort, run } from './lib/process.mjs';
import { makes, startProvider } from './lib/provider.mjs';
import { finish, readOptions } from './lib/runner.mjs';

const options = readOptions();
const dir = mkdtempSync(join(tmpdir(), 'portunus-pages-'));
const port = await freePort();
const url = `http://localhost:${port}`;
const secret = join(dir, 'secret');
writeFileSync(secret, 'a secret & a half', { mode: 0o600 });
let [passed, failed] = [0, 0];
const check = (name, fine, seen) => {
  if (fine) passed += 1;
  else {
    failed += 1;
    console.log(`FAILED ${name}${seen ? `: ${seen}` : ''}`);
  }
};

const providers = {};
for (const make of Object.keys(makes)) {
  const logout = `${url}/backchannel-logout/${make}/main`;
  providers[make] = await startProvider(make, await freePort(), `${url}/sign-in/callback`, logout);
}
const tenants = Object.fromEntries(
  Object.entries(providers).map(([make, { issuer }]) => [
    make,
    {
      display_name: `Acme ${make}`,
      local_accounts: make === 'generic',
      providers: [
        {
          name: 'main',
          display_name: `${make} ID`,
          issuer,
          client_id: 'portunus',
          client_secret: { from_file: secret },
          allow_loopback: true,
          ...makes[make].config,
        },
      ],
    },
  ]),
);
const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port,
  adminPort: await freePort(),
  issuer: providers.generic.issuer,
  servers: {
    everything: {
      stdio: {
        command: process.execPath,
        args: [join(options.js, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js'), 'stdio'],
      },
    },
  },
  policies: { 'readers.cedar': '@id("readers") permit (principal, action, resource) when { principal.roles.contains("reader") };' },
  authorizationServer: { tenants },
});
const browser = await startBrowser();

/** A native client that waits for its code. */
const codes = [];
const listener = createServer((request, response) => {
  // A browser asks for an icon besides.
  if (request.url.startsWith('/callback')) codes.push(new URL(request.url, 'http://x').searchParams);
  response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Done</title><p>You may close this.');
});
const clientPort = await freePort();
await new Promise((resolve) => listener.listen(clientPort, '127.0.0.1', resolve));
const redirect = `http://127.0.0.1:${clientPort}/callback`;
const registered = await fetch(`${url}/oauth/register`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ client_name: 'A <b>bold</b> client', redirect_uris: [redirect], token_endpoint_auth_method: 'none', application_type: 'native' }),
});
const { client_id: client } = await registered.json();

for (const [make, javaScript] of [['generic', true], ['entra', false], ['okta', false], ['keycloak', false]]) {
  for (const colorScheme of make === 'generic' ? ['dark'] : ['light']) {
    const width = make === 'okta' ? 360 : 1280;
    const context = await browser.newContext({ javaScriptEnabled: javaScript, colorScheme, viewport: { width, height: 800 } });
    await journey(make, context, javaScript).catch((error) => check(`${make}: the journey`, false, error.stack));
    await context.close();
  }
}

async function journey(make, context, audited) {
  const page = await context.newPage();
  // The audit itself is a script, so it looks where scripts run; the journeys of the others show that none is needed.
  const audit = async (name) => {
    if (!audited) return;
    const found = await barriers(page);
    check(`${make}: ${name} bars nobody`, found.length === 0, found.join('\n'));
  };
  const verifier = randomBytes(32).toString('base64url');
  const resource = gateway.url('everything');
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client,
    redirect_uri: redirect,
    resource,
    state: make,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  await page.goto(`${url}/oauth/authorize?${query}`);
  await audit('the choice of organisations');
  await page.getByRole('link', { name: `Acme ${make}` }).click();
  await audit('the sign-in page');
  await page.getByRole('button', { name: `Continue with ${make} ID` }).click();
  await page.locator('input[name=login]').fill('alice');
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await page.locator('button[type=submit]').click();
  await page.getByRole('heading', { name: /Allow/ }).waitFor();
  await audit('the consent page');
  const text = await page.locator('main').innerText();
  check(`${make}: the consent page says who asks and where the code goes`, text.includes('A <b>bold</b> client') && text.includes(`127.0.0.1:${clientPort}`) && text.includes('program on this computer'), text);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('You may close this.').waitFor();
  const got = codes.pop();
  check(`${make}: the client gets its code, state and issuer`, got.get('state') === make && got.get('iss') === url && got.get('code'), String(got));
  const response = await fetch(`${url}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'authorization_code', client_id: client, redirect_uri: redirect, code: got.get('code'), code_verifier: verifier, resource }),
  });
  const { access_token: token, ...rest } = await response.json();
  const mcp = new Client({ name: 'pages', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(resource), { requestInit: { headers: { authorization: `Bearer ${token}` } } });
  await mcp.connect(transport);
  const echoed = await mcp.callTool({ name: 'echo', arguments: { message: make } });
  check(`${make}: the token calls a tool`, JSON.stringify(echoed).includes(make), JSON.stringify({ echoed, rest }));
  await mcp.close();
  await page.goto(`${url}/connections`);
  await audit('the page of connections');
  await page.getByRole('button', { name: /Disconnect/ }).click();
  await page.getByText('There are none').waitFor();
  const after = await fetch(resource, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: '{}' });
  check(`${make}: a client that was disconnected is out`, [400, 401].includes(after.status), String(after.status));
  await page.goto(`${url}/sign-out`);
  await audit('the page to sign out');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Signed out' }).waitFor();
  await audit('the page of who has signed out');
  await page.goto(`${url}/consent?tx=none`);
  await audit('the page of an error');
}

for (const make of Object.keys(makes)) {
  const args = ['doctor', 'idp', '--config', join(dir, 'gateway/portunus.yaml'), '--tenant', make, '--json'];
  const { code, out, err } = await run(options.portunus, args);
  const report = code === 0 ? JSON.parse(out) : {};
  const findings = Object.fromEntries((report.providers?.[0].findings ?? []).map((finding) => [finding.what, finding.verdict]));
  check(`${make}: the doctor finds the provider fit`, code === 0 && findings.issuer === 'ok' && findings.jwks === 'ok', `${code} ${out} ${err}`);
  check(`${make}: the doctor tells about PKCE`, findings.pkce === (make === 'entra' ? 'note' : 'ok'), findings.pkce);
  check(`${make}: the doctor has its client known`, findings.client === 'ok', findings.client);
}

await browser.close();
listener.close();
await finish({ gateway, idp: { stop: () => Object.values(providers).forEach((provider) => provider.stop()) }, dir, passed, failed });
