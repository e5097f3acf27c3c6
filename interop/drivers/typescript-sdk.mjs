// npm @modelcontextprotocol/sdk 1.x: the session era only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { drive, finish, work } from './script.mjs';

const headers = work.token ? { authorization: `Bearer ${work.token}` } : {};
const transport = new StreamableHTTPClientTransport(new URL(work.url), { requestInit: { headers } });
const client = new Client({ name: 'interop-typescript-sdk', version: '1' });
await client.connect(transport);
const seen = await drive({
  version: transport.protocolVersion,
  list: async () => (await client.listTools()).tools.map((tool) => tool.name),
  call: (call, signal) => client.callTool(call, undefined, { signal }),
});
await client.close();
finish(seen);
