import assert from 'node:assert/strict';
import { test } from 'node:test';

import { IDelta, commonStart, growth, listSteps, textSteps } from '../src/deltas';

type Change = IDelta<string[]>[];

/** What a list that follows the steps holds in the end. */
function follow(before: string[], delta: Change, after: string[]): string[] {
  const list = [...before];
  for (const step of listSteps(before.length, delta, after)) {
    if (step.do === 'set') {
      list[step.index] = step.value;
    } else if (step.do === 'remove') {
      list.splice(step.index, 1);
    } else {
      list.push(step.value);
    }
  }
  return list;
}

function applied(before: string[], delta: Change): string[] {
  const after: string[] = [];
  let old = 0;
  for (const part of delta) {
    after.push(...before.slice(old, old + (part.retain ?? 0)));
    old += (part.retain ?? 0) + (part.delete ?? 0);
    after.push(...(part.insert ?? []));
  }
  return [...after, ...before.slice(old)];
}

test('an output is appended', () => {
  assert.deepEqual(listSteps(2, [{ retain: 2 }, { insert: ['x'] }], [0, 1, 2]), [
    { do: 'add', value: 2 }
  ]);
});

test('O5: an output that is replaced stays where it is, whatever the order of the edits', () => {
  for (const delta of [
    [{ retain: 1 }, { insert: ['x'] }, { delete: 1 }],
    [{ retain: 1 }, { delete: 1 }, { insert: ['x'] }]
  ]) {
    assert.deepEqual(listSteps(3, delta, [0, 1, 2]), [{ do: 'set', index: 1, value: 1 }]);
  }
});

test('O4: all is replaced by one output without an empty moment', () => {
  assert.deepEqual(listSteps(2, [{ insert: ['x'] }, { delete: 2 }], [0]), [
    { do: 'set', index: 0, value: 0 },
    { do: 'remove', index: 1 }
  ]);
});

test('an output put in between moves those behind', () => {
  const delta = [{ retain: 1 }, { insert: ['x'] }];
  assert.deepEqual(follow(['a', 'b', 'c'], delta, ['a', 'x', 'b', 'c']), ['a', 'x', 'b', 'c']);
});

test('O1: steps end where the change ends, for all small changes', () => {
  const parts: Change = [
    { retain: 1 },
    { delete: 1 },
    { delete: 2 },
    { insert: ['x'] },
    { insert: ['y', 'z'] }
  ];
  for (let length = 0; length <= 4; length++) {
    const before = ['a', 'b', 'c', 'd'].slice(0, length);
    for (const first of parts) {
      for (const second of parts) {
        for (const third of parts) {
          const delta = [first, second, third];
          const used = delta.reduce(
            (sum, part) => sum + (part.retain ?? 0) + (part.delete ?? 0),
            0
          );
          if (used <= length) {
            const after = applied(before, delta);
            assert.deepEqual(follow(before, delta, after), after);
            assert.equal(growth(delta), after.length - before.length);
          }
        }
      }
    }
  }
});

test('O3: the end of a line is edited where it is, in whatever order it was', () => {
  const expected = [{ start: 4, delete: 2, insert: '███' }];
  assert.deepEqual(textSteps([{ retain: 4 }, { delete: 2 }, { insert: '███' }]), expected);
  assert.deepEqual(textSteps([{ retain: 4 }, { insert: '███' }, { delete: 2 }]), expected);
});

test('O15: a text that loses its head and grows at its end is edited at both', () => {
  assert.deepEqual(textSteps([{ delete: 3 }, { retain: 5 }, { insert: 'new' }]), [
    { start: 0, delete: 3, insert: '' },
    { start: 5, delete: 0, insert: 'new' }
  ]);
});

test('O1: what two texts share at their start', () => {
  assert.equal(commonStart('', ''), 0);
  assert.equal(commonStart('abc', 'abcd'), 3);
  assert.equal(commonStart('abcd', 'abc'), 3);
  assert.equal(commonStart('abX', 'abYZ'), 2);
  assert.equal(commonStart('', 'x'), 0);
});
