// What cannot be, with its reason. The runner is strict both ways: what fails without a line here is a fault, and what
// succeeds in spite of one too.
import { STATELESS } from './clients.mjs';

const lines = [
  {
    reason: 'a question on the GET stream of an older server belongs to no call of a newer client',
    covers: ({ client, serverName, name }) => {
      return client.version === STATELESS && serverName === 'mcp1-http' && ['roots', 'sampled-aside'].includes(name);
    },
  },
];

/** Why a journey of a client at a server cannot be; nothing if it can. */
export function cannotBe(journey) {
  return lines.find((line) => line.covers(journey))?.reason;
}
