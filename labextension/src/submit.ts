// Tries a submission again where that can help: the network is away, or the cell is on its way.
import { ApiError } from './errors';

/** The waits between the tries while the server is out of reach: 15 s in all. */
const UNREACHABLE_MS: readonly number[] = [500, 1000, 2000, 4000, 7500];
/** The waits while the server does not know a cell that this page has just made: 3 s in all. */
const UNKNOWN_CELL_MS: readonly number[] = [100, 200, 400, 800, 1500];

/**
 * @param submit - one try; all of them carry the same idempotency key
 * @param sleep - resolves after so many milliseconds
 */
export async function submitReliably<T>(
  submit: () => Promise<T>,
  sleep: (ms: number) => Promise<void>
): Promise<T> {
  for (let unreachable = 0, unknown = 0; ;) {
    try {
      return await submit();
    } catch (error) {
      const wait = isUnknownCell(error)
        ? UNKNOWN_CELL_MS[unknown++]
        : error instanceof ApiError
          ? undefined
          : UNREACHABLE_MS[unreachable++];
      if (wait === undefined) {
        throw error;
      }
      await sleep(wait);
    }
  }
}

/** Whether the server has no such kernel (any more). */
export function isUnknownKernel(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.field.startsWith('kernel');
}

function isUnknownCell(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.field.startsWith('cells');
}
