// Every real client against every server that asks in the middle of a call, through one gateway: forms, pages, sampling
// and roots, the same without a handler for them, and what the record says. `cargo xtask test --only interop` runs it.
//
//   node conversations.mjs --portunus BIN --rmcp BIN --js DIR --py DIR [--client NAME] [--server NAME]
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { askers, policy } from './lib/askers.mjs';
import { cannotBe } from './lib/cannot.mjs';
import { SESSION, clients as allClients } from './lib/clients.mjs';
import { ended, judgeJourney } from './lib/converse.mjs';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { EVERYTHING, journeys } from './lib/journeys.mjs';
import { settled } from './lib/judge.mjs';
import { freePort, start, stop } from './lib/process.mjs';
import { chosen, columns, finish, readOptions } from './lib/runner.mjs';

const options = readOptions();
const { js, py } = options;
const node = process.execPath;
const here = dirname(fileURLToPath(import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'portunus-conversations-'));

const servers = await askers({ node, py, servers: join(here, 'servers') });
const idp = await startIdp(await freePort());
const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port: await freePort(),
  adminPort: await freePort(),
  issuer: idp.issuer,
  servers: Object.fromEntries(Object.entries(servers).map(([name, { config }]) => [name, config])),
  policies: Object.fromEntries(Object.keys(servers).map((name) => [`${name}.cedar`, policy(name)])),
});

/** For one call, and for a driver, in milliseconds: a cold start of Python on a busy machine fits. */
const [CALL_PATIENCE, PATIENCE] = [20_000, 120_000];
const clients = allClients({ node, js, py, drivers: join(here, 'drivers'), rmcp: options.rmcp });
let [passed, failed] = [0, 0];
// One cell of a server at a time, so that what its endpoint has on record belongs to it.
await columns(chosen(servers, options.server), column);
for (const { process } of Object.values(servers)) if (process) await stop(process);
await finish({ gateway, idp, dir, passed, failed });

/** Every client against one server. */
async function column(serverName, server) {
  const url = gateway.url(serverName);
  const token = await idp.signIn('alice', url);
  for (const [clientName, client] of chosen(clients, options.client)) {
    const found = await cell({ clientName, client, serverName, server, url, token });
    for (const [name, faults] of Object.entries(found)) {
      if (faults.length) failed += 1;
      else passed += 1;
      if (faults.length) console.log(`✗ ${clientName} × ${serverName}: ${name}`);
      for (const fault of faults) console.log(`    ${fault}`);
    }
    const good = Object.values(found).filter((faults) => !faults.length).length;
    console.log(`${good === Object.keys(found).length ? '✓' : '✗'} ${clientName} × ${serverName}: ${good} journeys`);
  }
}

/**
 * Runs one driver: every journey, then every one again without a handler for it, if the client can be without. Gives
 * what is wrong, by journey.
 */
async function cell({ clientName, client, serverName, server, url, token }) {
  const before = (await callsOn(serverName)).at(-1)?.seq ?? -1;
  const steps = server.journeys.map((name) => {
    return { name, call: { name: journeys[name].tool, arguments: {} }, answer: journeys[name].answer };
  });
  const declarations = client.leaves ? [EVERYTHING] : [EVERYTHING, {}];
  const connections = declarations.map((declares) => ({ declares, journeys: steps }));
  const { mode, inspector } = client;
  const work = { url, token, mode, inspector, patience: CALL_PATIENCE, connections };
  const driver = start(client.command, [...client.args, JSON.stringify(work)]);
  const done = await Promise.race([driver.ended, sleep(PATIENCE)]);
  if (!done) driver.child.kill('SIGKILL');
  const seen = parsed(driver.kept.out.trim().split('\n').at(-1));
  const told = `${driver.kept.out.slice(-800)}\n${driver.kept.err.slice(-2000)}`;
  if (!seen) return { all: [`${done ? 'ended early' : 'did not end'}: ${told}`] };

  const entries = await settled(async () => (await callsOn(serverName)).filter((entry) => entry.seq > before));
  const called = entries.filter((entry) => entry.method === 'tools/call');
  // In the order of the journeys: one was over before the next began.
  const calls = Object.values(Object.groupBy(called, (entry) => entry.call));
  // One request upstream waits for the answer; in every other pair of eras the call comes in a second time.
  const legs = client.version === SESSION && server.eras.includes('session') ? 1 : 2;
  const judged = connections.flatMap(({ declares }, at) => {
    return server.journeys.map((name, place) => {
      const { version, journeys: ends } = seen[at] ?? {};
      const found = { seen: ends?.[name], calls: calls[at * server.journeys.length + place] ?? [], serverName };
      const declared = declares === EVERYTHING;
      const faults = judgeJourney({ ...found, name, declared, legs });
      if (version !== client.version) faults.push(`agreed on ${version}, not ${client.version}`);
      if (faults.length) faults.push(`record: ${JSON.stringify(found.calls).slice(0, 2000)}`);
      const title = declared ? name : `${name}, undeclared`;
      const reason = cannotBe({ clientName, client, serverName, name, declared });
      if (!reason) return [title, faults];
      const strict = faults.length ? [] : [`it can, though lib/cannot.mjs says: ${reason}`];
      return [title, [...strict, ...ended({ ...found, tool: journeys[name].tool })]];
    });
  });
  return Object.fromEntries(judged);
}

/** What is on record of a server's own endpoint. */
async function callsOn(serverName) {
  return (await gateway.record()).filter((entry) => entry.endpoint === `/servers/${serverName}/mcp`);
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
