// SPDX-License-Identifier: Apache-2.0
// session.ts - one database in use: requests one after the other, what must be durable before each
// reply, housekeeping in between. Runs where the storage is: the worker, or Node's own thread.
//
// A reply is given only once what it acknowledges is durable. When that fails, or when the module
// traps, the instance is dropped and the next request opens the database from storage again.
import { openCore, type Core, type CoreOptions, type Reply } from './core.js';
import type { Log } from './bridge.js';
import { OctantError, toOctantError } from './errors.js';
import type { SearchCall, SearchOutcome } from './search.js';
import type { Storage } from './storage/storage.js';

const SLICE_MS = 20; // of housekeeping, after which a waiting request gets its turn
const STARVED_ATTEMPTS_MAX = 4; // each with twice as many files ready

export interface SessionOptions extends CoreOptions {
  module: WebAssembly.Module;
  /** Called at open, and again when the database must be opened anew. */
  storage: () => Promise<Storage>;
  log?: Log;
}

/** What a client needs of a database, in this thread or in another. */
export interface Connection {
  /** The kernels that compute distances. */
  readonly kernels: string;
  call(verb: string, path: string, body: string, floats: Float32Array | null): Promise<Reply>;
  search(call: SearchCall): Promise<SearchOutcome>;
  /** Do housekeeping until nothing is left. */
  maintain(): Promise<void>;
  close(): Promise<void>;
}

interface Opened {
  core: Core;
  storage: Storage;
}

export class Session implements Connection {
  readonly #options: SessionOptions;
  #opened: Opened | null = null;
  #kernels = '';
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed = false;
  #idle: ReturnType<typeof setTimeout> | null = null;

  private constructor(options: SessionOptions) {
    this.#options = options;
  }

  static async open(options: SessionOptions): Promise<Session> {
    const session = new Session(options);
    await session.#enqueue(() => session.#open());
    session.#scheduleIdle();
    return session;
  }

  get kernels(): string {
    return this.#kernels;
  }

  /** Run `task` when all before it are done. */
  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const result = this.#last.then(task).finally(() => { this.#waiting--; });
    this.#last = result.catch(() => {}); // its caller hears of it
    return result;
  }

  async #open(): Promise<Opened> {
    if (this.#closed) throw new OctantError('UNAVAILABLE', 'the database is closed');
    if (this.#opened !== null) return this.#opened;
    const storage = await this.#options.storage();
    try {
      await storage.prepare();
      const log = this.#options.log ?? (() => {});
      const core = await openCore(this.#options.module, storage, log, this.#options);
      this.#opened = { core, storage };
      this.#kernels = core.kernels;
      if (storage.dirty) await storage.commit();
      return this.#opened;
    } catch (thrown) {
      this.#opened = null;
      await storage.shutdown();
      throw toOctantError(thrown);
    }
  }

  /** Let an instance go that can't be trusted any more. */
  async #drop(): Promise<void> {
    const opened = this.#opened;
    this.#opened = null;
    await opened?.storage.shutdown();
  }

  /** Run `action` on the core and make what it did durable; drop everything when either fails. */
  async #run<T>(action: (core: Core) => T, wantsMore: (result: T) => boolean): Promise<T> {
    const { core, storage } = await this.#open();
    try {
      for (let attempt = 1; ; attempt++) {
        await storage.prepare();
        const result = action(core);
        if (storage.dirty) await storage.commit();
        if (!storage.starved || !wantsMore(result) || attempt === STARVED_ATTEMPTS_MAX) {
          return result;
        }
      }
    } catch (thrown) {
      await this.#drop();
      throw toOctantError(thrown);
    }
  }

  call(verb: string, path: string, body: string, floats: Float32Array | null): Promise<Reply> {
    return this.#enqueue(async () => {
      const reply = await this.#run((core) => core.call(verb, path, body, floats),
        (result) => result.status === 'LIMIT');
      this.#scheduleIdle();
      return reply;
    });
  }

  search(call: SearchCall): Promise<SearchOutcome> {
    return this.#enqueue(() => this.#run((core) => core.search(call),
      ({ status }) => status === 'LIMIT'));
  }

  /** One slice of housekeeping; whether there is more. A failure of it is the core's answer. */
  async #slice(): Promise<boolean> {
    const result = await this.#run((core) => {
      try {
        return { more: core.maintain(SLICE_MS), error: null };
      } catch (thrown) {
        if (!(thrown instanceof OctantError)) throw thrown; // a trap
        return { more: false, error: thrown };
      }
    }, ({ error }) => error?.status === 'LIMIT');
    if (result.error !== null) throw result.error;
    return result.more;
  }

  async maintain(): Promise<void> {
    while (await this.#enqueue(() => this.#slice()));
  }

  /** Do a slice as soon as nobody waits, and go on while there is more. */
  #scheduleIdle(): void {
    if (this.#idle !== null || this.#closed || this.#options.readOnly) return;
    this.#idle = setTimeout(() => {
      this.#idle = null;
      if (this.#closed) return;
      if (this.#waiting > 0) {
        this.#scheduleIdle();
        return;
      }
      this.#enqueue(() => this.#slice()).then((more) => {
        if (more) this.#scheduleIdle();
      }, (error: OctantError) => this.#options.log?.('warn', `maintenance: ${error.message}`));
    }, 1);
    if (typeof this.#idle === 'object') this.#idle.unref(); // Node may end meanwhile
  }

  async close(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    await this.#enqueue(async () => {
      this.#closed = true;
      const opened = this.#opened;
      this.#opened = null;
      if (opened === null) return;
      try {
        opened.core.close();
        if (opened.storage.dirty) await opened.storage.commit();
      } finally {
        await opened.storage.shutdown();
      }
    });
  }
}
