// Where libctalk is.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What the library's file is called here. */
export const LIBRARY_NAME = process.platform === 'darwin' ? 'libctalk.dylib' : 'libctalk.so';

/** Where the library is kept beside the package. */
export const BESIDE = fileURLToPath(new URL(`../native/${LIBRARY_NAME}`, import.meta.url));

/** The file that CTALK_LIBRARY names, or the one beside the package. */
export function findLibrary() {
  // As for the command line, a variable that is set to nothing is not set.
  const given = process.env.CTALK_LIBRARY;
  if (given) {
    return given;
  }
  if (existsSync(BESIDE)) {
    return BESIDE;
  }
  const script = fileURLToPath(new URL('../scripts/install.js', import.meta.url));
  throw new Error(
    `there is no ${BESIDE}; set CTALK_LIBRARY to the ${LIBRARY_NAME} to use, or build it with: node ${script}`,
  );
}
