// The servers that ask their clients: how each is started, what it can ask, and in which era it speaks.
import { join } from 'node:path';
import { answers, freePort, start, until } from './process.mjs';

const ALL = ['accepted', 'declined', 'page', 'sampled', 'roots'];
/** First, so that the first call of a session is one whose server asks beside it. */
const ASIDE = ['sampled-aside', ...ALL];

/**
 * Starts those that are reached over HTTP; the gateway starts the others.
 * @param {string} node the program
 * @param {string} servers folder of our programs
 * @param {string} py folder of the virtual environments
 */
export async function askers({ node, servers, py }) {
  const python = (name) => [join(py, name, 'bin/python'), join(servers, `${name}.py`)];
  const at = async (path, command, transport = []) => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}${path}`;
    const process = start(command[0], [...command.slice(1), String(port), ...transport]);
    await until(`${command.join(' ')} ${process.kept.err}`, () => answers(url), 60_000);
    return { config: { http: { url, allow_loopback: true } }, process };
  };
  const http = (...command) => at('/mcp', command);
  const stdio = ([command, ...args]) => ({ config: { stdio: { command, args: [...args, 'stdio'] } } });
  return {
    'mcp1-http': { ...(await http(...python('mcp1'))), eras: ['session'], journeys: ASIDE },
    // HTTP+SSE, the transport before streamable HTTP.
    'mcp1-sse': { ...(await at('/sse', python('mcp1'), ['sse'])), eras: ['session'], journeys: ASIDE },
    'mcp1-stdio': { ...stdio(python('mcp1')), eras: ['session'], journeys: ASIDE },
    'mcp2-http': { ...(await http(...python('mcp2'))), eras: ['session', 'stateless'], journeys: ALL },
    'mcp2-stdio': { ...stdio(python('mcp2')), eras: ['session', 'stateless'], journeys: ALL },
    typescript: { ...(await http(node, join(servers, 'typescript.mjs'))), eras: ['stateless'], journeys: ALL },
  };
}

/** Developers may call every tool of a server that asks. */
export function policy(name) {
  return `@id("${name}-discover")
permit (principal, action == Action::"discover:${name}", resource);

@id("${name}-developers")
permit (principal, action in Action::"server:${name}", resource)
when { principal.roles.contains("developer") };
`;
}
