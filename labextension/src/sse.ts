// Server-Sent Events out of the pieces of text in which a stream arrives.

export interface IServerEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Reads one stream; comments and unknown fields are passed over, as the standard has it. */
export class EventReader {
  /** The events that are complete with `text`. */
  push(text: string): IServerEvent[] {
    const lines = (this._rest + text).split(/\r\n|\n|\r(?!$)/);
    this._rest = lines.pop() ?? '';
    return lines.flatMap(line => this._line(line) ?? []);
  }

  private _line(line: string): IServerEvent | null {
    if (line === '') {
      const event =
        this._data.length > 0
          ? { id: this._id, event: this._event || 'message', data: this._data.join('\n') }
          : null;
      this._event = '';
      this._data = [];
      return event;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') {
      this._data.push(value);
    } else if (name === 'event') {
      this._event = value;
    } else if (name === 'id' && !value.includes('\0')) {
      this._id = value;
    }
    return null;
  }

  private _rest = '';
  private _id = '';
  private _event = '';
  private _data: string[] = [];
}
