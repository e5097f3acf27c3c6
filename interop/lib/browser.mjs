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
