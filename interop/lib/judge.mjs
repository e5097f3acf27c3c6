// What a cell of the matrix must show, to the client and in the record.
import { setTimeout as sleep } from 'node:timers/promises';

/** Everything that is wrong with one cell. */
export async function judge({ client, server, serverName, seen, record }) {
  const faults = [];
  const check = (holds, text) => holds || faults.push(text);
  const { call, deniedTool, deniedArgument, slow } = server;

  check(client.version === null || seen.version === client.version, `agreed on ${seen.version}, not ${client.version}`);
  check(seen.tools.includes(call.name), `${call.name} is not listed: ${seen.tools}`);
  check(!seen.tools.includes(deniedTool.name), `${deniedTool.name} is listed`);
  check(seen.call.isError === false && seen.call.text.includes(call.answers), `call: ${JSON.stringify(seen.call)}`);
  // A tool the caller may not see is an unknown one. The inspector looks into its list and never asks.
  const unknown = client.leaves ? seen.deniedTool.error : String(seen.deniedTool.code) === '-32602';
  check(unknown, `denied tool: ${JSON.stringify(seen.deniedTool)}`);
  check(seen.deniedArgument.isError === true, `denied argument: ${JSON.stringify(seen.deniedArgument)}`);
  check(seen.cancelled.error, `cancelled: ${JSON.stringify(seen.cancelled)}`);
  check(String(seen.after) === String(seen.tools), `the list after the cancelled call: ${seen.after}`);

  const entries = await settled(record);
  const calls = entries.filter((entry) => entry.method === 'tools/call');
  const of = (tool, effect) => calls.filter((entry) => entry.name === tool && entry.effect === effect);
  const count = (what, found, expected) => check(expected.includes(found.length), `${found.length} ${what} on record`);
  count('denials by argument', of(deniedArgument.name, 'deny'), [1]);
  count('denials by tool', of(deniedTool.name, 'deny'), client.leaves ? [0, 1] : [1]);
  const allowed = calls.filter((entry) => entry.effect === 'permit');
  check(String(allowed.map((entry) => entry.name)) === String([call.name, slow.name]), 'not these two calls on record');
  check(allowed[0]?.status === 'ok', `the call is on record as ${allowed[0]?.status}`);
  check(endings(client).includes(allowed[1]?.status), `the cancelled call is on record as ${allowed[1]?.status}`);
  for (const entry of calls) {
    const who = [entry.user, entry.tenant, entry.client].join();
    check(who === 'alice,acme,interop-agent', `on record for ${who}`);
    check(entry.server === serverName || entry.name === deniedTool.name, `on record for the server ${entry.server}`);
  }
  if (faults.length) faults.push(`record: ${JSON.stringify(calls).slice(0, 3000)}`);
  return faults;
}

/**
 * How a cancelled call may end. A session client that leaves without a word has not cancelled (2025-11-25,
 * basic/transports): its call goes on.
 */
function endings(client) {
  return client.leaves ? ['cancelled', 'unknown', 'ok', 'under_way'] : ['cancelled', 'unknown'];
}

/** The record once every call of it has ended. */
export async function settled(record) {
  for (let tries = 0; ; tries += 1) {
    const entries = await record();
    const open = entries.some((entry) => entry.status === 'under_way');
    if (!open || tries === 20) return entries;
    await sleep(100);
  }
}
