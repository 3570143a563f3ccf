/**
 * The shell of `!command` and `%%bash`: just-bash, an interpreter of the language in JavaScript, on
 * Emscripten's files.
 *
 * Nothing of this is loaded before the first command (see `BashDoor`). The interpreter gets no
 * network, no other environment than Python's, and no files but the guest's.
 */

import { ErrorTexts, FileError } from "./bash_errors.ts";
import { type Execute, ownCommands } from "./bash_commands.ts";
import { BashFiles, fromLatin1, latin1, type Sink } from "./bash_files.ts";
import { correctLoops, DIRECT, type Script, showOutputs, STDERR, STDOUT } from "./bash_outputs.ts";
import type { FileSystem } from "./emscripten.ts";

/** What is used of the interpreter; the bundle has no types. */
export interface Library {
  readonly Bash: new (options: Readonly<Record<string, unknown>>) => Interpreter;
  getCommandNames(): string[];
  defineCommand(name: string, execute: Execute): unknown;
}

interface Interpreter {
  exec(script: string, options: Readonly<Record<string, unknown>>): Promise<Result>;
  registerTransformPlugin(plugin: {
    readonly name: string;
    transform(context: { readonly ast: Script }): { readonly ast: Script };
  }): void;
}

interface Result {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** How the interpreter learns of an interrupt; a part of `Doors`. */
export interface Interrupts {
  interruptWaits(): boolean;
  takeInterrupt(): boolean;
}

/** Takes text for the cell, as it comes. */
export type Write = (name: "stdout" | "stderr", text: string) => void;

/** A program in Python. `call` is JSON with `name`, `args`, `cwd`, `env` and `direct`. */
export interface Program {
  callPromising(call: string, stdin: Uint8Array): Promise<ProgramResult>;
}

/** Exit code, stdout, stderr, and whether an interrupt ended it. */
type ProgramResult = readonly [number, Uint8Array, Uint8Array, boolean];

/** Where a script runs; given as JSON. */
export interface Place {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** How a script ended. */
export interface Outcome {
  readonly code: number;
  readonly interrupted: boolean;
}

/** A script that runs. */
export interface Run {
  readonly done: Promise<Outcome>;
  /** Ends it at the next command. */
  stop(): void;
}

/** Programs in Python. */
const PROGRAMS = ["python", "python3", "pip", "pip3", "tar"];

/** Those that write to the cell while they run. */
const STREAMING: ReadonlySet<string> = new Set(["python", "python3", "pip", "pip3"]);

/** Commands of the interpreter whose libraries the bundle leaves out. */
const LEFT_OUT: ReadonlySet<string> = new Set(["html-to-markdown"]);

const INTERRUPTED = 130;

/** The interpreter, loaded. */
export class Bash {
  readonly #library: Library;
  readonly #fs: FileSystem;
  readonly #interrupts: Interrupts;
  readonly #bundled: readonly string[];

  constructor(library: Library, fs: FileSystem, interrupts: Interrupts) {
    this.#library = library;
    this.#fs = fs;
    this.#interrupts = interrupts;
    this.#bundled = library.getCommandNames().filter((name) => !LEFT_OUT.has(name));
  }

  /** Names of all commands, but for those that are part of the language. */
  get commands(): string[] {
    return [...this.#bundled, ...PROGRAMS].sort();
  }

  /** Starts a script. Its exit code is bash's; a syntax error is a message on stderr and 2. */
  start(script: string, placeJson: string, write: Write, program: Program): Run {
    const place: Place = JSON.parse(placeJson);
    const errors = new ErrorTexts();
    const outputs = new Outputs(write, errors);
    const stop = new StopSignal(this.#interrupts);
    const files = new BashFiles(this.#fs, errors, outputs.sinks);
    const bash = new this.#library.Bash({
      fs: files,
      cwd: place.cwd,
      env: place.env,
      commands: this.#bundled,
      customCommands: [
        ...this.#programs(program, stop),
        ...Object.entries(ownCommands(files)).map(([name, execute]) =>
          this.#library.defineCommand(name, execute)
        ),
      ],
      defenseInDepth: false,
      executionLimits: limits(),
    });
    showFirst(bash, script);
    return {
      done: this.#run(bash, script, place.stdin, outputs, stop),
      stop: () => stop.abort(),
    };
  }

  async #run(
    bash: Interpreter,
    script: string,
    stdin: string,
    outputs: Outputs,
    stop: StopSignal,
  ): Promise<Outcome> {
    const options = { rawScript: true, signal: stop.signal, stdin };
    const { stdout, stderr, exitCode } = await bash.exec(script, options).catch(asResult);
    outputs.end();
    const interrupted = stop.signal.aborted;
    if (stdout !== "") outputs.write("stdout", stdout);
    if (stderr !== "" && !interrupted) outputs.write("stderr", stderr);
    if (outputs.missing !== undefined) {
      outputs.write("stderr", wordMissing(outputs.missing, this.commands));
    }
    return { code: interrupted ? INTERRUPTED : exitCode, interrupted };
  }

  #programs(program: Program, stop: StopSignal): unknown[] {
    const direct = [...STREAMING].map((name) => name + DIRECT);
    return [...PROGRAMS, ...direct].map((called) => {
      const name = called.replace(DIRECT, "");
      return this.#library.defineCommand(called, async (args, context) => {
        const { cwd, stdin, exportedEnv: env = {} } = context;
        const call = JSON.stringify({ name, args, cwd, env, direct: called !== name });
        const [exitCode, stdout, stderr, interrupted] = await program.callPromising(
          call,
          fromLatin1(stdin),
        );
        if (interrupted) stop.abort();
        return {
          stdout: latin1(stdout),
          stdoutKind: "bytes",
          stdoutEncoding: "binary",
          stderr: new TextDecoder().decode(stderr),
          exitCode,
        };
      });
    });
  }
}

/** A file that could not be written although it could be opened ends the script. */
function asResult(error: unknown): Result {
  if (!(error instanceof FileError)) throw error;
  return { stdout: "", stderr: `bash: ${error.message}\n`, exitCode: 1 };
}

/** Shows the outputs of the script itself; scripts that it runs are for its commands. */
function showFirst(bash: Interpreter, source: string): void {
  let first = true;
  bash.registerTransformPlugin({
    name: "outputs",
    transform: ({ ast }) => {
      correctLoops(ast);
      if (first) showOutputs(ast, source, STREAMING);
      first = false;
      return { ast };
    },
  });
}

const NOT_FOUND = /^bash: (?:line \d+: )?(\S+): command not found$/m;
const NETWORK: ReadonlySet<string> = new Set(["curl", "ftp", "nc", "ping", "ssh", "wget"]);

/** What to do without a command. */
function wordMissing(name: string, commands: readonly string[]): string {
  const reason = NETWORK.has(name)
    ? "the shell has no network; use requests or urllib.request in Python"
    : "no program of the host can be run from this sandbox";
  return `${name}: ${reason}. There are: ${commands.join(" ")}\n`;
}

/** Passes bytes for the cell on as text. */
class Outputs {
  readonly sinks: ReadonlyMap<string, Sink>;
  readonly #write: Write;
  readonly #errors: ErrorTexts;
  /** The last command that was not found. */
  missing: string | undefined;
  readonly #decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };

  constructor(write: Write, errors: ErrorTexts) {
    this.#write = write;
    this.#errors = errors;
    this.sinks = new Map([
      [STDOUT, (bytes): void => this.#take("stdout", bytes)],
      [STDERR, (bytes): void => this.#take("stderr", bytes)],
    ]);
  }

  #take(name: "stdout" | "stderr", bytes: Uint8Array<ArrayBuffer>): void {
    const text = this.#decoders[name].decode(bytes, { stream: true });
    if (text !== "") this.write(name, text);
  }

  write(name: "stdout" | "stderr", text: string): void {
    if (name === "stderr") this.missing = text.match(NOT_FOUND)?.[1] ?? this.missing;
    this.#write(name, name === "stderr" ? this.#errors.word(text) : text);
  }

  /** Passes on what is left of a character that was never finished. */
  end(): void {
    for (const name of ["stdout", "stderr"] as const) {
      const rest = this.#decoders[name].decode();
      if (rest !== "") this.write(name, rest);
    }
  }
}

/**
 * An AbortSignal that looks for an interrupt whenever it is asked whether it is aborted, which the
 * interpreter does before each command and in loops. It may not let anybody else run for long, so
 * that no message of an interrupt would be heard.
 */
class StopSignal {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #interrupts: Interrupts;

  constructor(interrupts: Interrupts) {
    this.#interrupts = interrupts;
    this.signal = this.#controller.signal;
    const aborted = { get: (): boolean => this.#look(), configurable: true };
    Object.defineProperty(this.signal, "aborted", aborted);
  }

  abort(): void {
    // From now on the signal knows itself; its listeners are called only if it was not aborted.
    Reflect.deleteProperty(this.signal, "aborted");
    this.#controller.abort();
  }

  #look(): boolean {
    if (!this.#interrupts.interruptWaits()) return false;
    this.#interrupts.takeInterrupt();
    this.abort();
    return true;
  }
}

/** An interrupt ends what takes too long; what the interpreter keeps stays bounded. */
function limits(): Record<string, number> {
  const most = Number.MAX_SAFE_INTEGER;
  return {
    maxExecutionTimeMs: Infinity,
    maxCommandCount: most,
    maxLoopIterations: most,
    maxAwkIterations: most,
    maxAwkParserOperations: most,
    maxSedIterations: most,
    maxJqIterations: most,
    maxWorkUnits: most,
    maxTraversalEntries: most,
    maxTraversalWork: most,
    maxGlobOperations: most,
  };
}
