// A code cell's outputs as this page shows them: they follow the document, and never write it.
//
// JupyterLab's own model keeps its copy of the outputs in both directions. Where the server is
// the only writer that goes wrong: its changes of a text are applied at the end of the last
// output wherever they were made, an output put in between lands at the end, and whatever
// redraws an output here (trusting it, a renderer that adds a picture) is written back by each
// open page. So its two connections are taken out, and this one is put in their place.
import type { CodeCellModel } from '@jupyterlab/cells';
import type { CellChange, ISharedCodeCell } from '@jupyter/ydoc';
import type * as nbformat from '@jupyterlab/nbformat';
import type { IOutputAreaModel } from '@jupyterlab/outputarea';
import type { IOutputModel } from '@jupyterlab/rendermime';
import { JSONExt } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type * as Y from 'yjs';

import { IDelta, commonStart, growth, listSteps, textSteps } from './deltas';
import { hasNotice, withLink } from './omitted';
import { DrawingPace, whenDrawn } from './pace';
import { typing } from './typing';
import { modelId, widgetDisplays } from './widgetdisplays';

/** Its text changes are the document's own: JupyterLab must not write them there again. */
const SILENT = { silent: true };

/** The parts of JupyterLab's model that this takes the place of; not public there. */
interface IModelInside {
  _onSharedModelChanged(sender: ISharedCodeCell, change: CellChange): void;
  onGenericChange(): void;
  onOutputsChange(sender: IOutputAreaModel, change: IOutputAreaModel.ChangedArgs): void;
}

export class OutputView implements IDisposable {
  /**
   * The view of `model`'s outputs; null if the model is not built as this page knows it, and
   * then stays as JupyterLab made it.
   */
  static of(model: CodeCellModel): OutputView | null {
    const inside = model as unknown as Partial<IModelInside>;
    const cell = 'ymodel' in model.sharedModel ? model.sharedModel.ymodel : null;
    const outputs = (cell as Y.Map<unknown> | null)?.get('outputs');
    return outputs &&
      typeof inside._onSharedModelChanged === 'function' &&
      typeof inside.onGenericChange === 'function' &&
      typeof inside.onOutputsChange === 'function'
      ? new OutputView(model, inside as IModelInside, outputs as Y.Array<Y.Map<unknown>>)
      : null;
  }

  private constructor(model: CodeCellModel, inside: IModelInside, shared: Y.Array<Y.Map<unknown>>) {
    this._model = model;
    this._inside = inside;
    this._shared = shared;
    model.sharedModel.changed.disconnect(inside._onSharedModelChanged, model);
    model.sharedModel.changed.disconnect(inside.onGenericChange, model);
    model.outputs.changed.disconnect(inside.onOutputsChange, model);
    // One output of the document is one output here: positions must agree.
    Object.defineProperty(model.outputs, 'shouldCombine', {
      configurable: true,
      value: () => false
    });
    model.sharedModel.changed.connect(this._onCellChanged, this);
    model.sharedModel.metadataChanged.connect(this._onMetadataChanged, this);
    model.outputs.changed.connect(this._onViewChanged, this);
    shared.observeDeep(this._onOutputsChanged);
    if (model.outputs.length !== shared.length || hasNotice(model.outputs)) {
      this._rewrite();
    }
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Gives the outputs back to JupyterLab, as where the user lets it run the cells. */
  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._shared.unobserveDeep(this._onOutputsChanged);
    const model = this._model;
    if (model.isDisposed) {
      return;
    }
    model.sharedModel.changed.disconnect(this._onCellChanged, this);
    model.sharedModel.metadataChanged.disconnect(this._onMetadataChanged, this);
    model.outputs.changed.disconnect(this._onViewChanged, this);
    Reflect.deleteProperty(model.outputs, 'shouldCombine');
    model.sharedModel.changed.connect(this._inside._onSharedModelChanged, model);
    model.sharedModel.changed.connect(this._inside.onGenericChange, model);
    model.outputs.changed.connect(this._inside.onOutputsChange, model);
  }

  /** All but the outputs is JupyterLab's matter. */
  private _onCellChanged(sender: ISharedCodeCell, change: CellChange): void {
    const rest = { ...change };
    delete rest.outputsChange;
    delete rest.streamOutputChange;
    const isOfOutputsAlone = Object.keys(rest).length === 0;
    if (sender.executionState === 'running') {
      // At a count JupyterLab takes the cell for done, and says so in the document.
      delete rest.executionCountChange;
    }
    this._inside._onSharedModelChanged.call(this._model, sender, rest);
    if (!isOfOutputsAlone) {
      this._inside.onGenericChange.call(this._model);
    }
  }

  /** The server trusts a cell as it starts it, with its old outputs gone (SPEC O18). */
  private _onMetadataChanged(
    _: ISharedCodeCell,
    change: { key: string; newValue?: unknown }
  ): void {
    if (change.key === 'trusted' && change.newValue === true) {
      // What was there before must not be trusted, not even for a moment; and what came with
      // this would be put anew by the model.
      this._apply(() => this._model.outputs.clear());
      this._model.trusted = true;
      this._rewrite();
    }
  }

  /** Clearing outputs is an edit that people make, and the only one. */
  private _onViewChanged(_: IOutputAreaModel, change: IOutputAreaModel.ChangedArgs): void {
    if (change.type === 'set') {
      change.newValues.forEach(output => this._unfollowed.add(output));
    }
    if (change.type === 'clear' && !this._isApplying) {
      this._model.sharedModel.updateOutputs(0, this._shared.length, []);
    }
  }

  private readonly _onOutputsChanged = (events: Y.YEvent<Y.AbstractType<unknown>>[]): void => {
    if (this._model.isDisposed) {
      return;
    }
    if (this._isResting) {
      this._isBehind = true;
      return;
    }
    if (this._keepsBack()) {
      return;
    }
    this._draw(() => this._update(events));
  };

  private _update(events: Y.YEvent<Y.AbstractType<unknown>>[]): void {
    const list = events.find(event => event.target === (this._shared as unknown));
    const delta = (list?.delta ?? []) as IDelta<unknown[]>[];
    if (this._model.outputs.length !== this._shared.length - growth(delta)) {
      this._rewrite();
    } else {
      this._follow(delta, events);
    }
  }

  private _follow(delta: IDelta<unknown[]>[], events: Y.YEvent<Y.AbstractType<unknown>>[]): void {
    const fresh = this._applyList(delta);
    for (const event of events) {
      const [index, key] = event.path;
      if (typeof index === 'number' && !fresh.has(index)) {
        if (key === 'text') {
          this._applyText(index, event.delta as IDelta<string>[]);
        } else {
          this._apply(() => this._model.outputs.set(index, this._output(index)));
        }
      }
    }
  }

  /** What it takes to draw a flood of output must leave time for what people do meanwhile. */
  private _draw(change: () => void, isLate = false): void {
    const start = performance.now();
    change();
    // That the content has changed is told when it is shown: each time JupyterLab looks at all cells.
    this._inside.onGenericChange.call(this._model);
    this._spentMs += performance.now() - start;
    if (this._isMeasuring) {
      return;
    }
    this._isMeasuring = true;
    this._isResting = isLate;
    whenDrawn(frameMs => {
      this._isMeasuring = false;
      const waitMs = this._pace.drew(this._spentMs + frameMs, performance.now(), isLate);
      this._spentMs = 0;
      if (isLate || waitMs > 0) {
        this._isResting = true;
        typing.after(waitMs, () => this._wake());
      }
    });
  }

  /** New views of widgets wait until their widgets are there (SPEC O12). */
  private _keepsBack(): boolean {
    const ids: string[] = [];
    for (let index = this._model.outputs.length; index < this._shared.length; index++) {
      const id = modelId(this._output(index).data);
      if (id !== null && !widgetDisplays.isKnown(id)) {
        ids.push(id);
      }
    }
    if (ids.length > 0) {
      this._isResting = this._isBehind = true;
      void widgetDisplays.known(ids).then(() => this._wake());
    }
    return ids.length > 0;
  }

  private _wake(): void {
    this._isResting = false;
    if (this._isBehind && !this._isDisposed && !this._model.isDisposed && !this._keepsBack()) {
      this._draw(() => this._rewrite(), true);
    }
  }

  /** Which outputs were put anew. */
  private _applyList(delta: IDelta<unknown[]>[]): Set<number> {
    const fresh = new Set<number>();
    const outputs = this._model.outputs;
    const after = this._shared.toArray().map((_, index) => index);
    this._apply(() => {
      for (const step of listSteps(outputs.length, delta, after)) {
        if (step.do === 'remove') {
          outputs.remove(step.index);
        } else {
          fresh.add(step.value);
          const output = this._output(step.value);
          if (step.do === 'set') {
            outputs.set(step.index, output);
          } else {
            outputs.add(output);
          }
        }
      }
    });
    return fresh;
  }

  private _applyText(index: number, delta: IDelta<string>[]): void {
    const outputs = this._model.outputs;
    const text = this._followedText(index);
    for (const step of text ? textSteps(delta) : []) {
      if (step.delete) {
        text?.remove(step.start, step.start + step.delete, SILENT);
      }
      if (step.insert) {
        text?.insert(step.start, step.insert, SILENT);
      }
    }
    const shared = this._shared.get(index).get('text') as Y.Text;
    if (text?.text.length !== shared.length) {
      // No stream here, or JupyterLab resolved control characters as it read this output.
      this._apply(() => outputs.set(index, this._output(index)));
    }
  }

  /** Brings every output into line, and leaves those alone that are. */
  private _rewrite(): void {
    this._isBehind = false;
    const outputs = this._model.outputs;
    this._apply(() => {
      while (outputs.length > this._shared.length) {
        outputs.remove(outputs.length - 1);
      }
      for (let index = 0; index < this._shared.length; index++) {
        const output = this._output(index);
        if (index >= outputs.length) {
          outputs.add(output);
        } else {
          this._replace(index, output);
        }
      }
    });
  }

  private _replace(index: number, output: nbformat.IOutput): void {
    const outputs = this._model.outputs;
    const json = outputs.get(index).toJSON();
    const text = this._followedText(index);
    if (!text || json.name !== output.name || typeof output.text !== 'string') {
      if (!JSONExt.deepEqual(json, output)) {
        outputs.set(index, output);
      }
      return;
    }
    const start = commonStart(text.text, output.text);
    if (start < text.text.length) {
      text.remove(start, text.text.length, SILENT);
    }
    if (start < output.text.length) {
      text.insert(start, output.text.slice(start), SILENT);
    }
  }

  /** JupyterLab draws what is done to the text of an output that was added, not of one put anew. */
  private _followedText(index: number): NonNullable<IOutputModel['streamText']> | null {
    const output = this._model.outputs.get(index);
    return this._unfollowed.has(output) ? null : (output.streamText ?? null);
  }

  private _output(index: number): nbformat.IOutput {
    const output: unknown = this._shared.get(index);
    const plain = (
      typeof output === 'object' && output !== null && 'toJSON' in output
        ? (output as Y.Map<unknown>).toJSON()
        : output
    ) as nbformat.IOutput;
    return withLink(Array.isArray(plain.text) ? { ...plain, text: plain.text.join('') } : plain);
  }

  private _apply(change: () => void): void {
    this._isApplying = true;
    try {
      change();
    } finally {
      this._isApplying = false;
    }
  }

  private _isDisposed = false;
  private _isApplying = false;
  private readonly _unfollowed = new WeakSet<IOutputModel>();
  private _spentMs = 0;
  private _isMeasuring = false;
  private _isResting = false;
  private _isBehind = false;
  private readonly _pace = new DrawingPace();
  private readonly _model: CodeCellModel;
  private readonly _inside: IModelInside;
  private readonly _shared: Y.Array<Y.Map<unknown>>;
}
