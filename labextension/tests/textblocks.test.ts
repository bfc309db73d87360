import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ITextBlock, LONG_LINES, inBlocks } from '../src/textblocks';

const RED = '\x1b[31m';
const RESET = '\x1b[0m';

function lines(count: number, from = 0): string {
  return Array.from({ length: count }, (_, i) => `line ${from + i}\n`).join('');
}

function whole(blocks: readonly ITextBlock[]): string {
  return blocks.map(({ text }) => text).join('');
}

/** How many of the blocks are other ones than before. */
function changed(blocks: readonly ITextBlock[], before: readonly ITextBlock[]): number {
  return blocks.filter((block, index) => block !== before[index]).length;
}

test('a short text is left in one piece', () => {
  assert.deepEqual(inBlocks('', []), []);
  assert.deepEqual(inBlocks(lines(LONG_LINES - 1), []), []);
  assert.deepEqual(inBlocks('x'.repeat(1_000_000), []), []);
  assert.notDeepEqual(inBlocks(lines(LONG_LINES), []), []);
});

test('blocks are whole lines, and all of the text', () => {
  const text = lines(1000) + '\n\n\n' + 'wide '.repeat(50_000) + '\n' + lines(150) + 'open';
  const blocks = inBlocks(text, []);
  assert.equal(whole(blocks), text);
  assert.ok(blocks.slice(0, -1).every(block => block.text.endsWith('\n')));
  assert.ok(blocks.every(block => block.lines <= 100));
  assert.equal(
    blocks.reduce((sum, block) => sum + block.lines, 0),
    text.split('\n').length
  );
});

test('text that is appended changes the last block only', () => {
  let text = lines(1000);
  let blocks = inBlocks(text, []);
  for (const piece of ['li', 'ne\n', 'x', '\n', lines(70)]) {
    text += piece;
    const next = inBlocks(text, blocks);
    assert.equal(whole(next), text);
    assert.equal(changed(next, blocks), 1, JSON.stringify(piece));
    assert.deepEqual(next, inBlocks(text, []));
    blocks = next;
  }
  assert.equal(changed(inBlocks(text, blocks), blocks), 0);
});

test('whatever becomes of a text, its blocks are those of a new one', () => {
  const text = lines(1000);
  const edits = [
    text.replace('line 450\n', 'line 450 and more\n'),
    text.replace('line 450\n', ''),
    text.slice(1234),
    text.slice(0, 3456),
    lines(500, 500),
    lines(10),
    RED + text,
    `${text}${RED}red${RESET}`,
    text.replace('line 50\n', `${RED}line 50\n`)
  ];
  const blocks = inBlocks(text, []);
  for (const edited of edits) {
    const after = inBlocks(edited, blocks);
    assert.deepEqual(after, inBlocks(edited, []));
    assert.deepEqual(inBlocks(text, after), blocks);
  }
  const inTheMidst = inBlocks(text.replace('line 450', 'LINE 450'), blocks);
  assert.equal(changed(inTheMidst, blocks), 1);
});

test('colours go on from block to block, and end where they end', () => {
  const text = lines(150) + RED + lines(200, 150) + RESET + lines(200, 350);
  const blocks = inBlocks(text, []);
  assert.deepEqual(
    blocks.map(({ codes }) => codes),
    ['', '', RED, RED, '', '']
  );
  const calmed = inBlocks(text.replace(RED, ''), blocks);
  assert.equal(changed(calmed, blocks), 3);
  assert.ok(calmed.every(({ codes }) => codes === ''));
});
