// npm @modelcontextprotocol/inspector 2.x on the command line: one process, and one connection, per step.
// Nobody can answer there what a server asks. Its era comes from its configuration file, by work.mode: `legacy`, `auto` or `modern`.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finish, word, work } from './script.mjs';

const dir = mkdtempSync(join(tmpdir(), 'portunus-inspector-'));
const config = join(dir, 'servers.json');
const headers = work.token ? { Authorization: `Bearer ${work.token}` } : {};
const server = { type: 'streamable-http', url: work.url, protocolEra: work.mode, headers };
writeFileSync(config, JSON.stringify({ mcpServers: { peer: server } }), { mode: 0o600 });

/** Runs one step; killing it is how its user would cancel: by leaving. */
function step(method, extra = [], leave = new Promise(() => {})) {
  return new Promise((resolve) => {
    const args = [work.inspector, '--cli', '--config', config, '--server', 'peer', '--method', method];
    const child = spawn(process.execPath, [...args, '--format', 'json', ...extra], { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (part) => (out += part));
    child.stderr.on('data', (part) => (err += part));
    leave.then(() => child.kill('SIGTERM'));
    child.on('close', (code, signal) => resolve({ code, signal, out, err }));
  });
}

async function call({ name, arguments: given }, leave) {
  const args = ['--tool-name', name, '--tool-args-json', JSON.stringify(given)];
  const { signal, out, err, code } = await step('tools/call', args, leave);
  if (signal) return { code: null, error: `killed by ${signal}` };
  const result = parsed(out);
  if (result?.content) {
    return { isError: result.isError === true, text: result.content.map((part) => part.text ?? '').join('') };
  }
  const fault = parsed(err.trim().split('\n').at(-1) ?? '');
  return { code: fault?.error?.code ?? fault?.code ?? code, error: JSON.stringify(fault) ?? err };
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value.result ?? value;
  } catch {
    return undefined;
  }
}

if (work.connections) {
  const seen = [];
  for (const { journeys } of work.connections) {
    const ended = {};
    for (const journey of journeys) {
      const patience = new Promise((leave) => setTimeout(leave, work.patience).unref());
      ended[journey.name] = { ...(await call(journey.call, patience)), asked: [] };
    }
    seen.push({ version: null, journeys: ended });
  }
  rmSync(dir, { recursive: true });
  finish(seen);
}

const listed = await step('tools/list');
if (!parsed(listed.out)) throw new Error(`tools/list: exit ${listed.code} ${listed.out} ${listed.err}`);
const seen = { version: null, tools: parsed(listed.out).tools.map((tool) => tool.name) };
seen.call = await call(work.call);
seen.deniedTool = await call(work.deniedTool);
seen.deniedArgument = await call(work.deniedArgument);
console.log(JSON.stringify({ phase: 'cancel' }));
await word();
seen.cancelled = await call(work.slow, word());
seen.after = parsed((await step('tools/list')).out).tools.map((tool) => tool.name);
rmSync(dir, { recursive: true });
finish(seen);
