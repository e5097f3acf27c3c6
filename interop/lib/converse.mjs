// What a conversation must show, to the client and in the record.
import { journeys } from './journeys.mjs';

/** What is wrong with one journey: a client, a server, whether its questions are `declared`, how many legs it takes. */
export function judgeJourney({ name, declared, seen, calls, legs, serverName }) {
  const { tool, asks, url, says } = journeys[name];
  const faults = ended({ seen, calls, serverName, tool });
  if (!seen) return faults;
  const check = (holds, text) => holds || faults.push(`${text}: ${JSON.stringify(seen)}`);
  const statuses = calls.map((entry) => entry.status);
  if (declared) {
    check(seen.isError === false && seen.text === says, `not "${says}"`);
    check(String(seen.asked.map((question) => question.method)) === asks, 'asked otherwise');
    const [question] = seen.asked;
    const named = asks !== 'elicitation/create' || question?.message?.startsWith(`[${serverName}] `);
    check(named, 'its message does not name the server');
    check(!url || (question?.mode === 'url' && question?.url === url), 'not this page');
    check(String(statuses) === String([...Array(legs - 1).fill('input_required'), 'ok']), `on record as ${statuses}`);
  } else {
    check(seen.isError === true || seen.error, 'it went well');
    check(seen.asked.length === 0, 'asked what was not declared');
    check(!statuses.includes('ok'), `on record as ${statuses}`);
  }
  return faults;
}

/** What is wrong with any journey: it must end, as one permitted call of this caller on record. */
export function ended({ seen, calls, serverName, tool }) {
  const faults = [];
  const check = (holds, text) => holds || faults.push(text);
  if (!seen) return ['the driver says nothing of it'];
  check(!/did not end|timeout|timed out|abort/i.test(seen.error ?? ''), `it hung: ${JSON.stringify(seen)}`);
  check(new Set(calls.map((entry) => entry.call)).size === 1, 'not one call on record');
  for (const { user, tenant, client, server, name, effect, status } of calls) {
    const who = [user, tenant, client, server, name, effect].join();
    check(who === `alice,acme,interop-agent,${serverName},${tool},permit`, `on record as ${who}`);
    check(!['under_way', 'unknown'].includes(status), `on record as ${status}`);
  }
  return faults;
}
