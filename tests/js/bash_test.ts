import assert from "node:assert/strict";

import { Bash, type Library, type Program } from "../../pyodide_kernel/js/bash.ts";
import { normalDiff, ownCommands, type Printed } from "../../pyodide_kernel/js/bash_commands.ts";
import { ErrorTexts, FileError } from "../../pyodide_kernel/js/bash_errors.ts";
import { BashFiles } from "../../pyodide_kernel/js/bash_files.ts";
import {
  type Command,
  correctLoops,
  type Pipeline,
  showOutputs,
  STDERR,
  STDOUT,
  type Word,
} from "../../pyodide_kernel/js/bash_outputs.ts";
import { FakeFileSystem } from "./fake_file_system.ts";

const PLACE = JSON.stringify({ cwd: "/", env: { A: "b" }, stdin: "" });
const NO_PROGRAM: Program = { callPromising: () => assert.fail("There is no program") };

interface Options {
  readonly fs: BashFiles;
  readonly customCommands: readonly {
    name: string;
    execute(args: string[], context: unknown): Promise<Printed>;
  }[];
}

type Exec = (options: Options, signal: AbortSignal) => Promise<Partial<Printed>>;

/** A library whose interpreter does what a test says. */
function libraryOf(exec: Exec): Library {
  class Interpreter {
    readonly #options: Options;
    constructor(options: Readonly<Record<string, unknown>>) {
      this.#options = options as unknown as Options;
    }
    registerTransformPlugin(): void {}
    async exec(_script: string, { signal }: Readonly<Record<string, unknown>>): Promise<Printed> {
      const printed = await exec(this.#options, signal as AbortSignal);
      return { stdout: "", stderr: "", exitCode: 0, ...printed };
    }
  }
  return {
    Bash: Interpreter,
    getCommandNames: () => ["cat", "html-to-markdown", "ls"],
    defineCommand: (name, execute) => ({ name, execute }),
  };
}

interface Ran {
  readonly code: number;
  readonly interrupted: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script of which nothing matters. `interrupts` counts down to an interrupt. */
async function run(exec: Exec, program = NO_PROGRAM, interrupts = Infinity): Promise<Ran> {
  const texts = { stdout: "", stderr: "" };
  const waits = { left: interrupts };
  const bash = new Bash(libraryOf(exec), new FakeFileSystem().fs, {
    interruptWaits: () => waits.left-- <= 0,
    takeInterrupt: () => {
      waits.left = Infinity;
      return true;
    },
  });
  const started = bash.start("script", PLACE, (name, text) => texts[name] += text, program);
  return { ...await started.done, ...texts };
}

Deno.test("output is passed on as it comes, characters in one piece", async () => {
  const ran = await run(async ({ fs }) => {
    await fs.appendFile(STDOUT, new Uint8Array([0x61, 0xc3]));
    await fs.appendFile(STDOUT, new Uint8Array([0xb6]));
    await fs.appendFile(STDERR, "err\n");
    return { stdout: " rest", exitCode: 3 };
  });
  assert.deepEqual(ran, { code: 3, interrupted: false, stdout: "aö rest", stderr: "err\n" });
});

Deno.test("half a character at the end is shown as such", async () => {
  const ran = await run(async ({ fs }) => {
    await fs.appendFile(STDOUT, new Uint8Array([0xc3]));
    return {};
  });
  assert.equal(ran.stdout, "\ufffd");
});

Deno.test("an interrupt is found when the interpreter asks, and its listeners are told", async () => {
  let told = false;
  const ran = await run(
    (_options, signal) => {
      signal.addEventListener("abort", () => told = true);
      while (!signal.aborted);
      return Promise.resolve({ exitCode: 124, stderr: "bash: execution aborted\n" });
    },
    NO_PROGRAM,
    1000,
  );
  assert.deepEqual([ran.code, ran.interrupted, ran.stderr, told], [130, true, "", true]);
});

Deno.test("stop() ends what waits", async () => {
  const library = libraryOf((_options, signal) =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve({})))
  );
  const never = { interruptWaits: () => false, takeInterrupt: () => false };
  const bash = new Bash(library, new FakeFileSystem().fs, never);
  const started = bash.start("sleep", PLACE, () => undefined, NO_PROGRAM);
  started.stop();
  started.stop();
  assert.equal((await started.done).interrupted, true);
});

Deno.test("a program gets bytes and gives bytes, and can end the script", async () => {
  const calls: string[] = [];
  const program: Program = {
    callPromising(call, stdin): ReturnType<Program["callPromising"]> {
      calls.push(call);
      return Promise.resolve([7, stdin, new TextEncoder().encode("err"), true]);
    },
  };
  const ran = await run(async ({ customCommands }) => {
    const python = customCommands.find(({ name }) => name === "python") ?? assert.fail();
    const context = { cwd: "/d", stdin: "\xff\x00", exportedEnv: { A: "b" } };
    const printed = await python.execute(["-c", "x"], context);
    assert.deepEqual([printed.stdout, printed.stdoutKind], ["\xff\x00", "bytes"]);
    assert.deepEqual([printed.stderr, printed.exitCode], ["err", 7]);
    return {};
  }, program);
  assert.equal(ran.interrupted, true);
  assert.deepEqual(calls.map((call) => JSON.parse(call)), [
    { name: "python", args: ["-c", "x"], cwd: "/d", env: { A: "b" }, direct: false },
  ]);
});

Deno.test("a missing command is told with those that there are", async () => {
  const ran = await run(() => Promise.resolve({ stderr: "bash: git: command not found\n" }));
  const [first, second] = ran.stderr.split("\n");
  assert.equal(first, "bash: git: command not found");
  assert.match(second ?? "", /^git: no program of the host .* There are: cat ls pip .* tar$/);
  const curl = await run(() => Promise.resolve({ stderr: "bash: curl: command not found\n" }));
  assert.match(curl.stderr, /the shell has no network; use requests/);
});

Deno.test("a disk that is full ends the script with the reason", async () => {
  const ran = await run(() => Promise.reject(new FileError(51)));
  assert.deepEqual([ran.code, ran.stderr], [1, "bash: No space left on device\n"]);
  await assert.rejects(run(() => Promise.reject(new TypeError("broken"))), TypeError);
});

// The syntax tree

function word(value: string): Word {
  return { type: "Word", parts: [{ type: "Literal", value }] };
}

function simple(name: string, ...operators: string[]): Command {
  const redirections = operators.map((operator) => ({
    type: "Redirection" as const,
    fd: null,
    operator,
    target: word("f"),
  }));
  return { type: "SimpleCommand", name: word(name), redirections };
}

function pipe(...commands: Command[]): Pipeline {
  return { commands };
}

/** Name of the command, and where its outputs go, in short. */
function short({ name, redirections = [] }: Command): string {
  const text = typeof name === "object" ? name?.parts[0]?.value : name;
  const places = redirections.map(({ operator, target }) => {
    const value = (target as Word).parts[0]?.value;
    return value === STDOUT ? "1" : value === STDERR ? "2" : operator;
  });
  return `${text} ${places.join("")}`.trim();
}

function shown(...pipelines: Pipeline[]): string[] {
  showOutputs({ statements: [{ pipelines }] }, "", new Set(["python"]));
  return pipelines.flatMap(({ commands }) => commands.map(short));
}

Deno.test("output that nobody takes goes to the cell", () => {
  assert.deepEqual(shown(pipe(simple("a"))), ["a 12"]);
  assert.deepEqual(shown(pipe(simple("a"), simple("b"))), ["a 2", "b 12"]);
  assert.deepEqual(shown(pipe(simple("a", ">"))), ["a 12>"]);
  const both = { commands: [simple("a"), simple("b")], pipeStderr: [true] };
  assert.deepEqual(shown(both), ["a", "b 12"]);
});

Deno.test("what ends something, or only assigns, is left alone", () => {
  for (const name of ["exit", "return", "break", "continue"]) {
    assert.deepEqual(shown(pipe(simple(name))), [name]);
  }
  const assignment: Command = { type: "SimpleCommand", name: null, redirections: [] };
  shown(pipe(assignment));
  assert.deepEqual(assignment.redirections, []);
});

Deno.test("a program writes to the cell itself where that is the same", () => {
  assert.deepEqual(shown(pipe(simple("python"))), ["python@cell 12"]);
  assert.deepEqual(shown(pipe(simple("cat"), simple("python", "<"))), ["cat 2", "python@cell 12<"]);
  assert.deepEqual(shown(pipe(simple("python", ">"))), ["python 12>"]);
  assert.deepEqual(shown(pipe(simple("python"), simple("cat"))), ["python 2", "cat 12"]);
});

Deno.test("loops are looked into unless somebody takes their output", () => {
  const inner = [simple("a"), simple("b"), simple("c"), simple("d"), simple("e"), simple("f")];
  const [a, b, c, d, e, f] = inner.map((command) => [{ pipelines: [pipe(command)] }]);
  assert(a && b && c && d && e && f);
  const loop: Command = { type: "While", condition: a, body: b, redirections: [] };
  const choice: Command = {
    type: "If",
    clauses: [{ condition: c, body: d }],
    elseBody: e,
    redirections: [],
  };
  const taken: Command = {
    type: "For",
    body: f,
    redirections: [...simple("x", ">").redirections ?? []],
  };
  shown(pipe(loop), pipe(choice), pipe(taken));
  assert.deepEqual(inner.map(short), ["a 12", "b 12", "c 12", "d 12", "e 12", "f"]);
  assert.equal(short(taken), "undefined 12>");
});

Deno.test("a script that opens descriptors is left as it is, find -exec is none", () => {
  for (const source of ["exec 3>f", "a; exec >f", 'eval "exec >f"']) {
    const command = simple("a");
    showOutputs({ statements: [{ pipelines: [pipe(command)] }] }, source, new Set());
    assert.equal(short(command), "a", source);
  }
  const command = simple("find");
  showOutputs({ statements: [{ pipelines: [pipe(command)] }] }, "find . -exec ls", new Set());
  assert.equal(short(command), "find 12");
});

Deno.test("a loop over the arguments keeps them whole", () => {
  const tree = { body: [{ type: "For", words: null }, { type: "For", words: [] }] };
  correctLoops(tree);
  assert.match(JSON.stringify(tree.body[0]), /DoubleQuoted.*"@"/);
  assert.deepEqual(tree.body[1], { type: "For", words: [] });
});

// Commands

const UNIFIED = `--- x
+++ y
@@ -1,5 +1,6 @@
 a
-b
-c
+B
 d
+e
+f
 g
@@ -20,2 +21,1 @@
 t
-u`;

Deno.test("diff has its own format", () => {
  assert.equal(
    normalDiff(UNIFIED.split("\n")),
    "2,3c2\n< b\n< c\n---\n> B\n4a4,5\n> e\n> f\n21d21\n< u\n",
  );
  assert.equal(
    normalDiff(["@@ -1,1 +1,1 @@", "-a", "\\ No newline at end of file", "+a"]),
    "1c1\n< a\n\\ No newline at end of file\n---\n> a\n",
  );
  assert.equal(normalDiff(["@@ -0,0 +1,1 @@", "+a"]), "0a1\n> a\n");
});

function command(
  disk = new FakeFileSystem(),
): (name: string, ...args: string[]) => Promise<Printed & { given?: string[] }> {
  const commands = ownCommands(new BashFiles(disk.fs, new ErrorTexts(), new Map()));
  return (name, ...args) => {
    const origCommand = (given: string[]): Promise<Printed> =>
      Promise.resolve({ stdout: "", stderr: "", exitCode: 0, given });
    const context = { cwd: "/", stdin: "", exportedEnv: { USER: "me", A: "b" }, origCommand };
    return commands[name]?.(args, context) ?? assert.fail(name);
  };
}

Deno.test("options and their values may be one word", async () => {
  const run = command();
  const given = async (...words: string[]): Promise<string> => {
    const [name = "", ...args] = words;
    return ((await run(name, ...args)).given ?? []).join(" ");
  };
  assert.equal(await given("xargs", "-0n1", "-I{}", "echo", "-n1"), "-0 -n 1 -I {} echo -n1");
  assert.equal(await given("xargs", "-n", "2", "ls", "-la"), "-n 2 ls -la");
  assert.equal(await given("paste", "-sd+"), "-s -d + -");
  assert.equal(await given("paste", "-d", ",", "a"), "-d , a");
  assert.equal(await given("sleep", ".5", "1"), "0.5 1");
  assert.equal(await given("grep", "--color=auto", "a", "--colour"), "a");
});

Deno.test("env shows what is exported", async () => {
  assert.equal((await command()("env")).stdout, "USER=me\nA=b\n");
  assert.deepEqual((await command()("printenv", "A")).given, ["A"]);
});

Deno.test("a trap is told to be none", async () => {
  const { stderr, exitCode } = await command()("trap", "x", "EXIT");
  assert.match(stderr, /no traps/);
  assert.equal(exitCode, 0);
});

Deno.test("ls lists files, folders, and folders in folders", async () => {
  const disk = new FakeFileSystem({ "/d/b": "bb", "/d/.h": "", "/d/a/x": "", "/f": "f" });
  disk.symlink("/nowhere", "/d/l");
  disk.chmod("/d/b", 0o755);
  const run = command(disk);
  const out = async (...args: string[]): Promise<string> => (await run("ls", ...args)).stdout;
  assert.equal(await out("d"), "a\nb\nl\n");
  assert.equal(await out("-aF", "d"), "./\n../\n.h\na/\nb*\nl@\n");
  assert.equal(await out("-A", "d"), ".h\na\nb\nl\n");
  assert.equal(await out("d", "f"), "f\n\nd:\na\nb\nl\n");
  assert.equal(await out("f", "d/b"), "d/b\nf\n");
  assert.equal(await out("-d", "d", "f"), "d\nf\n");
  assert.equal(await out("-r", "--color=auto", "d"), "l\nb\na\n");
  assert.equal(await out("-S", "d").then((text) => text.split("\n")[0]), "b");
  assert.equal(await out("-R", "d"), "d:\na\nb\nl\n\nd/a:\nx\n");
  disk.utime("/d/b", 0, new Date(2020, 1, 3).getTime());
  assert.equal(await out("-t", "d").then((text) => text.split("\n")[0]), "b");
  assert.equal(await out("-l", "d/b"), "-rwxr-xr-x 1 me me 2 Feb  3  2020 d/b\n");
  assert.match(await out("-l", "d"), /^total 1\ndrwxr-xr-x 1 me me 0 .* a\n.* l -> \/nowhere\n$/s);
});

Deno.test("ls says what it can't find, and which option it has not", async () => {
  const missing = await command()("ls", "none");
  assert.deepEqual([missing.stderr, missing.exitCode], [
    "ls: cannot access 'none': No such file or directory\n",
    2,
  ]);
  assert.match((await command()("ls", "--what")).stderr, /unrecognized option '--what'/);
  assert.match((await command()("ls", "-lZ")).stderr, /'-Z'/);
});
