/** Commands that the interpreter lacks, or does less well than people expect. */

import type { BashFiles } from "./bash_files.ts";
import { ls } from "./bash_ls.ts";

/** What a command is given: `stdin` has a character for each byte. */
export interface CommandContext {
  /** The interpreter's own command of this name. */
  readonly origCommand?: (args: string[]) => Promise<Printed>;
  readonly cwd: string;
  readonly stdin: string;
  readonly exportedEnv?: Readonly<Record<string, string>>;
}

/** What a command printed, with its exit code. */
export interface Printed {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
  readonly [more: string]: unknown;
}

/** A command. */
export type Execute = (args: string[], context: CommandContext) => Promise<Printed>;

/** The commands, by name. `fs` is what they see of files. */
export function ownCommands(fs: BashFiles): Readonly<Record<string, Execute>> {
  return {
    ls: (args, { cwd, exportedEnv }) => {
      const owner = exportedEnv?.USER ?? "user";
      return ls(args, { fs, cwd, owner, now: Date.now() }).then((listed) => ({ ...listed }));
    },
    diff,
    env: environment,
    printenv: environment,
    grep: colourless,
    egrep: colourless,
    fgrep: colourless,
    paste,
    sleep,
    xargs,
    trap,
  };
}

function original(args: string[], { origCommand }: CommandContext): Promise<Printed> {
  if (origCommand === undefined) throw new TypeError("The interpreter has no such command");
  return origCommand(args);
}

function printed(stdout: string, stderr = "", exitCode = 0): Promise<Printed> {
  return Promise.resolve({ stdout, stderr, exitCode });
}

/** Without arguments, the variables that are exported; the interpreter shows all. */
function environment(args: string[], context: CommandContext): Promise<Printed> {
  if (args.length > 0) return original(args, context);
  const variables = Object.entries(context.exportedEnv ?? {});
  return printed(variables.map(([name, value]) => `${name}=${value}\n`).join(""));
}

/** A command that is not to fail since it knows no colours. */
function colourless(args: string[], context: CommandContext): Promise<Printed> {
  return original(args.filter((word) => !isColour(word)), context);
}

function isColour(word: string): boolean {
  return /^--colou?r(=|$)/.test(word);
}

/** Letters of one word as words of their own: those in `valued` have the rest as their value. */
function detached(word: string, valued: string, plain = ""): string[] {
  const words: string[] = [];
  if (!/^-[^-]/.test(word)) return [word];
  for (let index = 1; index < word.length; index++) {
    const letter = word.charAt(index);
    if (valued.includes(letter)) {
      const value = word.slice(index + 1);
      return [...words, `-${letter}`, ...value === "" ? [] : [value]];
    }
    if (!plain.includes(letter)) return [word];
    words.push(`-${letter}`);
  }
  return words;
}

/** Takes values that follow their option at once, and stdin where no file is named. */
function paste(args: string[], context: CommandContext): Promise<Printed> {
  const words = args.flatMap((word) => detached(word, "d", "s"));
  const files = words.filter((word, index) =>
    (word === "-" || !word.startsWith("-")) && words[index - 1] !== "-d"
  );
  return original(files.length > 0 ? words : [...words, "-"], context);
}

/** Takes `.5` as well. */
function sleep(args: string[], context: CommandContext): Promise<Printed> {
  return original(args.map((word) => word.startsWith(".") ? `0${word}` : word), context);
}

const XARGS_VALUED = "nIPLdsEa";

/** Takes values that follow their option at once, as in `-n1`. */
function xargs(args: string[], context: CommandContext): Promise<Printed> {
  const words: string[] = [];
  const rest = [...args];
  while (rest[0]?.startsWith("-")) {
    const split = detached(rest.shift() ?? "", XARGS_VALUED, "0rt");
    const last = split.at(-1) ?? "";
    words.push(...split);
    if (last.length === 2 && XARGS_VALUED.includes(last.charAt(1)) && rest.length > 0) {
      words.push(rest.shift() ?? "");
    }
  }
  return original([...words, ...rest], context);
}

/** Says that there is none, but lets a script go on: what a trap is for seldom happens. */
function trap(): Promise<Printed> {
  return printed("", "trap: there are no traps in this shell; the command is ignored\n");
}

/** The interpreter has unified output only, and with one line too much. */
async function diff(args: string[], context: CommandContext): Promise<Printed> {
  const words = args.filter((word) => !isColour(word) && word !== "--normal");
  const result = await original(words, context);
  const lines = result.stdout.split("\n");
  if (!lines[0]?.startsWith("=====")) return result;
  const unified = lines.slice(1);
  const wanted = args.some((word) => /^-[a-zA-Z]*u|^--unified|^-U/.test(word));
  return { ...result, stdout: wanted ? unified.join("\n") : normalDiff(unified) };
}

/** Lines that changed together, and how many lines were read before them on each side. */
interface Change {
  readonly before: readonly [number, number];
  readonly removed: string[];
  readonly added: string[];
}

/** diff's own format from the lines of a unified one. */
export function normalDiff(lines: readonly string[]): string {
  const changes: Change[] = [];
  let [old, now] = [0, 0];
  let change: Change | undefined;
  for (const line of lines) {
    const hunk = line.match(/^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/);
    if (hunk !== null) {
      old = Number(hunk[1]) - (hunk[2] === "0" ? 0 : 1);
      now = Number(hunk[3]) - (hunk[4] === "0" ? 0 : 1);
      change = undefined;
    } else if (/^(?:--- |\+\+\+ )/.test(line) && changes.length === 0 && change === undefined) {
      continue;
    } else if (line.startsWith("\\")) {
      const side = change?.added.length ? change.added : change?.removed;
      side?.push(line);
    } else if (line.startsWith("-") || line.startsWith("+")) {
      if (change === undefined) {
        change = { before: [old, now], removed: [], added: [] };
        changes.push(change);
      }
      (line.startsWith("-") ? change.removed : change.added).push(line.slice(1));
      if (line.startsWith("-")) old++;
      else now++;
    } else {
      change = undefined;
      old++;
      now++;
    }
  }
  return changes.map(wordChange).join("");
}

function wordChange({ before: [old, now], removed, added }: Change): string {
  const counts = [removed, added].map((side) =>
    side.filter((line) => !line.startsWith("\\ No newline")).length
  );
  const [gone = 0, come = 0] = counts;
  const kind = gone === 0 ? "a" : come === 0 ? "d" : "c";
  const head = `${range(old, gone)}${kind}${range(now, come)}\n`;
  const mark = (sign: string) => (line: string): string =>
    line.startsWith("\\ No newline") ? `${line}\n` : `${sign} ${line}\n`;
  const between = kind === "c" ? "---\n" : "";
  return head + removed.map(mark("<")).join("") + between + added.map(mark(">")).join("");
}

/** Line numbers of `count` lines after `before`; of the line in front where there are none. */
function range(before: number, count: number): string {
  if (count <= 1) return `${before + count}`;
  return `${before + 1},${before + count}`;
}
