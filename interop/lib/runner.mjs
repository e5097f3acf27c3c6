// What both matrices do alike: their options, two servers at a time, and the count at the end.
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** The programs and folders that the command line names, and the one client or server that it chooses. */
export function readOptions() {
  const names = ['portunus', 'rmcp', 'js', 'py', 'client', 'server'];
  return parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: 'string' }])) }).values;
}

/** The entries of a table: all, or the one of this name. */
export function chosen(all, name) {
  return Object.entries(all).filter(([key]) => !name || key === name);
}

/** Runs `column` for every server, two at a time, and never two of one server. */
export async function columns(servers, column) {
  const open = [...servers];
  await Promise.all(
    [1, 2].map(async () => {
      for (let next = open.shift(); next; next = open.shift()) await column(...next);
    }),
  );
}

/** Stops the gateway, says what came out, and ends. */
export async function finish({ gateway, idp, dir, passed, failed }) {
  await gateway.stop();
  idp.stop();
  if (failed) console.log(gateway.log().slice(-4000));
  rmSync(dir, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
