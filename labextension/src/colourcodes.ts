// What a terminal's colour codes (SGR, ECMA-48 8.3.117) amount to.

/** A control sequence: its parameters and the letter that says what it does. */
const SEQUENCE = /\x1b\[([^@-~\n]*)([@-~])/g; // eslint-disable-line no-control-regex

type Attribute = 'foreground' | 'background' | 'bold' | 'underline' | 'inverse';
type Held = Map<Attribute, string>;

/** What is switched on, and by which codes; extended colours and ranges of colours aside. */
const ON: Record<number, Attribute> = { 1: 'bold', 4: 'underline', 5: 'bold', 7: 'inverse' };
const OFF: Record<number, Attribute> = {
  21: 'bold',
  22: 'bold',
  24: 'underline',
  27: 'inverse',
  39: 'foreground',
  49: 'background'
};
/** From which code on which colours are; eight each. */
const COLOURS: readonly (readonly [number, Attribute])[] = [
  [30, 'foreground'],
  [40, 'background'],
  [90, 'foreground'],
  [100, 'background']
];
const EXTENDED: Record<number, Attribute> = { 38: 'foreground', 48: 'background' };

/**
 * The codes that hold behind `text`, as one sequence; empty if none do.
 *
 * @param codes - those that hold in front of it
 */
export function codesBehind(codes: string, text: string): string {
  if (!codes && !text.includes('\x1b')) {
    return '';
  }
  const held: Held = new Map();
  for (const [, parameters, does] of (codes + text).matchAll(SEQUENCE)) {
    if (does === 'm' && /^[\d;]*$/.test(parameters)) {
      apply(parameters.split(';').map(Number), held);
    }
  }
  return held.size > 0 ? `\x1b[${[...held.values()].join(';')}m` : '';
}

function apply(numbers: readonly number[], held: Held): void {
  for (let index = 0; index < numbers.length; index++) {
    const code = numbers[index];
    const extended = EXTENDED[code];
    if (extended) {
      const length = numbers[index + 1] === 2 ? 5 : numbers[index + 1] === 5 ? 3 : 0;
      if (length === 0 || index + length > numbers.length) {
        return; // no colour, and no way to tell where the next code begins
      }
      held.set(extended, numbers.slice(index, index + length).join(';'));
      index += length - 1;
    } else if (code === 0) {
      held.clear();
    } else if (OFF[code]) {
      held.delete(OFF[code]);
    } else {
      const colour = COLOURS.find(([first]) => code >= first && code < first + 8)?.[1];
      const attribute = colour ?? ON[code];
      if (attribute) {
        held.set(attribute, String(code));
      }
    }
  }
}
