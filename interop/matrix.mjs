// Every real client against every real server, through one gateway: list, call, two denied calls, one
// cancelled call, and what the record says of them. `cargo xtask test --only interop` runs it.
//
//   node matrix.mjs --portunus BIN --rmcp BIN --js DIR --py DIR [--client NAME] [--server NAME]
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clients as allClients } from './lib/clients.mjs';
import { freeze } from './lib/freeze.mjs';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { answers, freePort, start, stop, until } from './lib/process.mjs';
import { judge } from './lib/judge.mjs';
import { chosen, columns, finish, readOptions } from './lib/runner.mjs';
import { policy, servers as allServers } from './lib/servers.mjs';

const options = readOptions();
const { js, py } = options;
const node = process.execPath;
const here = dirname(fileURLToPath(import.meta.url));
const drivers = join(here, 'drivers');
const dir = mkdtempSync(join(tmpdir(), 'portunus-interop-'));

const [everythingPort, ssePort, mcp1Port] = [await freePort(), await freePort(), await freePort()];
const [everythingUrl, mcp1Url] = [everythingPort, mcp1Port].map((port) => `http://127.0.0.1:${port}/mcp`);
const sseUrl = `http://127.0.0.1:${ssePort}/sse`;
const servers = await allServers({ node, js, py: join(py, 'servers'), dir, everythingUrl, sseUrl, mcp1Url });
const everything = (mode, port) => {
  return start(node, [servers.everything.program, mode], { env: { ...process.env, PORT: String(port) } });
};
const listening = [
  everything('streamableHttp', everythingPort),
  everything('sse', ssePort),
  start(join(py, 'mcp1/bin/python'), [join(here, 'servers/mcp1.py'), String(mcp1Port)]),
];
for (const url of [everythingUrl, sseUrl, mcp1Url]) await until(`a server at ${url}`, () => answers(url), 60_000);

const idp = await startIdp(await freePort());
const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port: await freePort(),
  adminPort: await freePort(),
  issuer: idp.issuer,
  servers: Object.fromEntries(
    Object.entries(servers).map(([name, { config, call }]) => {
      return [name, { ...config, impact: { tools: { [call.name]: 'read' } } }];
    }),
  ),
  policies: Object.fromEntries(Object.entries(servers).map(([name, server]) => [`${name}.cedar`, policy(name, server)])),
});

/** For a step of a driver, in milliseconds: a cold start of Python on a busy machine fits. */
const PATIENCE = 60_000;
const clients = allClients({ node, js, py, drivers, rmcp: options.rmcp });
let [passed, failed] = [0, 0];
// A server is frozen by its own column only.
await columns(chosen(servers, options.server), column);
for (const server of listening) await stop(server);
await finish({ gateway, idp, dir, passed, failed });

/** Every client against one server. */
async function column(serverName, server) {
  const url = gateway.url(serverName);
  const token = await idp.signIn('alice', url);
  for (const [clientName, client] of chosen(clients, options.client)) {
    const faults = await cell(client, serverName, server, url, token);
    if (faults.length) failed += 1;
    else passed += 1;
    console.log(`${faults.length ? '✗' : '✓'} ${clientName} × ${serverName}`);
    for (const fault of faults) console.log(`    ${fault}`);
  }
}

/** Runs one driver; gives what is wrong. */
async function cell(client, serverName, server, url, token) {
  const { call, deniedTool, deniedArgument, slow } = server;
  const { mode, inspector } = client;
  const work = { url, token, mode, inspector, call, deniedTool, deniedArgument, slow };
  const before = (await callsOn(serverName)).at(-1)?.seq ?? -1;
  const record = async () => (await callsOn(serverName)).filter((entry) => entry.seq > before);
  const driver = start(client.command, [...client.args, JSON.stringify(work)]);
  const told = () => `${driver.kept.out.slice(-800)}\n${driver.kept.err.slice(-2000)}`;
  const ended = () => driver.child.exitCode !== null;
  let thaw = () => {};
  try {
    await until('the cancelled call', () => driver.kept.out.includes('"phase"') || ended(), PATIENCE);
    if (ended()) return [`ended early: ${told()}`];
    if (server.stops) thaw = freeze(server.program);
    driver.child.stdin.write('\n');
    const underWay = (entry) => entry.name === slow.name && entry.status === 'under_way';
    await until('the call on record', async () => ended() || (await record()).some(underWay), PATIENCE);
    driver.child.stdin.write('\n');
    await until('the driver to end', ended, PATIENCE);
    await driver.ended;
  } catch (error) {
    driver.child.kill('SIGKILL');
    return [`${error.message}: ${told()}`, `record: ${JSON.stringify(await record())}`];
  } finally {
    thaw();
  }
  try {
    const seen = JSON.parse(driver.kept.out.trim().split('\n').at(-1));
    return await judge({ client, server, serverName, seen, record });
  } catch (error) {
    return [`${error}: ${told()}`];
  }
}

/** What is on record of a server's own endpoint. */
async function callsOn(serverName) {
  return (await gateway.record()).filter((entry) => entry.endpoint === `/servers/${serverName}/mcp`);
}
