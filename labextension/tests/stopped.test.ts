import assert from 'node:assert/strict';
import { test } from 'node:test';

import { IEntry, readEntry } from '../src/state';
import { StoppedCells } from '../src/stopped';
import { english } from './english';

function entry(id: string, state: string, reason = '', by = 'ada'): IEntry {
  const who = { username: by, display_name: by === 'ada' ? 'Ada' : 'Bob' };
  return readEntry({ id, state, reason, ended_by: reason ? who : null, requested_by: who })!;
}

function told(...looks: IEntry[][]): string[] {
  const texts: string[] = [];
  const stopped = new StoppedCells(
    text => texts.push(text),
    () => 'ada',
    english
  );
  looks.forEach(look => stopped.update(look));
  return texts;
}

test('Q8: what an interrupt took out of the queue is told once, with who did it', () => {
  const before = [entry('a', 'running'), entry('b', 'queued'), entry('c', 'queued')];
  const after = [
    entry('a', 'cancelled', 'interrupted', 'bob'),
    entry('b', 'cancelled', 'interrupted', 'bob'),
    entry('c', 'cancelled', 'interrupted', 'bob')
  ];
  assert.deepEqual(told(before, after, after), [
    'Interrupted by Bob: 2 cells that waited will not run.'
  ]);
});

test('Q8: an interrupt that stopped one running cell alone is seen there', () => {
  assert.deepEqual(told([entry('a', 'running')], [entry('a', 'cancelled', 'interrupted')]), []);
});

test('Q7: who cancels a cell knows which; a page that comes later is told nothing', () => {
  assert.deepEqual(told([entry('b', 'queued')], [entry('b', 'cancelled', 'cancelled')]), []);
  assert.deepEqual(told([entry('b', 'cancelled', 'interrupted')]), []);
});

test('Q8: who interrupted it knows who did', () => {
  assert.deepEqual(told([entry('b', 'queued')], [entry('b', 'cancelled', 'interrupted')]), [
    'Interrupted: the cell that waited will not run.'
  ]);
});
