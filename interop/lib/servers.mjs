// The real servers: how each is started, what is called on it, and what its people may do.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.mjs';

/**
 * @param {string} js folder whose node_modules holds the npm servers
 * @param {string} py folder of the virtual environment with the PyPI servers
 * @param {string} dir a folder for what the servers work on
 */
export async function servers({ node, js, py, dir, everythingUrl, sseUrl, mcp1Url }) {
  const files = join(dir, 'files');
  const repository = join(dir, 'repository');
  mkdirSync(join(files, 'private'), { recursive: true });
  writeFileSync(join(files, 'hello.txt'), 'Hello from a real file.\n');
  writeFileSync(join(files, 'private', 'diary.txt'), 'Nobody reads this.\n');
  await commitSomething(repository);
  const npm = (name) => join(js, 'node_modules/@modelcontextprotocol', name, 'dist/index.js');
  const everything = {
    program: npm('server-everything'),
    call: { name: 'echo', arguments: { message: 'hello' }, answers: 'hello' },
    deniedTool: { name: 'get-env', arguments: {} },
    deniedArgument: { name: 'echo', arguments: { message: 'the secret' } },
    // Slow by itself, so it is not stopped: Node resets connections that idled while it was.
    slow: { name: 'trigger-long-running-operation', arguments: { duration: 20, steps: 4 } },
    rule: 'context.args has message && context.args.message like "*secret*"',
  };
  return {
    everything: { config: { http: { url: everythingUrl, allow_loopback: true } }, ...everything },
    // HTTP+SSE, the transport before streamable HTTP.
    'everything-sse': { config: { http: { url: sseUrl, allow_loopback: true } }, ...everything },
    filesystem: {
      config: { stdio: { command: node, args: [npm('server-filesystem'), files] } },
      program: npm('server-filesystem'),
      stops: true,
      call: { name: 'read_text_file', arguments: { path: join(files, 'hello.txt') }, answers: 'Hello from a real file' },
      deniedTool: { name: 'write_file', arguments: { path: join(files, 'new.txt'), content: 'x' } },
      deniedArgument: { name: 'read_text_file', arguments: { path: join(files, 'private/diary.txt') } },
      slow: { name: 'read_text_file', arguments: { path: join(files, 'hello.txt') } },
      rule: 'context.args has path && context.args.path like "*/private/*"',
    },
    memory: {
      config: {
        stdio: {
          command: node,
          args: [npm('server-memory')],
          env: { MEMORY_FILE_PATH: { value: join(dir, 'memory.jsonl') } },
        },
      },
      program: npm('server-memory'),
      stops: true,
      call: { name: 'search_nodes', arguments: { query: 'portunus' }, answers: 'entities' },
      deniedTool: { name: 'delete_entities', arguments: { entityNames: ['everyone'] } },
      deniedArgument: { name: 'search_nodes', arguments: { query: 'salaries' } },
      slow: { name: 'search_nodes', arguments: { query: 'later' } },
      rule: 'context.args has query && context.args.query == "salaries"',
    },
    git: {
      config: {
        stdio: {
          command: join(py, 'bin/mcp-server-git'),
          args: ['--repository', repository],
          env: { PATH: { value: '/usr/bin:/bin' }, HOME: { value: dir } },
        },
      },
      program: 'mcp-server-git',
      stops: true,
      call: { name: 'git_log', arguments: { repo_path: repository, max_count: 5 }, answers: 'the first commit' },
      deniedTool: { name: 'git_reset', arguments: { repo_path: repository } },
      deniedArgument: { name: 'git_log', arguments: { repo_path: repository, max_count: 5000 } },
      slow: { name: 'git_log', arguments: { repo_path: repository, max_count: 6 } },
      rule: 'context.args has max_count && context.args.max_count > 100',
    },
    time: {
      config: { stdio: { command: join(py, 'bin/mcp-server-time'), args: ['--local-timezone', 'UTC'] } },
      program: 'mcp-server-time',
      stops: true,
      call: { name: 'get_current_time', arguments: { timezone: 'Europe/Berlin' }, answers: 'Europe/Berlin' },
      deniedTool: {
        name: 'convert_time',
        arguments: { source_timezone: 'UTC', time: '12:00', target_timezone: 'Europe/Berlin' },
      },
      deniedArgument: { name: 'get_current_time', arguments: { timezone: 'Antarctica/Troll' } },
      slow: { name: 'get_current_time', arguments: { timezone: 'UTC' } },
      rule: 'context.args has timezone && context.args.timezone like "Antarctica/*"',
    },
    // Of the session era only: it refuses the question for its revision with 400, under an id of its own.
    mcp1: {
      config: { http: { url: mcp1Url, allow_loopback: true } },
      program: 'mcp1.py',
      call: { name: 'echo', arguments: { message: 'hello' }, answers: 'echo: hello' },
      deniedTool: { name: 'secret', arguments: {} },
      deniedArgument: { name: 'echo', arguments: { message: 'the secret' } },
      // Slow by itself.
      slow: { name: 'wait', arguments: { seconds: 20 } },
      rule: 'context.args has message && context.args.message like "*secret*"',
    },
  };
}

/** The policy of one server: developers may call one or two tools, and one not with every argument. */
export function policy(name, { call, slow, rule }) {
  const allowed = [...new Set([call.name, slow.name])].map((tool) => `Action::"${name}/${tool}"`);
  return `@id("${name}-discover")
permit (principal, action == Action::"discover:${name}", resource);

@id("${name}-developers")
permit (principal, action in [${allowed}], resource)
when { principal.roles.contains("developer") };

@id("${name}-argument")
forbid (principal, action == Action::"${name}/${call.name}", resource)
when { ${rule} };
`;
}

async function commitSomething(repository) {
  mkdirSync(repository, { recursive: true });
  const git = async (...args) => {
    const { code, err } = await run('git', ['-C', repository, '-c', 'user.name=x', '-c', 'user.email=x@example.invalid', ...args]);
    if (code !== 0) throw new Error(`git ${args[0]}: ${err}`);
  };
  await git('init', '--quiet');
  writeFileSync(join(repository, 'README'), 'A repository to read.\n');
  await git('add', 'README');
  await git('commit', '--quiet', '--message', 'the first commit');
}
