// What cannot be, with its reason. The runner is strict both ways: what fails without a line here is a fault, and what
// succeeds in spite of one too.

const lines = [
  {
    reason: 'nobody sits at its command line: it closes forms and pages, refuses sampling and has no roots',
    covers: ({ clientName }) => clientName === 'inspector-2',
  },
];

/** Why a journey of a client at a server cannot be; nothing if it can. */
export function cannotBe(journey) {
  return lines.find((line) => line.covers(journey))?.reason;
}
