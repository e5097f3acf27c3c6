// Every real client against every real server, through one gateway: list, call, two denied calls, one
// cancelled call, and what the record says of them. `cargo xtask test --only interop` runs it.
//
//   node matrix.mjs --portunus BIN --rmcp BIN --js DIR --py DIR [--client NAME] [--server NAME]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { clients as allClients } from './lib/clients.mjs';
import { freeze } from './lib/freeze.mjs';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { freePort, start, stop, until } from './lib/process.mjs';
import { judge } from './lib/judge.mjs';
import { policy, servers as allServers } from './lib/servers.mjs';

const { values: options } = parseArgs({
  options: Object.fromEntries(
    ['portunus', 'rmcp', 'js', 'py', 'client', 'server'].map((name) => [name, { type: 'string' }]),
  ),
});
const { js, py } = options;
const node = process.execPath;
const drivers = join(dirname(fileURLToPath(import.meta.url)), 'drivers');
const dir = mkdtempSync(join(tmpdir(), 'portunus-interop-'));

const everythingPort = await freePort();
const everythingUrl = `http://127.0.0.1:${everythingPort}/mcp`;
const servers = await allServers({ node, js, py: join(py, 'servers'), dir, everythingUrl });
const everything = start(node, [servers.everything.process, 'streamableHttp'], {
  env: { ...process.env, PORT: String(everythingPort) },
});
await until('server-everything', () => fetch(everythingUrl).then(() => true));

const idp = await startIdp(await freePort());
const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port: await freePort(),
  adminPort: await freePort(),
  issuer: idp.issuer,
  servers: Object.fromEntries(
    Object.entries(servers).map(([name, { config, call }]) => {
      const impact = { tools: { [call.name]: 'read' } };
      return [name, { ...config, impact }];
    }),
  ),
  policies: Object.fromEntries(Object.entries(servers).map(([name, server]) => [`${name}.cedar`, policy(name, server)])),
});

const clients = allClients({ node, js, py, drivers, rmcp: options.rmcp });
const chosen = (all, name) => Object.entries(all).filter(([key]) => !name || key === name);
let [passed, failed] = [0, 0];
for (const [serverName, server] of chosen(servers, options.server)) {
  const url = gateway.url(serverName);
  const token = await idp.signIn('alice', url);
  for (const [clientName, client] of chosen(clients, options.client)) {
    const faults = await cell(clientName, client, serverName, server, url, token);
    if (faults.length) failed += 1;
    else passed += 1;
    console.log(`${faults.length ? '✗' : '✓'} ${clientName} × ${serverName}`);
    for (const fault of faults) console.log(`    ${fault}`);
  }
}
await gateway.stop();
await stop(everything);
idp.stop();
if (failed) console.log(gateway.log().slice(-4000));
rmSync(dir, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

/** Runs one driver; gives what is wrong. */
async function cell(clientName, client, serverName, server, url, token) {
  const { call, deniedTool, deniedArgument, slow } = server;
  const { mode, inspector } = client;
  const work = { url, token, mode, inspector, call, deniedTool, deniedArgument, slow, cancelAfterMs: 400 };
  const before = (await gateway.record()).at(-1)?.seq ?? -1;
  const driver = start(client.command, [...client.args, JSON.stringify(work)]);
  let thaw = () => {};
  try {
    await until('the cancelled call', () => driver.kept.out.includes('"phase"') || driver.child.exitCode !== null, 40000);
    thaw = freeze(server.process);
    driver.child.stdin.write('\n');
    await Promise.race([driver.ended, until('the driver', () => false, 40000)]);
  } catch (error) {
    driver.child.kill('SIGKILL');
    return [`${error.message}: ${driver.kept.out.slice(-500)} ${driver.kept.err.slice(-1500)}`];
  } finally {
    thaw();
  }
  let seen;
  try {
    seen = JSON.parse(driver.kept.out.trim().split('\n').at(-1));
  } catch {
    return [`no result: ${driver.kept.out.slice(-500)} ${driver.kept.err.slice(-1500)}`];
  }
  return judge({ client, server, serverName, seen, record: () => recordAfter(before) });
}

async function recordAfter(seq) {
  return (await gateway.record()).filter((entry) => entry.seq > seq);
}
