// Ports, children and waiting, for the runners.
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const started = new Set();
for (const signal of ['exit', 'SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of started) child.kill('SIGKILL');
    if (signal !== 'exit') process.exit(1);
  });
}

/**
 * A port that was free a moment ago, below those that the system gives to outgoing connections: one of them could be
 * gone again before a server listens on it.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const listens = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!listens) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Starts a program whose output is kept; it dies with the runner. */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
  const kept = { out: '', err: '' };
  child.stdout.on('data', (part) => (kept.out += part));
  child.stderr.on('data', (part) => (kept.err += part));
  started.add(child);
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: -1, error }));
    child.on('close', (code) => resolve({ code }));
  }).finally(() => started.delete(child));
  return { child, kept, ended };
}

/** Runs a program to its end. */
export async function run(command, args, options = {}) {
  const { kept, ended } = start(command, args, options);
  const { code, error } = await ended;
  return { code, out: kept.out, err: kept.err + (error ?? '') };
}

/** Ends a program and waits for it. */
export async function stop({ child, ended }) {
  child.kill('SIGTERM');
  await Promise.race([ended, sleep(5000).then(() => child.kill('SIGKILL'))]);
  await ended;
}

/** Whether something answers at an address, whatever it says; a stream is not heard to its end. */
export async function answers(url) {
  const { body } = await fetch(url);
  await body?.cancel();
  return true;
}

/** Waits until `ready()` gives something true. */
export async function until(what, ready, ms = 15000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const got = await Promise.resolve(ready()).catch(() => undefined);
    if (got) return got;
    if (Date.now() > deadline) throw new Error(`gave up waiting for ${what}`);
    await sleep(25);
  }
}
