import assert from 'node:assert/strict';
import { test } from 'node:test';

import { saveWhenReachable } from '../src/savelater';

class Context {
  saved = 0;
  save(): Promise<void> {
    this.saved++;
    return Promise.resolve();
  }
}

type Argument = Parameters<typeof saveWhenReachable>[0];

test('U4: who saves while the server is away saves once it is back', async () => {
  const context = new Context();
  let isBack = false;
  let back: () => void = () => undefined;
  let told = 0;
  const reach = {
    isReachable: () => Promise.resolve(isBack),
    untilBack: () => {
      told++;
      return new Promise<void>(resolve => (back = resolve));
    }
  };
  const handle = saveWhenReachable(context as unknown as Argument, reach);
  const saves = [context.save(), context.save()];
  await new Promise(resolve => setImmediate(resolve));
  assert.deepEqual([context.saved, told], [0, 1]);
  isBack = true;
  back();
  await Promise.all(saves);
  assert.equal(context.saved, 2);
  await context.save();
  assert.deepEqual([context.saved, told], [3, 1]);
  handle.dispose();
  assert.deepEqual(Object.keys(context), ['saved']);
});
