// What every JavaScript driver does with its client. Either a list, a call, two denied calls and one cancelled call; or
// calls of tools whose server asks the client, which answers as the work says.
//
// The work comes as JSON in the first argument; the last line printed is the result as JSON. Before the call
// that will be cancelled the driver prints {"phase":"cancel"} and waits for a line, so that the runner can
// make the server slow first; with the next line the runner says that the call is under way.
import { createInterface } from 'node:readline';

export const work = JSON.parse(process.argv[2]);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/**
 * Does the work. `connect` gives a client that declares `declares` and answers with `handlers` (method → function of
 * the params): version, list(), call({name, arguments}, signal) and close().
 */
export async function run(connect) {
  finish(work.connections ? await converse(connect) : await drive(connect));
}

async function drive(connect) {
  const client = await connect({ declares: {}, handlers: {} });
  const seen = { version: client.version, tools: await client.list() };
  seen.call = await outcome(client.call(work.call));
  seen.deniedTool = await outcome(client.call(work.deniedTool));
  seen.deniedArgument = await outcome(client.call(work.deniedArgument));
  console.log(JSON.stringify({ phase: 'cancel' }));
  await word();
  seen.cancelled = await cancelled(client);
  // The connection survives; and what was sent last has left before it closes.
  seen.after = await client.list();
  await client.close();
  return seen;
}

/** Each journey of each connection: how its call ended, and what the client was asked. */
async function converse(connect) {
  const seen = [];
  for (const { declares, journeys } of work.connections) {
    let turn;
    const answer = (method) => (params) => {
      turn.asked.push({ method, message: params?.message, mode: params?.mode, url: params?.url });
      return turn.answer;
    };
    const methods = { elicitation: 'elicitation/create', sampling: 'sampling/createMessage', roots: 'roots/list' };
    const declared = Object.keys(declares).map((capability) => methods[capability]);
    const handlers = Object.fromEntries(declared.map((method) => [method, answer(method)]));
    const client = await connect({ declares, handlers });
    const ended = {};
    for (const journey of journeys) {
      turn = { answer: journey.answer, asked: [] };
      const end = outcome(client.call(journey.call, AbortSignal.timeout(work.patience)));
      ended[journey.name] = { ...(await end), asked: turn.asked };
    }
    await client.close();
    seen.push({ version: client.version, journeys: ended });
  }
  return seen;
}

/** Waits for a word of the runner. */
export async function word() {
  await lines.next();
}

async function cancelled(client) {
  const stop = new AbortController();
  const call = outcome(client.call(work.slow, stop.signal));
  // A call that fails at once needs no word.
  await Promise.race([call, word()]);
  stop.abort('the user changed their mind');
  return call;
}

/** A result as text, or an error as code and message. */
export async function outcome(promise) {
  try {
    const result = await promise;
    const text = (result.content ?? []).map((part) => part.text ?? '').join('');
    return { isError: result.isError === true, text };
  } catch (error) {
    return { code: error?.code ?? null, error: String(error?.message ?? error) };
  }
}

export function finish(seen) {
  console.log(JSON.stringify(seen));
  process.exit(0);
}
