// A Jupyter server of its own: own directories, own port, own token; ended by its process id.
import { ChildProcess, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const REPOSITORY = path.resolve(__dirname, '../..');
/** Where `jupyter` is; another environment to try other versions of JupyterLab. */
const BIN = process.env.JUPYTER_BIN || path.join(REPOSITORY, '.venv/bin');
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

/** What `pip install notebook_exec` puts into JupyterLab. */
const OURS = [
  'notebook-exec',
  '@jupyter/docprovider-extension',
  '@jupyter/collaboration-extension'
];

export type App = 'lab' | 'notebook';

/** Values of a server's options, by class and name, as in Jupyter's own config files. */
export type Config = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export class JupyterServer {
  /** `isPlain`: the same environment, with JupyterLab alone: to compare with. */
  static async start(
    app: App = 'lab',
    config: Config = {},
    isPlain = false
  ): Promise<JupyterServer> {
    const folder = await mkdtemp(path.join(tmpdir(), 'nbexec-ui-'));
    const server = new JupyterServer(app, config, folder, await freePort());
    await server._configure(isPlain);
    await server.launch();
    return server;
  }

  private constructor(
    readonly app: App,
    private readonly _config: Config,
    readonly folder: string,
    readonly port: number
  ) {
    this.root = path.join(folder, 'root');
    this.log = path.join(folder, 'server.log');
  }

  readonly token = randomUUID();
  readonly root: string;
  readonly log: string;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this._process?.pid ?? 0;
  }

  /** Starts the process (again), and resolves when it answers. */
  async launch(): Promise<void> {
    const log = createWriteStream(this.log, { flags: 'a' });
    const child = spawn(
      path.join(BIN, 'jupyter'),
      [this.app, '--no-browser', ...(process.getuid?.() === 0 ? ['--allow-root'] : [])],
      {
        cwd: this.root,
        env: this._environment(),
        stdio: ['ignore', 'pipe', 'pipe']
      }
    );
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    this._process = child;
    const limit = Date.now() + START_LIMIT_MS;
    while (!(await this.answers())) {
      if (child.exitCode !== null || Date.now() > limit) {
        throw new Error(`The server did not start; see ${this.log}`);
      }
      await pause(100);
    }
  }

  /** Whether a request gets an answer. */
  async answers(): Promise<boolean> {
    try {
      return (await this.fetch('/api')).ok;
    } catch {
      return false;
    }
  }

  fetch(route: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url + route, {
      ...init,
      headers: { Authorization: `token ${this.token}`, ...init.headers }
    });
  }

  async json<T>(route: string, init: RequestInit = {}): Promise<T> {
    const response = await this.fetch(route, init);
    if (!response.ok) {
      throw new Error(`${route}: ${response.status} ${await response.text()}`);
    }
    return (await response.json()) as T;
  }

  /** Sends `signal` to the server's process alone, and resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this._process;
    if (!child || child.exitCode !== null || child.signalCode !== null) {
      return;
    }
    const gone = new Promise<void>(resolve => child.once('exit', () => resolve()));
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await gone;
    clearTimeout(late);
    if (child.signalCode === 'SIGKILL' && signal !== 'SIGKILL') {
      throw new Error(`The server did not end at ${signal}; see ${this.log}`);
    }
  }

  /** Ends it and takes its folder away. */
  async dispose(keepFolder = false): Promise<void> {
    await this.end('SIGTERM');
    if (!keepFolder) {
      await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  /** Sets JupyterLab's settings of a name like `apputils-extension/notification`. */
  async set(name: string, settings: object): Promise<void> {
    const folder = path.join(this.folder, 'config/lab/user-settings/@jupyterlab');
    await write(path.join(folder, `${name}.jupyterlab-settings`), settings);
  }

  private async _configure(isPlain: boolean): Promise<void> {
    await mkdir(this.root, { recursive: true });
    await write(path.join(this.folder, 'config/jupyter_server_config.json'), {
      ...this._config,
      ServerApp: {
        root_dir: this.root,
        port: this.port,
        port_retries: 0,
        ip: '127.0.0.1',
        ...(isPlain
          ? { jpserver_extensions: { notebook_exec: false, jupyter_server_ydoc: false } }
          : {})
      },
      IdentityProvider: { token: this.token },
      // Kernels of a server that was killed are not to stay for a day.
      NotebookExecApp: { orphan_timeout: 60, ...this._config.NotebookExecApp },
      LabApp: { expose_app_in_browser: true },
      JupyterNotebookApp: { expose_app_in_browser: true }
    });
    await write(path.join(this.folder, 'config/labconfig/page_config.json'), {
      // Or each page that is loaded has the server ask node, twice, whether to build JupyterLab.
      buildAvailable: false,
      buildCheck: false,
      ...(isPlain ? { disabledExtensions: Object.fromEntries(OURS.map(name => [name, true])) } : {})
    });
    await this.set('apputils-extension/notification', {
      fetchNews: 'false',
      checkForUpdates: false
    });
  }

  private _environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      JUPYTER_TOKEN: '',
      JUPYTER_CONFIG_DIR: path.join(this.folder, 'config'),
      JUPYTER_DATA_DIR: path.join(this.folder, 'data'),
      JUPYTER_RUNTIME_DIR: path.join(this.folder, 'runtime'),
      IPYTHONDIR: path.join(this.folder, 'ipython'),
      MPLCONFIGDIR: path.join(this.folder, 'matplotlib')
    };
  }

  private _process: ChildProcess | null = null;
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/**
 * Of those that the system gives nobody by itself: a server takes seconds until it listens, and some
 * are started again.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    if (await canListen(port)) {
      return port;
    }
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

async function write(name: string, content: unknown): Promise<void> {
  await mkdir(path.dirname(name), { recursive: true });
  await writeFile(name, JSON.stringify(content));
}
