// What a conversation must show, to the client and in the record.
import { settled } from './judge.mjs';
import { journeys } from './journeys.mjs';

/** What is wrong with one journey of one client at one server. */
export function judgeJourney({ name, declared, seen, calls, legs, serverName }) {
  const { tool, asks, url, says } = journeys[name];
  const faults = [];
  const check = (holds, text) => holds || faults.push(text);
  if (!seen) return ['the driver says nothing of it'];
  const told = JSON.stringify(seen);
  if (declared) {
    check(seen.isError === false && seen.text === says, `not "${says}": ${told}`);
    check(String(seen.asked.map((question) => question.method)) === asks, `asked otherwise: ${told}`);
    const [question] = seen.asked;
    const named = asks !== 'elicitation/create' || question?.message?.startsWith(`[${serverName}] `);
    check(named, `its message does not name the server: ${told}`);
    check(!url || (question?.mode === 'url' && question?.url === url), `not this page: ${told}`);
  } else {
    check(seen.isError === true || seen.error, `it went well: ${told}`);
    check(seen.asked.length === 0, `asked what was not declared: ${told}`);
    check(!/did not end|timeout|abort/i.test(seen.error ?? ''), `it hung: ${told}`);
  }
  check(new Set(calls.map((entry) => entry.call)).size === 1, 'not one call on record');
  check(!declared || calls.length === legs, `${calls.length} legs on record, not ${legs}`);
  const statuses = declared ? [...Array(legs - 1).fill('input_required'), 'ok'] : undefined;
  check(!statuses || String(calls.map((entry) => entry.status)) === String(statuses), 'not ended so on record');
  for (const { user, tenant, client, server, name, effect } of calls) {
    const who = [user, tenant, client, server, name, effect].join();
    check(who === `alice,acme,interop-agent,${serverName},${tool},permit`, `on record as ${who}`);
  }
  if (faults.length) faults.push(`record: ${JSON.stringify(calls).slice(0, 2000)}`);
  return faults;
}
