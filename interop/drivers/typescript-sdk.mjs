// npm @modelcontextprotocol/sdk 1.x: the session era only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { run, work } from './script.mjs';

const headers = work.token ? { authorization: `Bearer ${work.token}` } : {};
const schemas = [CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema];

await run(async ({ declares, handlers }) => {
  const client = new Client({ name: 'interop-typescript-sdk', version: '1' }, { capabilities: declares });
  for (const schema of schemas) {
    const answer = handlers[schema.shape.method.value];
    if (answer) client.setRequestHandler(schema, (request) => answer(request.params));
  }
  const transport = new StreamableHTTPClientTransport(new URL(work.url), { requestInit: { headers } });
  await client.connect(transport);
  return {
    version: transport.protocolVersion,
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: (call, signal) => client.callTool(call, undefined, { signal }),
    close: () => client.close(),
  };
});
