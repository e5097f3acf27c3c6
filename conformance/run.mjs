// The official conformance suite: our fixture directly, the fixture through the gateway (identity, policy and
// record on), the eras crossed, the gateway as a client, and as an authorization server. `cargo xtask test --only conformance` runs it.
//
//   node run.mjs --portunus BIN --fixture BIN --js DIR [--part direct|gateway|crossed|client|issuer] [--keep DIR]
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startGateway } from '../interop/lib/gateway.mjs';
import { startIdp } from '../interop/lib/idp.mjs';
import { freePort, run, start, stop, until } from '../interop/lib/process.mjs';
import { authorization } from './authorization.mjs';
import { EVERYTHING } from './policy.mjs';
import { startShim } from './shim.mjs';

const { values: options } = parseArgs({
  options: Object.fromEntries(['portunus', 'fixture', 'js', 'part', 'keep'].map((name) => [name, { type: 'string' }])),
});
const here = dirname(fileURLToPath(import.meta.url));
const suite = join(options.js, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const dir = options.keep ?? mkdtempSync(join(tmpdir(), 'portunus-conformance-'));
const [SESSION, STATELESS] = ['2025-11-25', '2026-07-28'];

/** The scenarios of notes on each revision that make sense with a gateway as the client. */
const CLIENT = {
  [SESSION]: [
    'initialize',
    'tools_call',
    'elicitation-sep1034-client-defaults',
    'sse-retry',
    'json-schema-2020-12-preservation',
  ],
  [STATELESS]: [
    'tools_call',
    'request-metadata',
    'sep-2322-client-request-state',
    'http-standard-headers',
    'http-custom-headers',
    'http-invalid-tool-headers',
    'json-schema-ref-no-deref',
    'json-schema-2020-12-preservation',
  ],
};

const parts = { direct, gateway, crossed, client, issuer };
let [passed, failed] = [0, 0];
for (const [name, part] of Object.entries(parts)) {
  if (!options.part || options.part === name) await part();
}
if (!options.keep) rmSync(dir, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

/** The fixture alone has to pass everything that is scored. */
async function direct() {
  const { url, process: fixture } = await startFixture('both');
  for (const revision of [SESSION, STATELESS]) await score(`fixture, ${revision}`, url, revision);
  await stop(fixture);
}

/** The same through the gateway, each client in the era of the server. */
async function gateway() {
  await throughGateway('both', async (url) => {
    for (const revision of [SESSION, STATELESS]) {
      await score(`gateway, ${revision}`, url, revision, `expected-${revision}.yaml`);
    }
  });
}

/** Clients of one era, a server of the other. */
async function crossed() {
  for (const [era, revision] of [['session', STATELESS], ['stateless', SESSION]]) {
    const name = `gateway, ${revision} over a ${era} server`;
    await throughGateway(era, (url) => score(name, url, revision, `expected-${revision}-over-${era}.yaml`));
  }
}

/** The gateway as the suite's client. */
async function client() {
  for (const [revision, scenarios] of Object.entries(CLIENT)) {
    for (const scenario of scenarios) await asClient(`client, ${revision} ${scenario}`, revision, scenario);
  }
  // With an older client behind it the gateway answers `input_required` by itself.
  const scenario = 'sep-2322-client-request-state';
  await asClient(`client, ${STATELESS} ${scenario}, for an older client`, STATELESS, scenario, { OLDER_CLIENT: '1' });
}

async function asClient(name, revision, scenario, extra = {}) {
  const command = `${process.execPath} ${join(here, 'client.mjs')}`;
  const env = { ...process.env, PORTUNUS: options.portunus, ...extra };
  const args = [suite, 'client', '--command', command, '--scenario', scenario, '--spec-version', revision];
  const { code, out, err } = await run(process.execPath, [...args, '-o', join(dir, `client-${revision}`)], { env });
  tell(code === 0, name, `${out}\n${err}`);
}

/** Ours as the suite's authorization server, with a person who signs in. */
async function issuer() {
  const fixture = await startFixture('both');
  await authorization({ portunus: options.portunus, suite, fixture, policy: EVERYTHING, dir, tell });
}

async function startFixture(era) {
  const fixture = start(options.fixture, ['--era', era]);
  const line = await until('the fixture', () => fixture.kept.out.match(/http:\S+/)?.[0]);
  return { url: line.replace('127.0.0.1', 'localhost'), process: fixture };
}

async function throughGateway(era, use) {
  const fixture = await startFixture(era);
  const idp = await startIdp(await freePort());
  const shimPort = await freePort();
  const portunus = await startGateway({
    portunus: options.portunus,
    dir: mkdtempSync(join(dir, 'gateway-')),
    port: await freePort(),
    adminPort: await freePort(),
    issuer: idp.issuer,
    servers: { fixture: { http: { url: fixture.url, allow_loopback: true } } },
    policies: { 'conformance.cedar': EVERYTHING },
    allowedHosts: [`localhost:${shimPort}`],
  });
  const url = portunus.url('fixture');
  const shim = await startShim(shimPort, url, await idp.signIn('alice', url));
  try {
    await use(`http://localhost:${shimPort}/mcp`);
    const record = await portunus.record();
    tell(record.length > 0, `the record of ${record.length} calls over a server of era ${era}`);
  } finally {
    shim.stop();
    await portunus.stop();
    if (failed) console.log(portunus.log().slice(-3000));
    idp.stop();
    await stop(fixture.process);
  }
}

/** Runs one requirement set; every exception needs its line, and every line its exception. */
async function score(name, url, revision, expected) {
  const results = mkdtempSync(join(dir, 'results-'));
  const args = [suite, 'server', '--url', url, '--requirements', revision, '-o', results, '--timeout', '15000'];
  if (expected) args.push('--expected-failures', join(here, expected));
  const { code, out, err } = await run(process.execPath, args);
  const scored = scoredScenarios(revision);
  const scenarios = [...out.matchAll(/^([✓✗]) (\S+): /gm)].filter(([, , scenario]) => scored.includes(scenario));
  const good = scenarios.filter(([, mark]) => mark === '✓').length;
  const full = { [SESSION]: 30, [STATELESS]: 37 }[revision];
  tell(code === 0 && scenarios.length === full, `${name}: ${good}/${full}`, report(results, scored, `${out}\n${err}`));
}

/** The server scenarios that a revision's frozen requirement set scores. */
function scoredScenarios(revision) {
  const text = readFileSync(join(dirname(suite), '../requirements', `${revision}.yaml`), 'utf8');
  const list = text.slice(text.indexOf('\nserver:'), text.indexOf('\nclient:'));
  return [...list.matchAll(/^ +- (\S+)/gm)].map((match) => match[1]);
}

/** What failed, with its reasons. */
function report(results, scored, fallback) {
  const lines = readdirSync(results)
    .filter((name) => statSync(join(results, name)).isDirectory())
    .flatMap((name) => {
      const scenario = name.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\d.*$/, '');
      if (!scored.includes(scenario)) return [];
      const checks = JSON.parse(readFileSync(join(results, name, 'checks.json'), 'utf8'));
      return checks
        .filter((check) => check.status === 'FAILURE')
        .map((check) => `    ${scenario}:${check.id}: ${String(check.errorMessage).slice(0, 400)}`);
    });
  const said = fallback.split('\n');
  const from = said.findIndex((line) => /unexpected|stale/i.test(line));
  const tail = from < 0 ? [] : said.slice(from, from + 20);
  return [...lines, ...tail].join('\n') || fallback.slice(-2000);
}

function tell(good, name, details = '') {
  if (good) passed += 1;
  else failed += 1;
  console.log(`${good ? '✓' : '✗'} ${name}`);
  if (!good && details) console.log(details);
}
