import assert from 'node:assert/strict';
import { test } from 'node:test';

import { consequences, load } from '../src/consequences';
import { INoteContext, STUCK_AFTER_MS, noteOf } from '../src/notes';
import { IEntry, readEntry } from '../src/state';
import { english } from './english';

const CONTEXT: INoteContext = {
  stoppingMs: 0,
  isKernelDead: false,
  hasLog: true,
  canHardRestart: true,
  me: 'ada'
};

function entry(values: object): IEntry {
  return readEntry({
    id: 'e1',
    request_id: 'r1',
    state: 'running',
    started_at: '2026-01-01T00:00:00.000Z',
    requested_by: { username: 'ada', display_name: 'Ada' },
    ...values
  })!;
}

function note(values: object, context: Partial<INoteContext> = {}) {
  return noteOf(entry(values), { ...CONTEXT, ...context }, english);
}

test('Q8: a kernel has some time to react before a restart is offered', () => {
  const stopping = { reason: 'interrupted' };
  assert.equal(note(stopping, { stoppingMs: STUCK_AFTER_MS - 1 }), null);
  const stuck = note(stopping, { stoppingMs: STUCK_AFTER_MS });
  assert.deepEqual(stuck?.actions, ['restart', 'interrupt', 'hard-restart', 'log']);
  assert.equal(note({}, { stoppingMs: STUCK_AFTER_MS }), null);
});

test('Q8: what cannot be done is not offered', () => {
  const stuck = note(
    { reason: 'cancelled' },
    { stoppingMs: STUCK_AFTER_MS, hasLog: false, canHardRestart: false }
  );
  assert.deepEqual(stuck?.actions, ['restart', 'interrupt']);
});

test('Q15: a run that passed its limit is ended by the server', () => {
  assert.equal(note({ reason: 'time_limit' }, { stoppingMs: 60_000 }), null);
});

test('K1: a dead kernel can be restarted; where a new one is there, cells can run again', () => {
  const died = { state: 'lost', reason: 'kernel_died' };
  assert.deepEqual(note(died, { isKernelDead: true })?.actions, ['restart', 'log']);
  assert.deepEqual(note(died)?.actions, ['run-to-here', 'log']);
});

test('U4: a crash of the server is told in the cell that it hit', () => {
  const note_ = note({ state: 'lost', reason: 'server_stopped' });
  assert.match(note_!.text, /server stopped/);
  assert.ok(note_!.isUrgent);
});

test('Q8: who stopped it is said to the others, not to themselves', () => {
  const by = (username: string) => ({
    state: 'cancelled',
    reason: 'interrupted',
    ended_by: { username, display_name: username === 'ada' ? 'Ada' : 'Bob' }
  });
  assert.equal(note(by('bob'))?.text, 'Stopped by Bob.');
  assert.equal(note(by('ada')), null);
});

test('Q7: a cell that never ran keeps its old outputs, and has no note', () => {
  const queued = { state: 'cancelled', reason: 'kernel_restarted', started_at: null };
  assert.equal(note(queued), null);
});

test('K2: a restart says what it ends, and what it leaves', () => {
  const entries = ['running', 'queued', 'queued', 'finished'].map(state => entry({ state }));
  assert.deepEqual(load(entries), { running: 1, queued: 2 });
  assert.deepEqual(consequences('in-place', load(entries), 'slurm 4711', english), [
    '1 cell runs: it ends where it is, and its outputs stay.',
    '2 cells wait: they will not run.',
    'All variables are lost.',
    'What the kernel runs in stays yours (slurm 4711).'
  ]);
  assert.deepEqual(consequences('in-place', load([]), '', english), ['All variables are lost.']);
});

test('K3: a hard restart says that what the kernel runs in is given back', () => {
  const lines = consequences('hard', load([]), 'slurm 4711', english);
  assert.match(lines[1], /given back \(slurm 4711\)/);
});
