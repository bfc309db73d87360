import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError } from '../src/errors';
import { submitReliably } from '../src/submit';

/** Fails with `errors` in turn, then succeeds; says how long was waited in all. */
async function tried(errors: Error[]): Promise<{ waited: number; tries: number }> {
  let waited = 0;
  let tries = 0;
  await submitReliably(
    () => {
      const error = errors[tries++];
      return error ? Promise.reject(error) : Promise.resolve();
    },
    ms => {
      waited += ms;
      return Promise.resolve();
    }
  );
  return { waited, tries };
}

const away = new TypeError('Failed to fetch');
const unknown = new ApiError('no cell', 404, 'not_found', 'cells[0]');

test('A1: a network that is away for some seconds costs no run', async () => {
  const { tries, waited } = await tried([away, away, away, away, away]);
  assert.equal(tries, 6);
  assert.equal(waited, 15_000);
  await assert.rejects(tried(Array<Error>(6).fill(away)), TypeError);
});

test('Q3: a cell that this page has just made is waited for', async () => {
  assert.equal((await tried([unknown, away, unknown])).tries, 4);
  await assert.rejects(tried(Array<Error>(6).fill(unknown)), ApiError);
});

test('A5: what the server refuses is not tried again', async () => {
  const refused = new ApiError('blank', 400, 'invalid', 'cells');
  await assert.rejects(tried([refused]), refused);
  const noPath = new ApiError('no notebook', 404, 'not_found', 'document_id');
  await assert.rejects(tried([noPath]), noPath);
});
