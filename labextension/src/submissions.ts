// Submissions by a websocket that is open already: a request's own cost is paid once (SPEC A1).
import { refusal } from './errors';
import { field, parseJson } from './json';

/** What is used of a `WebSocket`. */
export type ISocket = Pick<WebSocket, 'readyState' | 'send' | 'onopen' | 'onmessage' | 'onclose'>;

const OPEN = 1;
/** After so long the connection is taken for dead, though nobody has said so. */
const SILENT_MS = 3000;
/** So many times in a row it did not come about: something on the way lets no websocket through. */
const MOST_FAILURES = 3;

/** Opened once and again after it broke; whoever finds it closed takes another way. */
export class SubmissionSocket {
  /**
   * @param connect - opens a websocket
   * @param later - calls back after so many milliseconds; returns what takes that back
   */
  constructor(
    connect: () => ISocket,
    later: (ms: number, callback: () => void) => () => void = callLater
  ) {
    this._connect = connect;
    this._later = later;
  }

  /** Opens it, if it is not open and has not failed too often. */
  open(): void {
    if (this._socket || this._failures >= MOST_FAILURES) {
      return;
    }
    this._failures++;
    let socket: ISocket;
    try {
      socket = this._connect();
    } catch {
      return; // a page may be forbidden to
    }
    this._socket = socket;
    socket.onopen = () => {
      this._failures = 0;
    };
    socket.onmessage = ({ data }: MessageEvent<unknown>) => this._take(data);
    socket.onclose = () => {
      this._socket = null;
      for (const waiting of [...this._waiting.values()]) {
        waiting(undefined);
      }
    };
  }

  /**
   * Sends a submission.
   *
   * @param body - as it would be posted
   * @param key - its idempotency key
   * @returns what the server accepted; undefined if that is not known: there is no connection, or
   * it broke, or is silent. Whether it was accepted, another way with the same key tells.
   * @throws ApiError if the server refuses
   */
  async submit(body: string, key: string): Promise<unknown> {
    if (this._socket?.readyState !== OPEN) {
      this.open();
      return undefined;
    }
    const id = `${this._count++}`;
    const answered = new Promise<IAnswer | undefined>(resolve => this._waiting.set(id, resolve));
    const takeBack = this._later(SILENT_MS, () => this._waiting.get(id)?.(undefined));
    try {
      this._socket.send(`${JSON.stringify({ id, idempotency_key: key })}\n${body}`);
      const answer = await answered;
      if (answer && answer.status >= 400) {
        throw refusal(answer.body, answer.status, '');
      }
      return answer?.body;
    } finally {
      takeBack();
      this._waiting.delete(id);
    }
  }

  private _take(data: unknown): void {
    const [head, body] = readAnswer(data);
    const id = field(head, 'id');
    const status = field(head, 'status');
    if (typeof id === 'string' && typeof status === 'number') {
      this._waiting.get(id)?.({ status, body });
    }
  }

  private _socket: ISocket | null = null;
  private _failures = 0;
  private _count = 0;
  private readonly _waiting = new Map<string, (answer: IAnswer | undefined) => void>();
  private readonly _connect: () => ISocket;
  private readonly _later: (ms: number, callback: () => void) => () => void;
}

interface IAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Head and body of a message, each a line of JSON. */
function readAnswer(data: unknown): [unknown, unknown] {
  const [head, body] = typeof data === 'string' ? data.split('\n', 2) : [];
  return [parseJson(head ?? ''), parseJson(body ?? '')];
}

function callLater(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}
