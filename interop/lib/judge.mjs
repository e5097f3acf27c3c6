// What a cell of the matrix must show, to the client and in the record.
import { setTimeout as sleep } from 'node:timers/promises';

/** Everything that is wrong with one cell. */
export async function judge({ client, server, serverName, seen, record }) {
  const faults = [];
  const check = (holds, text) => holds || faults.push(text);
  const { call, deniedTool, deniedArgument } = server;

  check(client.version === null || seen.version === client.version, `agreed on ${seen.version}, not ${client.version}`);
  check(seen.tools.includes(call.name), `${call.name} is not listed: ${seen.tools}`);
  check(!seen.tools.includes(deniedTool.name), `${deniedTool.name} is listed`);
  check(seen.call.isError === false && seen.call.text.includes(call.answers), `call: ${JSON.stringify(seen.call)}`);
  // A tool the caller may not see is an unknown one. The inspector looks into its list and never asks.
  const unknown = client.leaves ? seen.deniedTool.error : String(seen.deniedTool.code) === '-32602';
  check(unknown, `denied tool: ${JSON.stringify(seen.deniedTool)}`);
  check(seen.deniedArgument.isError === true, `denied argument: ${JSON.stringify(seen.deniedArgument)}`);
  check(seen.cancelled.error, `cancelled: ${JSON.stringify(seen.cancelled)}`);

  const entries = await settled(record);
  const calls = entries.filter((entry) => entry.method === 'tools/call' && entry.server === serverName);
  const of = (tool, decision) => calls.filter((entry) => entry.tool === tool && entry.decision === decision);
  const allowed = of(call.name, 'permit');
  check(of(deniedArgument.name, 'deny').length === 1, `${of(deniedArgument.name, 'deny').length} denials by argument on record`);
  const invisible = of(deniedTool.name, 'deny').length;
  check(client.leaves ? invisible <= 1 : invisible === 1, `${invisible} denials by tool on record`);
  check(allowed.length === 2, `${allowed.length} permitted calls on record`);
  check(allowed[0]?.status === 'answered', `the call is on record as ${allowed[0]?.status}`);
  check(allowed[1] && allowed[1].status !== 'answered', `the cancelled call is on record as ${allowed[1]?.status}`);
  for (const entry of calls) {
    check(entry.user === 'alice' && entry.tenant === 'acme', `on record for ${entry.user} of ${entry.tenant}`);
    check(entry.client === 'interop-agent', `on record for the client ${entry.client}`);
  }
  if (faults.length) faults.push(`record: ${JSON.stringify(calls).slice(0, 3000)}`);
  return faults;
}

/** The record once every call of it has ended. */
async function settled(record) {
  for (let tries = 0; ; tries += 1) {
    const entries = await record();
    const open = entries.some((entry) => entry.method === 'tools/call' && entry.status === 'unknown');
    if (!open || tries === 20) return entries;
    await sleep(100);
  }
}
