// The real clients: how each driver is started, and what it can be expected to do.
import { join } from 'node:path';

export const [SESSION, STATELESS] = ['2025-11-25', '2026-07-28'];

/** Name → command line, mode and the revision it must agree on with a gateway that speaks both eras. */
export function clients({ node, js, py, drivers, rmcp }) {
  const script = (name, mode, version) => ({ command: node, args: [join(drivers, `${name}.mjs`)], mode, version });
  const python = (venv, name, mode, version) => ({
    command: join(py, venv, 'bin/python'),
    args: [join(drivers, `${name}.py`)],
    mode,
    version,
  });
  const rust = (mode, version) => ({ command: rmcp, args: [], mode, version });
  const inspector = join(js, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js');
  // The inspector reports no revision, cancels by leaving, asks the list itself before it calls a tool,
  // and always declares the same.
  const inspecting = (mode) => ({ ...script('inspector', mode, null), inspector, leaves: true });
  return {
    'ts-sdk-1': script('typescript-sdk', 'legacy', SESSION),
    'ts-client-2-legacy': script('typescript-client', 'legacy', SESSION),
    'ts-client-2-auto': script('typescript-client', 'auto', STATELESS),
    'ts-client-2-pinned': script('typescript-client', 'pinned', STATELESS),
    'inspector-2': inspecting('legacy'),
    'mcp-1': python('mcp1', 'mcp1', 'legacy', SESSION),
    'mcp-2-auto': python('mcp2', 'mcp2', 'auto', STATELESS),
    'mcp-2-legacy': python('mcp2', 'mcp2', 'legacy', SESSION),
    'fastmcp-4': python('fastmcp', 'fastmcp4', 'auto', STATELESS),
    'rmcp-3-auto': rust('auto', STATELESS),
    'rmcp-3-legacy': rust('legacy', SESSION),
  };
}
