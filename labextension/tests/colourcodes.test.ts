import assert from 'node:assert/strict';
import { test } from 'node:test';

import { codesBehind } from '../src/colourcodes';

function sgr(codes: string): string {
  return `\x1b[${codes}m`;
}

test('what is switched on holds until it is switched off', () => {
  const cases: [text: string, held: string][] = [
    ['plain', ''],
    [`${sgr('31')}red`, sgr('31')],
    [`${sgr('31')}red${sgr('0')}`, ''],
    [`${sgr('31')}red${sgr('')}`, ''],
    [`${sgr('31;1')}red${sgr('39')} bold`, sgr('1')],
    [`${sgr('1;4;7;44')}all${sgr('22;24')}`, sgr('7;44')],
    [`${sgr('31')}${sgr('92')}`, sgr('92')],
    [`${sgr('0;31')}`, sgr('31')],
    [`${sgr('31;0')}`, ''],
    [`${sgr('38;5;208')}orange`, sgr('38;5;208')],
    [`${sgr('38;5;1;48;2;0;10;39;4')}`, sgr('38;5;1;48;2;0;10;39;4')],
    [`${sgr('48;2;0;10;39')}${sgr('49')}`, ''],
    [`${sgr('31')}\x1b[2K\x1b[10;20H`, sgr('31')],
    [`${sgr('31')}${sgr('?25')}`, sgr('31')],
    [`${sgr('31')}${sgr('38;5')}`, sgr('31')],
    [`${sgr('31')}${sgr('38;0;0')}`, sgr('31')],
    ['\x1b[31', '']
  ];
  for (const [text, held] of cases) {
    assert.equal(codesBehind('', text), held, JSON.stringify(text));
  }
});

test('what held before goes on', () => {
  assert.equal(codesBehind(sgr('31'), 'text'), sgr('31'));
  assert.equal(codesBehind(sgr('31'), `${sgr('1')}text`), sgr('31;1'));
  assert.equal(codesBehind(sgr('31'), `text${sgr('0')}`), '');
});

test('it does not grow with the text', () => {
  const line = `${sgr('38;5;9')}a${sgr('1')}b${sgr('42')}c`;
  assert.equal(codesBehind('', line.repeat(1000)), codesBehind('', line));
});
