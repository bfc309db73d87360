// What a page's application says of itself, where no picture shows it: modules and events.
import type { Page } from '@playwright/test';

interface NotebookActions {
  readonly executed: Signal<{
    cell: CellOf;
    success: boolean;
    error?: { errorName?: string } | null;
  }>;
  readonly executionScheduled: Signal<{ cell: CellOf }>;
  readonly selectionExecuted: Signal<{ lastCell: CellOf }>;
  readonly outputCleared: Signal<{ cell: CellOf }>;
}

interface CellOf {
  readonly model: { readonly id: string };
}

interface Signal<T> {
  connect(slot: (sender: unknown, args: T) => void): void;
}

interface Bundle {
  readonly S: {
    readonly default: Record<string, Record<string, { get(): Promise<() => unknown> }>>;
  };
}

/** From now on the events that other extensions of JupyterLab listen to are noted. */
export async function noteActions(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const app = window as unknown as {
      rspackChunk_jupyterlab_application_top: unknown[];
      actionsSeen: string[];
    };
    const bundle = await new Promise<Bundle>(resolve =>
      app.rspackChunk_jupyterlab_application_top.push([[Symbol()], {}, resolve])
    );
    const [shared] = Object.values(bundle.S.default['@jupyterlab/notebook']);
    const { NotebookActions: actions } = (await shared.get())() as {
      NotebookActions: NotebookActions;
    };
    app.actionsSeen = [];
    const seen = (...words: unknown[]): void => void app.actionsSeen.push(words.join(' '));
    actions.executionScheduled.connect((_, { cell }) => seen('scheduled', cell.model.id));
    actions.executed.connect((_, { cell, success, error }) =>
      seen('executed', cell.model.id, success, error?.errorName ?? '-')
    );
    actions.selectionExecuted.connect((_, { lastCell }) => seen('selection', lastCell.model.id));
    actions.outputCleared.connect((_, { cell }) => seen('cleared', cell.model.id));
  });
}

/** The events since `noteActions` or the last call, in their order. */
export async function takeActions(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    (window as unknown as { actionsSeen: string[] }).actionsSeen.splice(0)
  );
}
