// Runs cells on the server: those of one tick in one request, outputs come by the document.
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import {
  INotebookCellExecutor,
  INotebookModel,
  KernelError,
  Notebook,
  runCell
} from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';

import { Batches } from './batch';
import { Entries, documentId, sharedDocument } from './entries';
import { IOutcome, Outcomes } from './outcomes';
import { isUnknownKernel, submitReliably } from './submit';
import type { IExecutions } from './tokens';

type Options = INotebookCellExecutor.IRunCellOptions;

/** The executor that JupyterLab calls for each cell; see `INotebookCellExecutor`. */
export class ServerCellExecutor implements INotebookCellExecutor {
  constructor(executions: IExecutions, translator?: ITranslator) {
    this._executions = executions;
    this._translator = translator ?? nullTranslator;
    this._batches = new Batches(items => this._run(items));
  }

  /**
   * Runs a cell; resolves when it has ended.
   *
   * @returns whether it ended well, as JupyterLab's own executor says it
   */
  runCell(options: Options): Promise<boolean> {
    const { cell, notebook, sessionContext } = options;
    const isOurs =
      cell.model.type === 'code' &&
      sessionContext !== undefined &&
      this._executions.isServerSide(notebook);
    if (!isOurs) {
      return runCell(options);
    }
    this._watch(cell.parent);
    return this._batches.add(notebook, options);
  }

  /**
   * JupyterLab hands over all that it runs, then makes another cell the active one, and draws
   * that for some 10 ms: what is to run is on its way before.
   */
  private _watch(view: unknown): void {
    if (view instanceof Notebook && !this._watched.has(view)) {
      this._watched.add(view);
      view.activeCellChanged.connect(({ model }) => model && this._batches.flush(model));
    }
  }

  private async _run(batch: readonly Options[]): Promise<Promise<boolean>[]> {
    const refused = mayRun(batch[0]) ? null : await this._withoutKernel(batch[0]);
    if (refused) {
      if (refused.clear) {
        batch.forEach(clearExecution);
      }
      return batch.map(() => Promise.resolve(true));
    }
    const submitted = this._submitToLiveKernel(batch); // under way before the page is drawn
    batch.forEach(options => {
      options.onCellExecutionScheduled({ cell: options.cell });
      showScheduled(options);
    });
    try {
      const executions = await submitted;
      const outcomes = this._outcomesOf(batch[0].notebook);
      return batch.map(async (options, index) => {
        const cellId = options.cell.model.id;
        const outcome = await outcomes.wait(cellId, executions[index].id);
        return finish(options, outcome);
      });
    } catch (reason) {
      this._report(reason);
      return batch.map(options => {
        options.onCellExecuted({ cell: options.cell, success: false });
        showCount(options);
        return Promise.resolve(false);
      });
    }
  }

  /** The kernel that this page knows may have gone with a server: then a new one is started. */
  private async _submitToLiveKernel(batch: readonly Options[]) {
    try {
      return await this._submit(batch);
    } catch (error) {
      const { sessionContext } = batch[0];
      if (!isUnknownKernel(error) || !sessionContext) {
        throw error;
      }
      await sessionContext.sessionManager.refreshRunning();
      await this._withoutKernel(batch[0]);
      return this._submit(batch);
    }
  }

  private _submit(batch: readonly Options[]) {
    const { notebook, notebookConfig, sessionContext } = batch[0];
    const kernelId = sessionContext?.session?.kernel?.id;
    const { timeLimitS, allowInput } = this._executions.runOptions;
    notebook.deletedCells.splice(0);
    const submission = {
      document_id: documentId(notebook) ?? '',
      // The sources go along: this page's last edits may still be under way to the document.
      cells: batch.map(({ cell }) => ({
        cell_id: cell.model.id,
        source: cell.model.sharedModel.getSource()
      })),
      client_id: this._executions.clientId,
      record_timing: notebookConfig.recordTiming,
      allow_stdin: allowInput,
      ...(timeLimitS > 0 ? { time_limit: timeLimitS } : {}),
      ...(kernelId ? { kernel: { id: kernelId } } : {})
    };
    const key = UUID.uuid4();
    return submitReliably(
      () => this._executions.api.submit(submission, key),
      ms => new Promise(resolve => setTimeout(resolve, ms))
    );
  }

  /** As JupyterLab asks before it runs a cell; not null: nothing can run. */
  private async _withoutKernel({
    sessionContext,
    sessionDialogs
  }: Options): Promise<{ clear: boolean } | null> {
    const trans = this._translator.load('notebook_exec');
    if (sessionContext?.isTerminating) {
      await showDialog({
        title: trans.__('Kernel Terminating'),
        body: trans.__(
          'The kernel of %1 is shutting down. No cell can run until that is over.',
          sessionContext.path
        ),
        buttons: [Dialog.okButton()]
      });
      return { clear: false };
    }
    if (sessionContext?.hasNoKernel) {
      const mustSelect = await sessionContext.startKernel();
      if (mustSelect && sessionDialogs) {
        await sessionDialogs.selectKernel(sessionContext);
      }
    }
    return sessionContext?.hasNoKernel ? { clear: true } : null;
  }

  private _outcomesOf(notebook: INotebookModel): Outcomes {
    const known = this._outcomes.get(notebook);
    if (known) {
      return known;
    }
    const document = sharedDocument(notebook);
    const entries = document && new Entries(document);
    const outcomes = new Outcomes({
      entry: cellId => entries?.get(cellId) ?? null,
      ask: id => this._executions.api.get(id),
      later: (ms, callback) => void setTimeout(callback, ms)
    });
    entries?.changed.connect(() => outcomes.update());
    this._outcomes.set(notebook, outcomes);
    return outcomes;
  }

  private _report(reason: unknown): void {
    const trans = this._translator.load('notebook_exec');
    const message = reason instanceof Error ? reason.message : String(reason);
    Notification.error(trans.__('The cells were not run: %1', message), {
      autoClose: 10_000
    });
  }

  private readonly _executions: IExecutions;
  private readonly _translator: ITranslator;
  private readonly _batches: Batches<INotebookModel, Options, boolean>;
  private readonly _watched = new WeakSet<Notebook>();
  private readonly _outcomes = new WeakMap<INotebookModel, Outcomes>();
}

/** Whether nothing has to be asked or started first. */
function mayRun({ sessionContext }: Options): boolean {
  return !sessionContext?.isTerminating && !sessionContext?.hasNoKernel;
}

/** Says how the cell ended, to whom JupyterLab's own executor would say it. */
function finish(options: Options, { state, error }: IOutcome): boolean {
  const { cell, onCellExecuted } = options;
  if (cell.isDisposed) {
    return false;
  }
  showCount(options);
  if (state === 'finished') {
    onCellExecuted({ cell, success: true });
    return true;
  }
  if (state === 'cancelled') {
    onCellExecuted({ cell, success: false }); // as of cells that the kernel aborts
    return false;
  }
  const { ename, evalue, traceback } = error ?? {
    ename: '',
    evalue: '',
    traceback: []
  };
  onCellExecuted({
    cell,
    success: false,
    error: new KernelError({
      status: 'error',
      execution_count: (cell.model as ICodeCellModel).executionCount ?? 0,
      ename,
      evalue,
      traceback: [...traceback]
    })
  });
  return false;
}

/** `[*]` at once, in this page alone; what the document says of it comes with the answer. */
function showScheduled({ cell }: Options): void {
  const code = cell as CodeCell;
  code.outputHidden = false;
  code.setPrompt('*');
}

/** The count that the document holds, where nothing else has replaced our `[*]`. */
function showCount({ cell }: Options): void {
  const model = cell.model as ICodeCellModel;
  if (!cell.isDisposed && model.executionState !== 'running') {
    (cell as CodeCell).setPrompt(`${model.executionCount ?? ''}`);
  }
}

function clearExecution({ cell }: Options): void {
  cell.model.sharedModel.transact(() => {
    (cell.model as ICodeCellModel).clearExecution();
  });
}
