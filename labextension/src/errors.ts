// What goes wrong with a request.
import { textField } from './json';

/** The server refused. `field` names what was wrong, `reason` is for programs. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly reason: string,
    readonly field: string
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** What the server says when it refuses; `otherwise` if it says no more than the status. */
export function refusal(answer: unknown, status: number, otherwise: string): ApiError {
  return new ApiError(
    textField(answer, 'message') || otherwise,
    status,
    textField(answer, 'reason'),
    textField(answer, 'field')
  );
}
