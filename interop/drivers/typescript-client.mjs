// npm @modelcontextprotocol/client 2.x: `legacy`, `auto`, or pinned to 2026-07-28, by work.mode.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { run, work } from './script.mjs';

const modes = {
  legacy: {},
  auto: { versionNegotiation: { mode: 'auto' } },
  pinned: { versionNegotiation: { mode: { pin: '2026-07-28' } } },
};
const headers = work.token ? { authorization: `Bearer ${work.token}` } : {};

await run(async ({ declares, handlers }) => {
  const info = { name: 'interop-typescript-client', version: '1' };
  const client = new Client(info, { ...modes[work.mode], capabilities: declares });
  for (const [method, answer] of Object.entries(handlers)) {
    client.setRequestHandler(method, (request) => answer(request.params));
  }
  const transport = new StreamableHTTPClientTransport(new URL(work.url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    version: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion,
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (call, signal) => client.callTool(call, { signal }),
    close: () => client.close(),
  };
});
