// npm @modelcontextprotocol/server 2.x, of the stateless era only, over HTTP on a port. Its tools end the request with
// `input_required`, with a request state that the SDK signs, and say what the client answered.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, createMcpHandler, createRequestStateCodec, inputRequired, inputResponse } from '@modelcontextprotocol/server';

const state = createRequestStateCodec({ key: randomBytes(32) });

const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
const prompt = { role: 'user', content: { type: 'text', text: 'Say something.' } };
/** Tool → its question, and what it says of the answer. */
const tools = {
  form: [
    () => inputRequired.elicit({ message: 'What is your name?', requestedSchema: schema }),
    ({ action, content }) => [action, content?.name],
  ],
  page: [
    () => inputRequired.elicitUrl({ message: 'Please look at this page.', url: 'https://example.com/look' }),
    ({ action }) => [action],
  ],
  sample: [
    () => inputRequired.createMessage({ messages: [prompt], maxTokens: 20 }),
    ({ result }) => [result.content.text],
  ],
  roots: [() => inputRequired.listRoots(), ({ roots }) => roots.map((root) => root.uri)],
};

function asking() {
  const server = new McpServer(
    { name: 'asking-typescript', version: '1' },
    { capabilities: { tools: {} }, requestState: { verify: state.verify } },
  );
  for (const [name, [question, said]] of Object.entries(tools)) {
    server.registerTool(name, { description: `Asks for a ${name}.` }, async (ctx) => {
      const answer = inputResponse(ctx.mcpReq.inputResponses, 'question');
      if (answer.kind === 'missing') {
        const requestState = await state.mint({ asked: name }, ctx);
        return inputRequired({ inputRequests: { question: question() }, requestState });
      }
      if (ctx.mcpReq.requestState()?.asked !== name) throw new Error('an answer without its question');
      return { content: [{ type: 'text', text: [`${name}:`, ...said(answer)].filter(Boolean).join(' ') }] };
    });
  }
  return server;
}

const handler = toNodeHandler(createMcpHandler(asking, { legacy: 'reject' }));
createServer((request, response) => handler(request, response)).listen(Number(process.argv[2]), '127.0.0.1');
