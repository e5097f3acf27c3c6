// The suite's scenarios for authorization servers against ours. A person signs in at a provider, by plain requests: what
// a browser sends when somebody presses the buttons, forms and all.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { startGateway } from '../interop/lib/gateway.mjs';
import { startIdp } from '../interop/lib/idp.mjs';
import { freePort, start, stop, until } from '../interop/lib/process.mjs';

/** How long the suite may take for one scenario. */
const PATIENCE = 60_000;

/** Runs both scenarios; `tell(passed, name, report)` hears of each. */
export async function authorization({ portunus, suite, fixture, policy, dir, tell }) {
  const [port, adminPort, idpPort, callback] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const issuer = `http://localhost:${port}`;
  const redirect = `http://127.0.0.1:${callback}/callback`;
  const own = { client_id: 'portunus', redirect_uris: [`${issuer}/sign-in/callback`] };
  const idp = await startIdp(idpPort, { clients: [own] });
  const provider = { name: 'idp', issuer: idp.issuer, client_id: own.client_id, allow_loopback: true };
  const gateway = await startGateway({
    portunus,
    dir: mkdtempSync(join(dir, 'authorization-')),
    port,
    adminPort,
    issuer: idp.issuer,
    servers: { fixture: { http: { url: fixture.url, allow_loopback: true } } },
    policies: { 'conformance.cedar': policy },
    authorizationServer: {
      clients: { conformance: { name: 'Conformance', redirect_uris: [redirect] } },
      tenants: { acme: { providers: [{ ...provider, default_roles: ['developer'] }] } },
    },
  });
  try {
    const args = [suite, 'authorization', '--url', issuer, '--client-id', 'conformance', '--port', String(callback)];
    const child = start(process.execPath, [...args, '--resource', gateway.url('fixture')]);
    const asked = await until('the suite to ask for a sign-in', () => child.kept.out.match(/^http\S+\/authorize\?\S+$/m)?.[0]);
    await new Browser().signIn(asked, redirect);
    await Promise.race([child.ended, new Promise((late) => setTimeout(late, PATIENCE).unref())]);
    const said = `${child.kept.out}\n${child.kept.err}`;
    for (const [scenario, checks] of [['authorization-server-metadata-endpoint', 2], ['authorization-code-grant', 1]]) {
      tell(said.includes(`✓ ${scenario}: ${checks} passed, 0 failed`), `authorization server, ${scenario}`, said);
    }
  } finally {
    await gateway.stop();
    idp.stop();
    await stop(fixture.process);
  }
}

/** Cookies by origin, redirects followed, forms filled in and sent. */
class Browser {
  cookies = new Map();

  async signIn(url, end) {
    let next = { url };
    for (let step = 0; step < 30; step += 1) {
      const response = await this.send(next);
      if (next.url.startsWith(end)) return;
      const place = response.headers.get('location');
      next = place ? { url: new URL(place, next.url).href } : form(next.url, await response.text(), response.status);
    }
    throw new Error(`a sign-in without an end, at ${next.url}`);
  }

  async send({ url, body }) {
    const { origin } = new URL(url);
    const jar = this.cookies.get(origin) ?? new Map();
    this.cookies.set(origin, jar);
    const response = await fetch(url, {
      method: body ? 'POST' : 'GET',
      body,
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), ...(body && { origin }) },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0].split(/=(.*)/s);
      jar.set(name, value);
    }
    return response;
  }
}

/** The first form of a page, with what alice writes into it and the first of its buttons pressed. */
function form(page, html, status) {
  const found = html.match(/<form([^>]*)>([\s\S]*?)<\/form>/);
  if (!found) throw new Error(`nothing to press at ${page} (${status}): ${html.slice(0, 2000)}`);
  const read = (tag, name) => tag.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1].replaceAll('&amp;', '&');
  const body = new URLSearchParams();
  for (const [tag] of found[2].matchAll(/<input[^>]*>/g)) {
    const name = read(tag, 'name');
    if (name) body.set(name, { login: 'alice', password: 'any' }[name] ?? read(tag, 'value') ?? '');
  }
  const button = [...found[2].matchAll(/<button[^>]*>/g)].map(([tag]) => tag).find((tag) => read(tag, 'name'));
  if (button) body.set(read(button, 'name'), read(button, 'value') ?? '');
  return { url: new URL(read(found[1], 'action') ?? page, page).href, body };
}
