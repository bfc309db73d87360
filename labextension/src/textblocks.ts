// A long text in blocks of lines, so that a change of the text is a change of few blocks.
import { codesBehind } from './colourcodes';

/** Lines that stand together. The blocks of a text, one behind the other, are the text. */
export interface ITextBlock {
  readonly text: string;
  /** The colour codes that hold at its beginning. */
  readonly codes: string;
  readonly lines: number;
}

/** A text of fewer lines is left in one piece. */
export const LONG_LINES = 200;

/** A block is full with so many lines, or with the line that brings it to so many characters. */
const BLOCK_LINES = 100;
const BLOCK_CHARS = 20_000;

/**
 * The blocks of `text`; none if it is short.
 *
 * @param before - the blocks of the text that it was; those that stay what they were are the same
 *   objects again
 */
export function inBlocks(text: string, before: readonly ITextBlock[]): readonly ITextBlock[] {
  if (!isLong(text)) {
    return [];
  }
  const blocks: ITextBlock[] = [];
  let codes = '';
  for (let start = 0; start < text.length;) {
    const old = before[blocks.length] as ITextBlock | undefined;
    const block = next(text, start, codes, old);
    blocks.push(block);
    start += block.text.length;
    codes =
      block === old && blocks.length < before.length
        ? before[blocks.length].codes
        : codesBehind(block.codes, block.text);
  }
  return blocks;
}

/** The block that begins at `start`. */
function next(text: string, start: number, codes: string, old?: ITextBlock): ITextBlock {
  if (old && old.codes === codes && isFull(old) && isAt(start, old.text, text)) {
    return old;
  }
  let end = start;
  let lines = 0;
  while (end < text.length && lines < BLOCK_LINES && end - start < BLOCK_CHARS) {
    end = endOfLine(text, end);
    lines++;
  }
  const block = { text: text.slice(start, end), codes, lines };
  return old && old.codes === codes && old.text === block.text ? old : block;
}

/** `startsWith` compares letter by letter, and a long text is compared at each change. */
function isAt(start: number, part: string, text: string): boolean {
  return text.slice(start, start + part.length) === part;
}

function isFull({ text, lines }: ITextBlock): boolean {
  return text.endsWith('\n') && (lines >= BLOCK_LINES || text.length >= BLOCK_CHARS);
}

/** Behind the line's break. */
function endOfLine(text: string, start: number): number {
  const newline = text.indexOf('\n', start);
  return newline < 0 ? text.length : newline + 1;
}

function isLong(text: string): boolean {
  let end = 0;
  for (let lines = 0; lines < LONG_LINES; lines++) {
    if (end === text.length) {
      return false;
    }
    end = endOfLine(text, end);
  }
  return true;
}
