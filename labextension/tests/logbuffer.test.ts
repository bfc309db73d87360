import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LogBuffer } from '../src/logbuffer';

const RED = '\x1b[31m';
const RESET = '\x1b[0m';

function texts(buffer: LogBuffer): string[] {
  return buffer.lines.map(({ text }) => text);
}

test('K5: lines are lines, in whatever pieces they come', () => {
  const whole = 'one\ntwo\r\n\nthree, which goes on';
  for (let size = 1; size <= whole.length; size++) {
    const buffer = new LogBuffer(100, 10_000);
    for (let start = 0; start < whole.length; start += size) {
      buffer.append(whole.slice(start, start + size));
    }
    assert.deepEqual(
      texts(buffer),
      ['one', 'two', '', 'three, which goes on'],
      `pieces of ${size}`
    );
    assert.deepEqual(
      buffer.lines.map(({ number }) => number),
      [0, 1, 2, 3]
    );
  }
});

test('K5: what changed is told from the line that grew', () => {
  const buffer = new LogBuffer(100, 10_000);
  assert.equal(buffer.append('one\ntw'), 0);
  assert.equal(buffer.append('o\nthree\n'), 1);
  assert.equal(buffer.append('four'), 3);
  assert.equal(buffer.mark('restarted'), 4);
  assert.equal(buffer.append('five'), 5);
  assert.deepEqual(texts(buffer), ['one', 'two', 'three', 'four', 'restarted', 'five']);
});

test('K5: a bar that goes back to the beginning of its line is one line', () => {
  const buffer = new LogBuffer(100, 10_000);
  for (let percent = 0; percent <= 100; percent++) {
    buffer.append(`\r${percent}%`);
  }
  buffer.append('\ndone\n');
  assert.deepEqual(texts(buffer), ['100%', 'done']);
});

test('K5: a colour holds until it is taken back, on the lines behind too', () => {
  const buffer = new LogBuffer(100, 10_000);
  buffer.append(`${RED}one\ntwo${RESET} plain\nthree\n`);
  assert.deepEqual(texts(buffer), [`${RED}one`, `${RED}two${RESET} plain`, 'three']);
});

test('K5: no other sequence of a terminal is shown', () => {
  const buffer = new LogBuffer(100, 10_000);
  buffer.append('\x1b[2K\x1b[1Gstep\x1b]0;title\x07 1\n');
  assert.deepEqual(texts(buffer), ['step 1']);
});

test('K5: a log of any length takes a bounded room', () => {
  const buffer = new LogBuffer(50, 1000);
  for (let i = 0; i < 10_000; i++) {
    buffer.append(`line ${i}\n`);
  }
  assert.equal(buffer.lines.length, 50);
  assert.equal(buffer.lines[49].text, 'line 9999');
  assert.equal(buffer.lines[49].number, 9999);
  for (let i = 0; i < 20; i++) {
    buffer.append('x'.repeat(300)); // a line without an end
  }
  buffer.append('\n' + 'y'.repeat(400) + '\n' + 'z'.repeat(400) + '\n');
  const chars = texts(buffer).reduce((sum, text) => sum + text.length + 1, 0);
  assert.ok(chars <= 1000, `${chars} characters are kept`);
  assert.ok(buffer.lines[buffer.lines.length - 1].text.startsWith('zzz'));
});

test('U3: cleared is empty, and what comes next is shown', () => {
  const buffer = new LogBuffer(100, 10_000);
  buffer.append('one\ntwo');
  buffer.clear();
  assert.deepEqual(texts(buffer), []);
  buffer.append(' goes on\nthree\n');
  assert.deepEqual(texts(buffer), [' goes on', 'three']);
});
