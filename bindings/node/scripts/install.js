// Puts libctalk beside the package: a copy of what CTALK_LIBRARY names, or else, where the package lies in
// ctalk's source tree, of what cargo builds. A package that was packed has its own already.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { BESIDE, LIBRARY_NAME } from '../src/library.js';

const own = fileURLToPath(new URL('../', import.meta.url));
const workspace = join(own, '../..');
const isInSource = existsSync(join(workspace, 'crates/ffi/Cargo.toml'));

function fail(why) {
  console.error(`ctalk: ${why}`);
  process.exit(1);
}

function run(program, args, options) {
  const done = spawnSync(program, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', ...options });
  if (done.error?.code === 'ENOENT') {
    fail(`there is no ${program}; install it, or set CTALK_LIBRARY to a ${LIBRARY_NAME}, and install again`);
  }
  if (done.status !== 0) {
    fail(`${program} ${args.join(' ')} failed`);
  }
  return done.stdout;
}

/** Builds the library and says where it is. */
function build() {
  const messages = ['--message-format', 'json-render-diagnostics'];
  const args = ['build', '--profile', 'dist', '--locked', '--package', 'ctalk-ffi', ...messages];
  const files = run('cargo', args, { cwd: workspace, maxBuffer: 1 << 30 })
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .flatMap((line) => JSON.parse(line).filenames ?? []);
  return files.findLast((file) => file.endsWith(LIBRARY_NAME)) ?? fail(`cargo built no ${LIBRARY_NAME}`);
}

function copy(library) {
  mkdirSync(dirname(BESIDE), { recursive: true });
  // A process that has the file open keeps the one it has.
  const fresh = `${BESIDE}.${process.pid}`;
  copyFileSync(library, fresh);
  renameSync(fresh, BESIDE);
}

if (process.env.CTALK_LIBRARY) {
  copy(process.env.CTALK_LIBRARY);
} else if (isInSource) {
  copy(build());
} else if (!existsSync(BESIDE)) {
  fail(`there is no ${BESIDE}; set CTALK_LIBRARY to a ${LIBRARY_NAME} and install again`);
}

// npm links a folder that is installed, and leaves to the folder what that needs.
try {
  createRequire(import.meta.url).resolve('koffi');
} catch {
  run('npm', ['ci', '--prefix', own, '--omit', 'dev', '--ignore-scripts', '--no-fund', '--no-audit']);
}
