import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError } from '../src/errors';
import { SubmissionSocket } from '../src/submissions';

/** A websocket whose other end is the test. */
class StandIn {
  readyState = 0;
  readonly sent: string[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  send(data: string): void {
    this.sent.push(data);
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  break(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  answer(index: number, status: number, body: unknown): void {
    const { id } = JSON.parse(this.sent[index].split('\n')[0]) as { id: string };
    this.onmessage?.({ data: `${JSON.stringify({ id, status })}\n${JSON.stringify(body)}` });
  }
}

function made() {
  const sockets: StandIn[] = [];
  const timers: (() => void)[] = [];
  const submissions = new SubmissionSocket(
    () => {
      sockets.push(new StandIn());
      return sockets[sockets.length - 1];
    },
    (_, callback) => {
      timers.push(callback);
      return () => undefined;
    }
  );
  submissions.open();
  return { submissions, sockets, timers };
}

test('A1: a submission goes by the open websocket, with its key and as it would be posted', async () => {
  const { submissions, sockets } = made();
  sockets[0].accept();
  const first = submissions.submit('{"cells":["é"]}', 'one');
  const second = submissions.submit('{}', 'two');
  const [head, body] = sockets[0].sent[0].split('\n');
  assert.equal((JSON.parse(head) as { idempotency_key: string }).idempotency_key, 'one');
  assert.equal(body, '{"cells":["é"]}');
  sockets[0].answer(1, 202, { executions: [2] });
  sockets[0].answer(0, 202, { executions: [1] });
  assert.deepEqual(await first, { executions: [1] });
  assert.deepEqual(await second, { executions: [2] });
});

test('A5: what the server refuses is told as by HTTP', async () => {
  const { submissions, sockets } = made();
  sockets[0].accept();
  const refused = submissions.submit('{}', 'key');
  sockets[0].answer(0, 404, { message: 'no cell', reason: 'not_found', field: 'cells[0]' });
  await assert.rejects(refused, new ApiError('no cell', 404, 'not_found', 'cells[0]'));
});

test('A1: no connection, a broken one, a silent one: another way is to be taken', async () => {
  const { submissions, sockets, timers } = made();
  assert.equal(await submissions.submit('{}', 'before it is open'), undefined);
  sockets[0].accept();
  const silent = submissions.submit('{}', 'silent');
  timers[0]();
  assert.equal(await silent, undefined);
  sockets[0].answer(0, 202, {}); // too late: nobody waits
  const broken = submissions.submit('{}', 'broken');
  sockets[0].break();
  assert.equal(await broken, undefined);
  assert.equal(await submissions.submit('{}', 'closed'), undefined);
  assert.equal(sockets.length, 2); // the next one finds it open again
  sockets[1].accept();
  const again = submissions.submit('{}', 'again');
  sockets[1].answer(0, 202, {});
  assert.deepEqual(await again, {});
});

test('A1: garbage from the server answers nobody', async () => {
  const { submissions, sockets } = made();
  sockets[0].accept();
  const waiting = submissions.submit('{}', 'key');
  for (const data of [
    '',
    'x',
    '{}',
    '{"id":"0"}\n',
    new ArrayBuffer(1),
    '{"id":"9","status":202}\n'
  ]) {
    sockets[0].onmessage?.({ data });
  }
  sockets[0].answer(0, 202, {});
  assert.deepEqual(await waiting, {});
});

test('A1: where no websocket gets through it is not tried for ever', async () => {
  const { submissions, sockets } = made();
  for (let index = 0; index < 10; index++) {
    sockets[sockets.length - 1].break();
    assert.equal(await submissions.submit('{}', 'key'), undefined);
  }
  assert.equal(sockets.length, 3);
});

test('A1: a page that is forbidden to open a websocket goes on', async () => {
  let tries = 0;
  const submissions = new SubmissionSocket(() => {
    tries++;
    throw new DOMException('no', 'SecurityError');
  });
  submissions.open();
  for (let index = 0; index < 5; index++) {
    assert.equal(await submissions.submit('{}', 'key'), undefined);
  }
  assert.equal(tries, 3);
});
