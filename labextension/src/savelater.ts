// Who saves while the server is out of reach is not told off: it is saved when it is back.
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { DisposableDelegate, IDisposable } from '@lumino/disposable';

/** Whether, and when, the server can be reached. */
export interface IReach {
  isReachable(): Promise<boolean>;
  /** Resolves when it can be reached again; whoever looks at the page is told meanwhile. */
  untilBack(): Promise<void>;
}

/**
 * Has `context.save` wait for the server; JupyterLab opens a dialog that nothing can be done about,
 * for a document that the server itself saves (SPEC U4).
 */
export function saveWhenReachable(context: DocumentRegistry.Context, reach: IReach): IDisposable {
  const plain = context.save;
  let ready: Promise<void> | null = null;
  const wait = async (): Promise<void> => {
    if (!(await reach.isReachable())) {
      await reach.untilBack();
    }
    ready = null;
  };
  const save = async (): Promise<void> => {
    await (ready ??= wait());
    return plain.call(context);
  };
  context.save = save;
  return new DisposableDelegate(() => {
    if (context.save === save) {
      Reflect.deleteProperty(context, 'save'); // the class has it
    }
  });
}
