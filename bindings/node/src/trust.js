// Whose keys somebody holds, and how long they count; and receipts.

import { Card } from './card.js';
import { data, text } from './input.js';
import { call } from './native.js';

export function safetyNumber(one, other) {
  return call('ctalk_safety_number', fingerprint(one), fingerprint(other));
}

export function verifyStatement(statement) {
  return call('ctalk_statement_verify', text(statement, 'statement'));
}

export function readReceipt(envelope) {
  if (envelope === null || typeof envelope !== 'object') {
    throw new TypeError('this is no opened envelope');
  }
  const { payload, contentType, replyTo } = envelope;
  const answered = replyTo === null ? null : text(replyTo, 'replyTo');
  return call('ctalk_receipt_read', data(payload, 'payload'), text(contentType, 'contentType'), answered);
}

function fingerprint(whose) {
  return whose instanceof Card ? whose.fingerprint : text(whose, 'a fingerprint');
}
