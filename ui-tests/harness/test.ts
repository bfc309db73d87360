// The fixtures: a server for all tests of a file, or one for a single test; logs of failures.
import { TestInfo, test as base } from '@playwright/test';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';

import { closeGates } from './gate';
import { CellSource, NotebookPage, writeNotebook } from './notebook';
import { People } from './people';
import { App, Config, JupyterServer } from './server';

export { expect } from '@playwright/test';
export { readNotebook, streamText, type CellJson } from './notebook';
export { pause, type JupyterServer } from './server';

type Cells = readonly (string | CellSource)[];

interface Fixtures {
  /** The server of this test alone, to be killed and started again. */
  ownServer: JupyterServer;
  /** Writes a notebook and opens it. */
  open: (cells: Cells, server?: JupyterServer) => Promise<NotebookPage>;
  /** Opens a notebook that is there in a browser of someone else's. */
  openElsewhere: (notebook: NotebookPage) => Promise<NotebookPage>;
}

interface WorkerFixtures {
  people: People;
  app: App;
  /** Options of the servers, beside what the tests' own server needs. */
  config: Config;
  server: JupyterServer;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  app: ['lab', { option: true, scope: 'worker' }],
  config: [{}, { option: true, scope: 'worker' }],
  server: [
    async ({ app, config }, use) => {
      const server = await JupyterServer.start(app, config);
      await use(server);
      await server.dispose();
    },
    { scope: 'worker', timeout: 90_000 }
  ],
  ownServer: [
    async ({ app, config }, use, info) => {
      const server = await JupyterServer.start(app, config);
      await use(server);
      await keepLog(server, info);
      await server.dispose();
    },
    { timeout: 90_000 }
  ],
  open: async ({ people, server }, use, info) => {
    let count = 0;
    const name = process.env.PICTURES
      ? `analysis-${info.testId.slice(-3)}`
      : `t${info.workerIndex}-${info.testId}-${info.retry}`;
    await use(async (cells, given = server) => {
      const fileName = `${name}-${count++}.ipynb`;
      await writeNotebook(given, fileName, cells);
      return people.open(given, fileName, given === server);
    });
    await keepLog(server, info);
    await people.closePages(info.status === info.expectedStatus); // before their kernels end
    await shutDown(server);
  },
  people: [
    async ({ browser }, use) => {
      const people = new People(browser);
      await use(people);
      await people.leave();
    },
    { scope: 'worker' }
  ],
  page: async ({ people }, use, info) => {
    await use(await people.firstPage());
    await people.closePages(info.status === info.expectedStatus);
  },
  openElsewhere: async ({ people }, use) => {
    let person = 1; // the first has `page`
    await use(async notebook => {
      const other = await people.newPage(person++);
      return new NotebookPage(other, notebook.server, notebook.name).open();
    });
  }
});

/** No test finds the kernels, the open gates or the workspace of the one before. */
async function shutDown(server: JupyterServer): Promise<void> {
  const sessions = await server.json<{ id: string }[]>('/api/sessions');
  for (const { id } of sessions) {
    await server.fetch(`/api/sessions/${id}`, { method: 'DELETE' });
  }
  await server.fetch('/lab/api/workspaces/default', { method: 'DELETE' });
  await closeGates(server);
}

async function keepLog(server: JupyterServer, info: TestInfo): Promise<void> {
  if (info.status !== info.expectedStatus) {
    await mkdir(info.outputDir, { recursive: true });
    await copyFile(server.log, path.join(info.outputDir, 'server.log'));
  }
}
