// What can go wrong: an error class for each class of failures, the same that the exit codes of the
// command line tell apart.

import { codes } from './codes.js';

const NAMES = new Map(Object.entries(codes).map(([name, number]) => [number, name]));

export class CtalkError extends Error {
  /** The exit code with which the command line ends for the same reason. */
  static exitCode = 1;

  /**
   * @param {number} number the library's number
   * @param {string} message
   */
  constructor(number, message) {
    super(message);
    this.number = number;
    this.code = NAMES.get(number) ?? `CTALK_${number}`;
  }

  get name() {
    return this.constructor.name;
  }

  get exitCode() {
    return /** @type {typeof CtalkError} */ (this.constructor).exitCode;
  }
}

export class UnexpectedError extends CtalkError {
  static exitCode = 1;
}
export class UsageError extends CtalkError {
  static exitCode = 2;
}
export class NotVerifiedError extends CtalkError {
  static exitCode = 3;
}
export class CannotOpenError extends CtalkError {
  static exitCode = 4;
}
export class NotTrustedError extends CtalkError {
  static exitCode = 5;
}
export class RelayUnreachableError extends CtalkError {
  static exitCode = 6;
}
export class RelayRefusedError extends CtalkError {
  static exitCode = 7;
}
export class LocalStoreError extends CtalkError {
  static exitCode = 8;
}
export class SetAsideError extends CtalkError {
  static exitCode = 9;
}
export class MalformedError extends CtalkError {
  static exitCode = 10;
}
export class RemoteFailedError extends CtalkError {
  static exitCode = 11;
}
export class TimedOutError extends CtalkError {
  static exitCode = 12;
}
export class RefusedError extends CtalkError {
  static exitCode = 13;
}
/** Named as what an AbortSignal ends is named in Node. */
export class AbortError extends CtalkError {
  static exitCode = 130;
}

const CLASSES = new Map(
  [
    UnexpectedError,
    UsageError,
    NotVerifiedError,
    CannotOpenError,
    NotTrustedError,
    RelayUnreachableError,
    RelayRefusedError,
    LocalStoreError,
    SetAsideError,
    MalformedError,
    RemoteFailedError,
    TimedOutError,
    RefusedError,
    AbortError,
  ].map((Class) => [Class.exitCode, Class]),
);

/**
 * The error for a code of the class with this exit code.
 *
 * @param {number} number
 * @param {number} exitCode
 * @param {string} message
 */
export function errorOf(number, exitCode, message) {
  const Class = CLASSES.get(exitCode) ?? UnexpectedError;
  return new Class(number, message);
}
