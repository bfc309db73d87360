// A network between browser and server that can be cut.
import { Server, Socket, connect, createServer } from 'node:net';

export class Network {
  /** Listens on a port of its own, and forwards to `port`. */
  static async to(port: number): Promise<Network> {
    const network = new Network(port);
    await network._listen(0);
    return network;
  }

  private constructor(private readonly _target: number) {}

  get url(): string {
    return `http://127.0.0.1:${this._port}`;
  }

  /** Ends every connection, and refuses new ones. */
  async cut(): Promise<void> {
    const server = this._server;
    this._server = null;
    const closed = new Promise<void>(resolve =>
      server ? server.close(() => resolve()) : resolve()
    );
    this._sockets.forEach(socket => socket.destroy());
    await closed;
  }

  restore(): Promise<void> {
    return this._listen(this._port);
  }

  private _listen(port: number): Promise<void> {
    const server = createServer(from => {
      const to = connect(this._target, '127.0.0.1');
      for (const [socket, other] of [
        [from, to],
        [to, from]
      ]) {
        this._sockets.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this._sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
    this._server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        this._port = typeof address === 'object' && address ? address.port : 0;
        resolve();
      });
    });
  }

  private _port = 0;
  private _server: Server | null = null;
  private readonly _sockets = new Set<Socket>();
}
