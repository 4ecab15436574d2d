// Puts libctalk beside the package, unless it is there: a copy of what CTALK_LIBRARY names, or else what
// cargo builds where the package lies in ctalk's source tree.

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { BESIDE, LIBRARY_NAME } from '../src/library.js';

const workspace = fileURLToPath(new URL('../../../', import.meta.url));

function fail(why) {
  console.error(`ctalk: ${why}`);
  process.exit(1);
}

function build() {
  if (!existsSync(join(workspace, 'crates/ffi/Cargo.toml'))) {
    fail(`there is no ${BESIDE}; set CTALK_LIBRARY to a ${LIBRARY_NAME} and install again`);
  }
  const args = ['build', '--release', '--locked', '--package', 'ctalk-ffi', '--message-format', 'json-render-diagnostics'];
  const cargo = spawnSync('cargo', args, {
    cwd: workspace,
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (cargo.error?.code === 'ENOENT') {
    fail('there is no cargo to build the library with; install Rust, or set CTALK_LIBRARY and install again');
  }
  if (cargo.status !== 0) {
    fail(`cargo ${args.join(' ')} failed in ${workspace}`);
  }
  const files = cargo.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .flatMap((line) => JSON.parse(line).filenames ?? []);
  return files.findLast((file) => file.endsWith(LIBRARY_NAME)) ?? fail(`cargo built no ${LIBRARY_NAME}`);
}

if (!existsSync(BESIDE)) {
  const library = process.env.CTALK_LIBRARY || build();
  mkdirSync(dirname(BESIDE), { recursive: true });
  // A process that has the file open keeps the one it has.
  const fresh = `${BESIDE}.${process.pid}`;
  copyFileSync(library, fresh);
  renameSync(fresh, BESIDE);
}
