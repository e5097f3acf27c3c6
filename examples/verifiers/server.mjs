// An MCP server that trusts Portunus: it knows the person who calls, and logs that, not a bot. On a port, with npm
// @modelcontextprotocol/server 2 and node.mjs beside it.
//
//   node server.mjs PORT ISSUER
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import { verifier } from './node.mjs';

const [port, issuer] = process.argv.slice(2);
const verify = verifier({ issuer, audience: `http://127.0.0.1:${port}/mcp` });

function crm() {
  const server = new McpServer({ name: 'crm', version: '1' }, { capabilities: { tools: {} } });
  server.registerTool('whoami', { description: 'Says who calls.' }, async ({ http }) => {
    const { sub, tenant_id: tenant, act } = http.authInfo.extra;
    return { content: [{ type: 'text', text: `${sub} of ${tenant}${act ? ` through ${act.sub}` : ''}` }] };
  });
  return server;
}

const answer = toNodeHandler(createMcpHandler(crm));
createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  try {
    const message = parts.length ? JSON.parse(Buffer.concat(parts).toString()) : undefined;
    const claims = await verify(request.headers.authorization, message);
    console.log(JSON.stringify({ ...claims, request: message?.method ?? request.method }));
    request.auth = { token: '', clientId: claims.client_id, scopes: claims.scope?.split(' ') ?? [], extra: claims };
    await answer(request, response, message);
  } catch (error) {
    console.error(`refused: ${error.message}`);
    response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
  }
}).listen(Number(port), '127.0.0.1');
