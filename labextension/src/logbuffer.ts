// The lines of a log as a page keeps them: bounded, with colours that go on from line to line.
import { codesBehind } from './colourcodes';

/** One line. */
export interface ILogLine {
  /** Counted since the page began to follow. */
  readonly number: number;
  /** With the colour codes that hold at its beginning in front. */
  readonly text: string;
  /** Not of the log: something that happened meanwhile. */
  readonly isMark: boolean;
}

/* eslint-disable no-control-regex -- these are a terminal's control characters */
const OTHER_SEQUENCES = /\x1b(?:\[[0-9;?]*[A-Za-ln-z]|\][^\x07]*\x07|[()][A-Z0-9])/g;
/* eslint-enable no-control-regex */

export class LogBuffer {
  /** So many lines and characters are kept; what is older goes. */
  constructor(limitLines: number, limitChars: number) {
    this._limitLines = limitLines;
    this._limitChars = limitChars;
  }

  /** The lines that are kept, the oldest first. */
  get lines(): readonly ILogLine[] {
    return this._lines;
  }

  /** Answers with the number of the first line that is new or has grown. */
  append(text: string): number {
    const from = this._next - (this._open ? 1 : 0);
    if (this._open) {
      this._pop();
    }
    const pieces = (this._open + text).replace(OTHER_SEQUENCES, '').split('\n');
    this._open = lastWritten(pieces.pop()!).slice(-this._limitChars);
    pieces.forEach(piece => this._pushLine(piece));
    if (this._open) {
      this._push({ text: this._styles + this._open, isMark: false });
    }
    this._trim();
    return from;
  }

  /** Puts in a line that is not of the log; the one before it is over. Answers as `append`. */
  mark(text: string): number {
    const from = this._next;
    this._open = '';
    this._styles = '';
    this._push({ text, isMark: true });
    this._trim();
    return from;
  }

  /** Forgets all lines. */
  clear(): void {
    this._lines.splice(0);
    this._chars = 0;
    this._open = '';
  }

  private _pushLine(piece: string): void {
    const text = lastWritten(piece.replace(/\r$/, ''));
    this._push({ text: this._styles + text, isMark: false });
    this._styles = codesBehind(this._styles, text);
  }

  private _push(line: { text: string; isMark: boolean }): void {
    this._lines.push({ number: this._next++, ...line });
    this._chars += line.text.length + 1;
  }

  private _pop(): void {
    this._chars -= this._lines.pop()!.text.length + 1;
    this._next--;
  }

  private _trim(): void {
    let dropped = 0;
    while (
      this._lines.length - dropped > this._limitLines ||
      (this._chars > this._limitChars && dropped < this._lines.length - 1)
    ) {
      this._chars -= this._lines[dropped++].text.length + 1;
    }
    this._lines.splice(0, dropped);
  }

  private _next = 0;
  private _chars = 0;
  /** The last line as far as it is written. */
  private _open = '';
  private _styles = '';
  private readonly _limitLines: number;
  private readonly _limitChars: number;
  private readonly _lines: ILogLine[] = [];
}

/** What a terminal shows of a line that went back to its beginning: the last that was written. */
function lastWritten(line: string): string {
  const start = line.lastIndexOf('\r', line.length - 2) + 1;
  return line.slice(start);
}
