// A real browser (Debian's chromium, without a window) that presses the buttons of our pages.
import AxeBuilder from '@axe-core/playwright';
import { chromium } from 'playwright-core';

/** Starts it. Each `browser.newContext()` is a person's own: cookies of one are not those of another. */
export function startBrowser() {
  // Only our own pages are loaded, so root in a container may go without the browser's sandbox.
  const args = ['--disable-dev-shm-usage', '--disable-gpu', '--no-sandbox'];
  return chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args });
}

/** What is wrong with a page for people who cannot see, hear or point (WCAG 2.2 A and AA), a line each. */
export async function barriers(page) {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
  return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html}`));
}

/**
 * What a person does in the browser until it is back at the client's `/callback`: signs in at the provider, and says yes.
 * Gives the pages they met, the last address too as `met.end`.
 */
export async function signInBy(context, open, { port, idp, user }) {
  const page = await context.newPage();
  const met = [];
  try {
    await page.goto(open);
    for (;;) {
      const at = new URL(page.url());
      if (at.pathname.endsWith('/callback') && at.port !== String(port)) return Object.assign(met, { end: at });
      if (at.origin === idp.issuer) {
        met.push('provider');
        await atProvider(page, idp.issuer, user);
      } else if (at.pathname === '/sign-in') {
        met.push('sign in');
        await leaving(page, page.getByRole('button', { name: 'Continue with the company account' }));
      } else if (at.pathname === '/consent') {
        met.push('consent');
        await leaving(page, page.getByRole('button', { name: /^(Continue|Allow)$/ }));
      } else {
        throw new Error(`stopped at ${page.url()}: ${await page.innerText('body')}`);
      }
      if (met.length > 6) throw new Error(`went in circles: ${met}`);
    }
  } finally {
    await page.close();
  }
}

/** The provider's own forms: who it is, and that the gateway may know. */
async function atProvider(page, issuer, user) {
  while (page.url().startsWith(issuer)) {
    const login = page.locator('input[name=login]');
    if (await login.count()) {
      await login.fill(user);
      await page.locator('input[name=password]').fill('any');
    }
    await leaving(page, page.locator('button[type=submit]').first());
  }
}

/** Presses a button and waits for the page that follows. */
async function leaving(page, button) {
  await Promise.all([page.waitForEvent('load'), button.click()]);
}
