import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dispatch } from '../../www/worker/protocol.js';

/** @typedef {{type: 'number', value: number} | {type: 'text', text: string}} Message */

test('a message goes to the handler of its type, and the result comes back', async () => {
  /** @type {unknown[]} */
  const handled = [];
  /** @type {import('../../www/worker/protocol.js').Handlers<Message>} */
  const handlers = {
    number: ({ value }) => void handled.push(value),
    text: async ({ text }) => void handled.push(text),
  };
  assert.equal(dispatch(handlers, /** @type {Message} */ ({ type: 'number', value: 3 })), undefined);
  const pending = dispatch(handlers, /** @type {Message} */ ({ type: 'text', text: 'cat' }));
  assert.ok(pending instanceof Promise);
  await pending;
  assert.deepEqual(handled, [3, 'cat']);
});

test('a message of an unknown type is refused, and the error names the type', () => {
  const handlers = { known: () => assert.fail('the wrong handler') };
  const message = /** @type {{type: 'known'}} */ (/** @type {unknown} */ ({ type: 'follow-up' }));
  assert.throws(() => dispatch(handlers, message), { name: 'TypeError', message: /"follow-up"/ });
});
