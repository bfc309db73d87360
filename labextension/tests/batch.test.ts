import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Batches } from '../src/batch';

const NOTEBOOK = {};

test('U2: the items of one tick are one batch, in their order', async () => {
  const seen: string[][] = [];
  const batches = new Batches<object, string, string>(items => {
    seen.push([...items]);
    return Promise.resolve(items.map(item => Promise.resolve(item + '!')));
  });
  const results = await Promise.all(['a', 'b', 'c'].map(item => batches.add(NOTEBOOK, item)));
  assert.deepEqual(seen, [['a', 'b', 'c']]);
  assert.deepEqual(results, ['a!', 'b!', 'c!']);
});

test('U1: what is gathered is handled at once when nothing more comes', async () => {
  const seen: string[][] = [];
  const batches = new Batches<object, string, void>(items => {
    seen.push([...items]);
    return Promise.resolve(items.map(() => Promise.resolve()));
  });
  void batches.add(NOTEBOOK, 'a');
  void batches.add(NOTEBOOK, 'b');
  batches.flush(NOTEBOOK);
  assert.deepEqual(seen, [['a', 'b']]);
  void batches.add(NOTEBOOK, 'c');
  batches.flush(NOTEBOOK);
  batches.flush(NOTEBOOK);
  assert.deepEqual(seen, [['a', 'b']], 'the one before is not sent yet');
  await turn();
  assert.deepEqual(seen, [['a', 'b'], ['c']]);
});

test('Q2: other notebooks have batches of their own', async () => {
  const seen: string[][] = [];
  const batches = new Batches<object, string, void>(items => {
    seen.push([...items]);
    return Promise.resolve(items.map(() => Promise.resolve()));
  });
  await Promise.all([batches.add({}, 'a'), batches.add({}, 'b')]);
  assert.deepEqual(seen, [['a'], ['b']]);
});

test('Q4: a batch is sent only when the one before was, and does not wait for its end', async () => {
  const sent: (() => void)[] = [];
  const log: string[] = [];
  const batches = new Batches<object, string, void>(async ([item]) => {
    log.push(item);
    await new Promise<void>(resolve => sent.push(resolve));
    return [new Promise<void>(() => undefined)]; // runs for ever
  });
  void batches.add(NOTEBOOK, 'first');
  await turn();
  void batches.add(NOTEBOOK, 'second');
  await turn();
  assert.deepEqual(log, ['first']);
  sent[0]();
  await turn();
  assert.deepEqual(log, ['first', 'second']);
});

test('an error reaches all of its batch, and the next batch is handled', async () => {
  let isBroken = true;
  const batches = new Batches<object, number, number>(items =>
    isBroken
      ? Promise.reject(new Error('away'))
      : Promise.resolve(items.map(item => Promise.resolve(item)))
  );
  const first = [1, 2].map(item => batches.add(NOTEBOOK, item));
  const settled = await Promise.allSettled(first);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['rejected', 'rejected']
  );
  isBroken = false;
  assert.equal(await batches.add(NOTEBOOK, 3), 3);
});

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
