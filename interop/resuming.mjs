// A real client whose connection is cut in the middle of a call takes up its stream again: every step of the call's
// progress is heard once, and its answer. `cargo xtask test --only interop` runs it.
//
//   node resuming.mjs --portunus BIN --js DIR
import { mkdtempSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { startGateway } from './lib/gateway.mjs';
import { startIdp } from './lib/idp.mjs';
import { answers, freePort, start, stop, until } from './lib/process.mjs';
import { finish, readOptions } from './lib/runner.mjs';

const options = readOptions();
const dir = mkdtempSync(join(tmpdir(), 'portunus-resuming-'));
const serverPort = await freePort();
const everything = join(options.js, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const server = start(process.execPath, [everything, 'streamableHttp'], {
  env: { ...process.env, PORT: String(serverPort) },
});
const serverUrl = `http://127.0.0.1:${serverPort}/mcp`;
await until('server-everything', () => answers(serverUrl));

const idp = await startIdp(await freePort());
const port = await freePort();
const gateway = await startGateway({
  portunus: options.portunus,
  dir: join(dir, 'gateway'),
  port,
  adminPort: await freePort(),
  issuer: idp.issuer,
  servers: { everything: { http: { url: serverUrl, allow_loopback: true } } },
  policies: { 'everything.cedar': '@id("everything") permit (principal, action, resource);' },
});
const url = new URL(gateway.url('everything'));
const headers = { authorization: `Bearer ${await idp.signIn('alice', url.href)}`, host: url.host };
const line = await cuttable(port);
const client = new Client({ name: 'resuming', version: '1' });
const through = Object.assign(new URL(url), { port: String(line.port) });
await client.connect(new StreamableHTTPClientTransport(through, { requestInit: { headers } }));

const STEPS = 10;
const heard = [];
const call = { name: 'trigger-long-running-operation', arguments: { duration: 5, steps: STEPS } };
const onprogress = ({ progress }) => {
  heard.push(progress);
  if (heard.length === 3) line.cut();
};
const result = await client.callTool(call, undefined, { onprogress }).catch((error) => ({ error: String(error) }));
await client.close();
await stop(server);
const faults = [
  !/completed/.test(result.content?.[0]?.text) && `the answer: ${JSON.stringify(result)}`,
  String(heard) !== String(Array.from({ length: STEPS }, (_, step) => step + 1)) && `progress heard: ${heard}`,
  line.resumed() !== 1 && `${line.resumed()} streams were taken up`,
].filter(Boolean);
console.log(`${faults.length ? '✗' : '✓'} ts-sdk-1 takes up a stream that was cut`);
for (const fault of faults) console.log(`    ${fault}`);
await finish({ gateway, idp, dir, passed: faults.length ? 0 : 1, failed: faults.length ? 1 : 0 });

/** A way to a port that can be cut, and counts the requests that take up a call's stream. */
async function cuttable(target) {
  const open = new Set();
  let resumed = 0;
  const relay = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    open.add(near).add(far);
    near.on('data', (part) => (resumed += /last-event-id: [1-9]/i.test(part.toString()) ? 1 : 0));
    near.pipe(far).pipe(near);
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => relay.listen(0, '127.0.0.1', resolve));
  relay.unref();
  const cut = () => open.forEach((socket) => socket.destroy());
  return { port: relay.address().port, cut, resumed: () => resumed };
}
