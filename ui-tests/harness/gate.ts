// Cells that go on when the test says so: they wait for a file.
import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { JupyterServer } from './server';

/** Python that waits until the gate is open. */
export function waitFor(gate: string): string {
  return [
    'import os, time',
    `while not os.path.exists('${gate}.gate'):`,
    '    time.sleep(0.02)'
  ].join('\n');
}

export async function openGate(server: JupyterServer, gate: string): Promise<void> {
  await writeFile(path.join(server.root, `${gate}.gate`), '');
}

export async function closeGates(server: JupyterServer): Promise<void> {
  const names = await readdir(server.root);
  const gates = names.filter(name => name.endsWith('.gate'));
  await Promise.all(gates.map(name => rm(path.join(server.root, name), { force: true })));
}
