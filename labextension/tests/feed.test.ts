import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Feed, IFeedListener, IFeedSource } from '../src/feed';
import type { IRecord } from '../src/records';
import { record } from './execution';

/** A server whose lists and streams the test ends by hand. */
class StandIn implements IFeedSource {
  readonly lists: {
    limit: number;
    answer: (records: IRecord[], aheadMs?: number) => void;
    refuse: () => void;
  }[] = [];
  readonly streams: {
    lastId: string;
    listener: IFeedListener;
    abort: AbortSignal;
    break: () => void;
  }[] = [];

  list(limit: number): Promise<{ records: IRecord[]; aheadMs: number }> {
    return new Promise((resolve, reject) => {
      this.lists.push({
        limit,
        refuse: () => reject(new Error('refused')),
        answer: (records, aheadMs = 0) => resolve({ records, aheadMs })
      });
    });
  }

  follow(lastId: string, abort: AbortSignal, listener: IFeedListener): Promise<void> {
    return new Promise((_, reject) => {
      const stop = (): void => reject(new Error('broken'));
      abort.addEventListener('abort', stop);
      this.streams.push({ lastId, listener, abort, break: stop });
      this._asked.get(this.streams.length - 1)?.();
    });
  }

  /** Resolves when so many streams were asked for before, and one more. */
  stream(index: number): Promise<void> {
    return new Promise(resolve => {
      if (this.streams.length > index) {
        resolve();
      }
      this._asked.set(index, resolve);
    });
  }

  private readonly _asked = new Map<number, () => void>();
}

/** Resolves at the feed's next change, with the ids. */
function change(feed: Feed): Promise<string[]> {
  return new Promise(resolve => {
    const once = (_: Feed, ids: ReadonlySet<string>): void => {
      feed.changed.disconnect(once);
      resolve([...ids].sort());
    };
    feed.changed.connect(once);
  });
}

function status(feed: Feed, wanted: string): Promise<void> {
  return new Promise(resolve => {
    const look = (): void => {
      if (feed.status === wanted) {
        feed.statusChanged.disconnect(look);
        resolve();
      }
    };
    feed.statusChanged.connect(look);
    look();
  });
}

test('Q12: what the stream told meanwhile is newer than the list', async () => {
  const source = new StandIn();
  const feed = new Feed(source);
  feed.start();
  source.streams[0].listener.onOpen();
  source.streams[0].listener.onRecord(record('a', { state: 'running' }), '11');
  const changed = change(feed);
  source.lists[0].answer([record('a'), record('b')], 60_000);
  assert.deepEqual(await changed, ['a', 'b']);
  assert.equal(feed.records.get('a')?.state, 'running');
  assert.ok(Math.abs(feed.now() - Date.now() - 60_000) < 1000);
  await status(feed, 'live');
  feed.dispose();
});

test('R3: after a break it goes on after the last event, and asks for what it missed', async () => {
  const source = new StandIn();
  const feed = new Feed(source);
  feed.start();
  source.streams[0].listener.onOpen();
  source.streams[0].listener.onRecord(record('a', { state: 'running' }), '11');
  source.streams[0].listener.onRecord(record('gone', { state: 'running' }), '12');
  source.lists[0].answer([record('a'), record('gone')]);
  await status(feed, 'live');
  source.streams[0].break();
  await status(feed, 'lost');
  await source.stream(1);
  assert.equal(source.streams[1].lastId, '12');
  source.streams[1].listener.onOpen();
  source.lists[1].answer([record('a', { state: 'finished' })]);
  await status(feed, 'live');
  assert.equal(feed.records.get('a')?.state, 'finished');
  assert.equal(feed.records.has('gone'), false, 'what the server does not know runs no more');
  feed.dispose();
});

test('U4: a hidden page holds no stream, and goes on when it is seen', async () => {
  const source = new StandIn();
  const feed = new Feed(source);
  feed.start();
  source.streams[0].listener.onOpen();
  source.lists[0].answer([]);
  await status(feed, 'live');
  feed.setHidden(true);
  assert.equal(source.streams[0].abort.aborted, true);
  assert.equal(feed.status, 'waiting');
  feed.setHidden(false);
  assert.equal(source.streams.length, 2);
  feed.dispose();
  assert.equal(source.streams[1].abort.aborted, true);
});

test('U3: more of the history is asked for as long as there may be some', async () => {
  const source = new StandIn();
  const feed = new Feed(source);
  feed.start();
  source.streams[0].listener.onOpen();
  const { answer, limit } = source.lists[0];
  answer(Array.from({ length: limit }, (_, index) => record(`e${index}`, { state: 'finished' })));
  await status(feed, 'live');
  assert.equal(feed.hasMore, true);
  const more = feed.loadMore();
  assert.equal(source.lists[1].limit, 2 * limit);
  source.lists[1].answer([record('e0', { state: 'finished' })]);
  await more;
  assert.equal(feed.hasMore, false);
  assert.equal(feed.records.size, limit);
  feed.dispose();
});

test('U3: a page that is open for long forgets the oldest that are over', async () => {
  const source = new StandIn();
  const feed = new Feed(source);
  feed.start();
  const { listener } = source.streams[0];
  listener.onOpen();
  source.lists[0].answer([record('first', { state: 'running' })]);
  await status(feed, 'live');
  const changed = change(feed);
  for (let index = 0; index < 10_010; index++) {
    listener.onRecord(record(`e${index}`, { state: 'finished' }), `${index}`);
  }
  await changed;
  assert.equal(feed.records.size, 10_000);
  assert.ok(feed.records.has('first') && feed.records.has('e10009'));
  assert.equal(feed.records.has('e10'), false);
  feed.dispose();
});

test('R3: a list that is refused, though the stream is there, is asked for again', async () => {
  const source = new StandIn();
  const feed = new Feed(source);
  feed.start();
  source.streams[0].listener.onOpen();
  source.lists[0].refuse();
  await source.stream(1);
  source.streams[1].listener.onOpen();
  source.lists[1].answer([record('a')]);
  await status(feed, 'live');
  feed.dispose();
});
