// Stops and continues the processes of a server, so that a call of any tool can be made to take long.
import { readFileSync, readdirSync } from 'node:fs';

/** Keeps every process whose command line names `program` stopped, also those that appear later. */
export function freeze(program) {
  const stopped = new Set();
  const sweep = () => {
    for (const pid of matching(program)) {
      if (!stopped.has(pid) && signal(pid, 'SIGSTOP')) stopped.add(pid);
    }
  };
  sweep();
  const timer = setInterval(sweep, 10);
  return () => {
    clearInterval(timer);
    for (const pid of stopped) signal(pid, 'SIGCONT');
  };
}

/** Descendants of this process that run `program`. */
function matching(program) {
  const parents = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      parents.set(+entry, +stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    } catch {
      // It ended meanwhile.
    }
  }
  const ours = (pid) => {
    for (let at = pid; at > 1; at = parents.get(at) ?? 0) if (at === process.pid) return true;
    return false;
  };
  return [...parents.keys()].filter((pid) => {
    if (pid === process.pid || !ours(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.slice(0, 3).some((word) => word === program || word.endsWith(`/${program}`));
    } catch {
      return false;
    }
  });
}

function signal(pid, name) {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
