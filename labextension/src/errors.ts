// What goes wrong with a request.

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
