import { strict as assert } from 'node:assert';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { Lookout } from '../src/lookout';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }));
afterEach(() => mock.timers.reset());

function lookout(): { looks: () => number; made: Lookout } {
  let count = 0;
  return { looks: () => count, made: new Lookout(() => count++) };
}

test('a crowd of changes is one look, at the soonest of their times', () => {
  const { looks, made } = lookout();
  made.within(1000);
  made.within(200);
  made.within(500);
  mock.timers.tick(199);
  assert.equal(looks(), 0);
  mock.timers.tick(1);
  assert.equal(looks(), 1);
  mock.timers.tick(5000);
  assert.equal(looks(), 1);
});

test('changes without end do not put a look off', () => {
  const { looks, made } = lookout();
  for (let ms = 0; ms < 1000; ms += 20) {
    made.within(200);
    mock.timers.tick(20);
  }
  assert.equal(looks(), 5);
});

test('after a cancel there is no look, until one is asked for again', () => {
  const { looks, made } = lookout();
  made.within(0);
  made.cancel();
  mock.timers.tick(1000);
  assert.equal(looks(), 0);
  made.within(0);
  mock.timers.tick(1);
  assert.equal(looks(), 1);
});
