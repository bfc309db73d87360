import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError } from '../src/errors';
import type { ILogPart } from '../src/kernels';
import { ILogSink, LogFollower } from '../src/logfollower';

/** What happens at one request of the log; the last one ends the test. */
type Step = (offset: number) => ILogPart;

const UTF8 = new TextEncoder();

function part(offset: number, ...chunks: (string | Uint8Array)[]): ILogPart {
  return {
    offset,
    body: new ReadableStream({
      start: controller => {
        for (const chunk of chunks) {
          controller.enqueue(typeof chunk === 'string' ? UTF8.encode(chunk) : chunk);
        }
        controller.close();
      }
    })
  };
}

/** Lets a follower go through `steps`; answers with what it told and where it asked. */
async function follow(steps: Step[]): Promise<{ told: string[]; offsets: number[] }> {
  const told: string[] = [];
  const offsets: number[] = [];
  const sink: ILogSink = {
    text: text => told.push(text),
    missing: bytes => told.push(`<${bytes} missing>`),
    restarted: () => told.push('<new log>'),
    state: (state, error) => told.push(`<${state}${error ? `: ${error}` : ''}>`)
  };
  const follower = new LogFollower(
    {
      read: offset => {
        offsets.push(offset);
        const step = steps.shift()!;
        return Promise.resolve().then(() => step(offset));
      },
      sleep: () => {
        if (steps.length === 0) {
          follower.stop();
        }
        return Promise.resolve();
      }
    },
    sink
  );
  await follower.run();
  return { told, offsets };
}

function fail(error: Error): Step {
  return () => {
    throw error;
  };
}

test('K5: after a cut it goes on where it was, with each byte once', async () => {
  const { told, offsets } = await follow([
    () => part(0, 'one\n', 'tw'),
    fail(new TypeError('Failed to fetch')),
    fail(new TypeError('Failed to fetch')),
    offset => part(offset, 'o\n')
  ]);
  assert.deepEqual(offsets, [0, 6, 6, 6]);
  assert.deepEqual(told, [
    '<connecting>',
    '<following>',
    'one\n',
    'tw',
    '<offline: Failed to fetch>',
    '<following>',
    'o\n'
  ]);
});

test('K5: a character that came in two pieces is whole', async () => {
  const bytes = UTF8.encode('é\n');
  const { told } = await follow([() => part(0, bytes.slice(0, 1), bytes.slice(1))]);
  assert.equal(told.slice(2).join(''), 'é\n');
});

test('K5: what was dropped before it could be read is told', async () => {
  const { told, offsets } = await follow([() => part(100, 'late\n'), offset => part(offset)]);
  assert.deepEqual(told, ['<connecting>', '<100 missing>', '<following>', 'late\n']);
  assert.deepEqual(offsets, [0, 105]);
});

test('K3: after a hard restart the new log is read from its begin', async () => {
  const { told, offsets } = await follow([
    () => part(0, 'a long first life\n'),
    () => part(4, 'new\n'),
    offset => part(offset)
  ]);
  assert.deepEqual(told.slice(2), ['a long first life\n', '<new log>', 'new\n']);
  assert.deepEqual(offsets, [0, 18, 8]);
});

test('K5: no kernel, and a kernel without a log, are told apart', async () => {
  const gone = await follow([fail(new ApiError('no such kernel', 404, 'not_found', 'kernel_id'))]);
  assert.deepEqual(gone.told, ['<connecting>', '<gone: no such kernel>']);
  const none = await follow([fail(new ApiError('no nanny', 404, 'no_log', 'kernel_id'))]);
  assert.deepEqual(none.told, ['<connecting>', '<none: no nanny>']);
  const busy = await follow([fail(new ApiError('the nanny is silent', 409, 'unreachable', ''))]);
  assert.deepEqual(busy.told, ['<connecting>', '<offline: the nanny is silent>']);
});
