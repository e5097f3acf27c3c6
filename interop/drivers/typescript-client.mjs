// npm @modelcontextprotocol/client 2.x: `legacy`, `auto`, or pinned to 2026-07-28, by work.mode.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { drive, finish, work } from './script.mjs';

const modes = {
  legacy: {},
  auto: { versionNegotiation: { mode: 'auto' } },
  pinned: { versionNegotiation: { mode: { pin: '2026-07-28' } } },
};
const headers = work.token ? { authorization: `Bearer ${work.token}` } : {};
const transport = new StreamableHTTPClientTransport(new URL(work.url), { requestInit: { headers } });
const client = new Client({ name: 'interop-typescript-client', version: '1' }, modes[work.mode]);
await client.connect(transport);
const seen = await drive({
  version: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion,
  list: async () => (await client.listTools()).tools.map((tool) => tool.name),
  call: (call, signal) => client.callTool(call, { signal }),
});
await client.close();
finish(seen);
