// Where this extension puts what belongs to a cell: directly below its outputs.
import type { CodeCell } from '@jupyterlab/cells';
import { PanelLayout, Widget } from '@lumino/widgets';

/** Puts `widget` above the cell's footer; false if the cell is not drawn yet. */
export function placeBelowOutputs(cell: CodeCell, widget: Widget): boolean {
  if (!cell.inputArea || !(cell.layout instanceof PanelLayout)) {
    return false;
  }
  cell.layout.insertWidget(cell.layout.widgets.length - 1, widget);
  return true;
}
