// Adds the bearer token that the conformance suite cannot send. Host and Origin pass as they came, so that
// what the gateway makes of a foreign one is still seen.
import { createServer, request } from 'node:http';

/** Forwards every path to `target`, a whole URL. */
export async function startShim(port, target, token) {
  const { hostname, port: targetPort, pathname } = new URL(target);
  const server = createServer((incoming, answer) => {
    const headers = { ...incoming.headers, authorization: `Bearer ${token}` };
    const options = { hostname, port: targetPort, path: pathname, method: incoming.method, headers, agent: false };
    const outgoing = request({ ...options, setHost: false }, (response) => {
      answer.writeHead(response.statusCode, response.headers);
      answer.flushHeaders();
      response.pipe(answer);
      response.on('error', () => answer.destroy());
    });
    outgoing.on('error', () => answer.destroy());
    // Leaving is cancelling: it has to reach the gateway.
    answer.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
