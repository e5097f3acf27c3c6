// A Portunus gateway of its own: configuration, policies and record in one folder.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, start, stop, until } from './process.mjs';

/**
 * Starts `portunus run` and waits until it is ready.
 * @param {object} options portunus (the binary), dir, port, adminPort, issuer, servers, policies (name → text),
 *   allowedHosts, limits, authorizationServer, adminApi, issuerExtra (more of the issuer's entry), files (name → text, beside the
 *   configuration)
 */
export async function startGateway(options) {
  const { portunus, dir, port, adminPort } = options;
  mkdirSync(join(dir, 'policies'), { recursive: true });
  for (const [name, text] of Object.entries(options.policies)) writeFileSync(join(dir, 'policies', name), text);
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(dir, name), text, { mode: 0o600 });
  const config = {
    version: 1,
    listen: {
      address: `127.0.0.1:${port}`,
      public_url: `http://localhost:${port}`,
      allowed_hosts: options.allowedHosts ?? [],
      allowed_origins: (options.allowedHosts ?? []).map((host) => `http://${host}`),
    },
    admin: { address: `127.0.0.1:${adminPort}` },
    data_dir: './data',
    policies: './policies',
    issuers: options.issuer ? [{ issuer: options.issuer, allow_loopback: true, ...options.issuerExtra }] : [],
    authorization_server: options.authorizationServer,
    admin_api: options.adminApi,
    servers: options.servers,
    limits: options.limits ?? {},
  };
  // JSON is YAML.
  const file = join(dir, 'portunus.yaml');
  writeFileSync(file, JSON.stringify(config, null, 2));
  const process = start(portunus, ['run', '--config', file], { cwd: dir, env: { PATH: '/usr/bin:/bin' } });
  try {
    await until('the gateway to be ready', async () => {
      if (process.child.exitCode !== null) return true;
      return (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok;
    });
    if (process.child.exitCode !== null) throw new Error('the gateway ended');
  } catch (error) {
    throw new Error(`${error.message}\n${process.kept.out}\n${process.kept.err}`);
  }
  const query = async (...filter) => {
    const args = ['audit', 'query', '--config', file, '--json', '--limit', '100000', ...filter];
    const { code, out, err } = await run(portunus, args);
    if (code !== 0) throw new Error(`portunus audit query: ${err}`);
    return out.split('\n').filter(Boolean).map((line) => JSON.parse(line)).reverse();
  };
  const ready = async (name) => (await query('--server', name)).some((leaf) => leaf.what === 'server_ready');
  for (const name of Object.keys(options.servers)) await until(`the server ${name}`, () => ready(name), 90_000);
  return {
    process,
    url: (server) => `http://localhost:${port}/servers/${server}/mcp`,
    log: () => process.kept.err + process.kept.out,
    stop: () => stop(process),
    /** The calls on record, oldest first; see `entry`. */
    record: async () => (await query()).map(entry).filter((call) => call.method),
  };
}

/** A denial, or an intent joined with its outcome, as one flat object. */
function entry(found) {
  const { seq, call, caller, endpoint, method, target, decision, ...leaf } = found.intent ?? found;
  return {
    seq,
    call,
    method,
    endpoint,
    user: caller?.user,
    tenant: caller?.tenant,
    client: caller?.client,
    server: target?.server,
    name: target?.name,
    rules: decision?.rules,
    effect: found.intent ? 'permit' : 'deny',
    status: found.intent ? (found.outcome?.status ?? found.ending) : leaf.status,
    reason: found.outcome?.reason ?? leaf.reason,
  };
}
