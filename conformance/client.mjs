// The client of the suite's client scenarios: a gateway in front of the suite's server ($1), and a conforming
// client that calls through it. What the suite then sees of the client is the gateway.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { startGateway } from '../interop/lib/gateway.mjs';
import { startIdp } from '../interop/lib/idp.mjs';
import { freePort } from '../interop/lib/process.mjs';
import { EVERYTHING } from './policy.mjs';

const upstream = process.argv.at(-1);
const stateless = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28' && !process.env.OLDER_CLIENT;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const dir = mkdtempSync(join(tmpdir(), 'portunus-conformance-'));

const idp = await startIdp(await freePort());
const gateway = await startGateway({
  portunus: process.env.PORTUNUS,
  dir,
  port: await freePort(),
  adminPort: await freePort(),
  issuer: idp.issuer,
  servers: { suite: { http: { url: upstream, allow_loopback: true } } },
  policies: { 'suite.cedar': EVERYTHING },
});
const url = gateway.url('suite');
const headers = { authorization: `Bearer ${await idp.signIn('alice', url)}` };
const client = new Client(
  { name: 'conformance-client', version: '1' },
  { capabilities: { elicitation: { form: { applyDefaults: true } } }, ...(stateless ? { versionNegotiation: { mode: 'auto' } } : {}) },
);
client.setRequestHandler('elicitation/create', async ({ params }) => {
  // Scenario elicitation-sep1034-client-defaults: the SDK fills in what is not said.
  if (!params.requestedSchema.properties.confirmed) return { action: 'accept', content: {} };
  // Scenario sep-2322-client-request-state: another call while a question is open must carry nothing of it.
  await client.callTool({ name: 'test_mrtr_unrelated', arguments: {} });
  return { action: 'accept', content: { confirmed: true } };
});
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  const { tools } = await client.listTools();
  for (const call of context.toolCalls ?? tools.map(guess)) {
    await client.callTool(call).catch((error) => console.error(`${call.name}: ${error.message}`));
  }
  await echo(tools);
  await client.close();
} finally {
  await gateway.stop();
  if (process.env.PORTUNUS_VERBOSE) console.error(gateway.log());
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);

/** A call of a tool with a value for each required argument. */
function guess({ name, inputSchema }) {
  const samples = { string: 'text', number: 2, integer: 2, boolean: true, array: [], object: {} };
  const required = inputSchema.required ?? [];
  const value = (key) => samples[inputSchema.properties?.[key]?.type] ?? 'text';
  return { name, arguments: Object.fromEntries(required.map((key) => [key, value(key)])) };
}

/** Scenario json-schema-2020-12-preservation: send back the schema that was seen. */
async function echo(tools) {
  const focal = tools.find((tool) => tool.name === 'json_schema_2020_12_tool');
  if (focal) await client.callTool({ name: 'json_schema_echo', arguments: { schema: focal.inputSchema } });
}
