import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { IExecution } from '../src/api';
import { IOutcome, Outcomes } from '../src/outcomes';
import { ExecutionState, IEntry, readEntry } from '../src/state';

/** A document and a server whose clock is turned by hand. */
class World {
  readonly entries = new Map<string, IEntry>();
  readonly server = new Map<string, IExecution>();
  readonly asked: string[] = [];
  isReachable = true;
  timers: (() => void)[] = [];
  readonly outcomes = new Outcomes({
    entry: cellId => this.entries.get(cellId) ?? null,
    ask: id => {
      this.asked.push(id);
      return this.isReachable
        ? Promise.resolve(this.server.get(id) ?? null)
        : Promise.reject(new Error('away'));
    },
    later: (_, callback) => void this.timers.push(callback)
  });

  show(cellId: string, id: string, state: ExecutionState): void {
    this.entries.set(cellId, readEntry({ id, state })!);
    this.outcomes.update();
  }

  async tick(): Promise<void> {
    const due = this.timers;
    this.timers = [];
    due.forEach(callback => callback());
    await new Promise(resolve => setImmediate(resolve));
  }
}

function settled(promise: Promise<IOutcome>): { state?: ExecutionState } {
  const seen: { state?: ExecutionState } = {};
  void promise.then(({ state }) => {
    seen.state = state;
  });
  return seen;
}

test('an end that the document shows is taken from there', async () => {
  const world = new World();
  const seen = settled(world.outcomes.wait('cell', 'e1'));
  world.show('cell', 'e1', 'queued');
  world.show('cell', 'e1', 'running');
  await world.tick();
  assert.equal(seen.state, undefined);
  world.show('cell', 'e1', 'finished');
  await world.tick();
  assert.equal(seen.state, 'finished');
  assert.deepEqual(world.asked, []);
});

test('an end that came before the answer to the request is seen', async () => {
  const world = new World();
  world.show('cell', 'e1', 'failed');
  assert.equal((await world.outcomes.wait('cell', 'e1')).state, 'failed');
});

test('Q4: a run behind another of the same cell is asked for until it ends', async () => {
  const world = new World();
  const seen = settled(world.outcomes.wait('cell', 'e2'));
  world.show('cell', 'e1', 'running');
  world.server.set('e2', execution('e2', 'queued'));
  await world.tick();
  assert.deepEqual(world.asked, ['e2']);
  assert.equal(seen.state, undefined);
  world.server.set('e2', execution('e2', 'cancelled'));
  await world.tick();
  assert.equal(seen.state, 'cancelled');
});

test('Q14: the cell is deleted: the server says how it ended', async () => {
  const world = new World();
  const seen = settled(world.outcomes.wait('cell', 'e1'));
  world.show('cell', 'e1', 'queued');
  await world.tick();
  world.entries.delete('cell');
  world.outcomes.update();
  world.server.set('e1', execution('e1', 'cancelled'));
  await world.tick();
  assert.equal(seen.state, 'cancelled');
});

test('R3: a server that is away is asked again; one that knows nothing has lost it', async () => {
  const world = new World();
  const seen = settled(world.outcomes.wait('cell', 'e1'));
  world.isReachable = false;
  await world.tick();
  await world.tick();
  assert.equal(seen.state, undefined);
  world.isReachable = true;
  await world.tick();
  assert.equal(seen.state, 'lost');
  assert.equal(world.asked.length, 3);
});

function execution(id: string, state: ExecutionState): IExecution {
  return { id, cellId: 'cell', state, error: null };
}
