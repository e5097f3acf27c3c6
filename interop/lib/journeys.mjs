// What may happen in a conversation: what is called, what the server then asks, what the client answers, and what the
// server makes of it.

/** What clients can declare. */
export const EVERYTHING = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };

const form = { tool: 'form', asks: 'elicitation/create' };
const sampling = {
  asks: 'sampling/createMessage',
  answer: { role: 'assistant', model: 'interop', content: { type: 'text', text: 'Something.' } },
  says: 'sample: Something.',
};
const ground = { uri: 'file:///interop/ground', name: 'ground' };

/** Name → journey. */
export const journeys = {
  accepted: { ...form, answer: { action: 'accept', content: { name: 'Ada' } }, says: 'form: accept Ada' },
  declined: { ...form, answer: { action: 'decline' }, says: 'form: decline' },
  page: {
    tool: 'page',
    asks: 'elicitation/create',
    url: 'https://example.com/look',
    answer: { action: 'accept' },
    says: 'page: accept',
  },
  sampled: { tool: 'sample', ...sampling },
  // The server asks beside the call, on its GET stream.
  'sampled-aside': { tool: 'sample_aside', ...sampling },
  roots: { tool: 'roots', asks: 'roots/list', answer: { roots: [ground] }, says: `roots: ${ground.uri}` },
};
