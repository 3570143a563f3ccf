/** `ls`, with the options that people use, for the interpreter's own knows no modes and no times. */

import type { BashFiles, BashStat } from "./bash_files.ts";

/** What is shown, and how. */
interface Options {
  /** -a and -A. */
  readonly hidden: boolean;
  readonly dots: boolean;
  readonly long: boolean;
  readonly human: boolean;
  readonly recursive: boolean;
  readonly reverse: boolean;
  readonly folders: boolean;
  readonly marks: boolean;
  readonly slashes: boolean;
  readonly inodes: boolean;
  readonly by: "name" | "time" | "size" | "none";
}

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly stat: BashStat;
}

/** What `ls` prints. */
export interface Listed {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Where `ls` looks. */
export interface Surroundings {
  readonly fs: BashFiles;
  readonly cwd: string;
  readonly owner: string;
  /** Milliseconds; older files are shown with their year. */
  readonly now: number;
}

const LETTERS = "aAlhRrdFpi1tSUGgonkLHqwcfBC";
const HALF_YEAR_MS = 182 * 24 * 3600 * 1000;
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

/** Lists files and folders. */
export async function ls(args: readonly string[], place: Surroundings): Promise<Listed> {
  const { letters, names, unknown } = parse(args);
  if (unknown !== undefined) {
    return { stdout: "", stderr: `ls: unrecognized option '${unknown}'\n`, exitCode: 2 };
  }
  const lister = new Lister(optionsOf(letters), place);
  await lister.list(names.length > 0 ? names : ["."], names.length > 1);
  return lister.result();
}

function parse(
  args: readonly string[],
): { letters: string; names: string[]; unknown?: string | undefined } {
  let letters = "";
  const names: string[] = [];
  let ended = false;
  for (const word of args) {
    if (ended || !word.startsWith("-") || word === "-") names.push(word);
    else if (word === "--") ended = true;
    else if (/^--colou?r(=|$)|^--group-directories-first$/.test(word)) continue;
    else if (word.startsWith("--")) {
      const letter = LONG[word];
      if (letter === undefined) return { letters, names, unknown: word };
      letters += letter;
    } else {
      const unknown = [...word.slice(1)].find((letter) => !LETTERS.includes(letter));
      if (unknown !== undefined) return { letters, names, unknown: `-${unknown}` };
      letters += word.slice(1);
    }
  }
  return { letters, names };
}

const LONG: Readonly<Record<string, string>> = {
  "--all": "a",
  "--almost-all": "A",
  "--classify": "F",
  "--directory": "d",
  "--human-readable": "h",
  "--inode": "i",
  "--recursive": "R",
  "--reverse": "r",
};

function optionsOf(letters: string): Options {
  const has = (letter: string): boolean => letters.includes(letter);
  const last = [...letters].findLast((letter) => "tSUf".includes(letter));
  return {
    hidden: has("a") || has("A") || has("f"),
    dots: has("a") || has("f"),
    long: has("l") || has("o") || has("g") || has("n"),
    human: has("h"),
    recursive: has("R"),
    reverse: has("r"),
    folders: has("d"),
    marks: has("F"),
    slashes: has("p"),
    inodes: has("i"),
    by: last === "t" ? "time" : last === "S" ? "size" : last === undefined ? "name" : "none",
  };
}

class Lister {
  readonly #options: Options;
  readonly #place: Surroundings;
  #blocks: string[] = [];
  #stderr = "";
  #exitCode = 0;

  constructor(options: Options, place: Surroundings) {
    this.#options = options;
    this.#place = place;
  }

  result(): Listed {
    return { stdout: this.#blocks.join("\n"), stderr: this.#stderr, exitCode: this.#exitCode };
  }

  async list(names: readonly string[], several: boolean): Promise<void> {
    const { folders, recursive, long } = this.#options;
    const files: Entry[] = [];
    const inside: Entry[] = [];
    for (const name of names) {
      const entry = await this.#entry(name, name, !long && !folders);
      if (entry === undefined) continue;
      (entry.stat.isDirectory && !folders ? inside : files).push(entry);
    }
    if (files.length > 0) this.#blocks.push(await this.#lines(this.#sorted(files)));
    for (const folder of this.#sorted(inside)) {
      await this.#folder(folder, several || recursive);
    }
  }

  async #folder({ name, path }: Entry, named: boolean): Promise<void> {
    const { fs } = this.#place;
    const { hidden, dots, long, recursive } = this.#options;
    let names: string[];
    try {
      names = (await fs.readdir(path)).filter((child) => hidden || !child.startsWith("."));
    } catch {
      this.#fail(`cannot open directory '${name}'`, 2);
      return;
    }
    const entries: Entry[] = [];
    for (const child of [...dots ? [".", ".."] : [], ...names]) {
      const entry = await this.#entry(child, `${path}/${child}`, false);
      if (entry !== undefined) entries.push(entry);
    }
    const sorted = this.#sorted(entries);
    const blocks = sorted.reduce((sum, { stat }) => sum + Math.ceil(stat.size / 1024), 0);
    const head = (named ? `${name}:\n` : "") + (long ? `total ${blocks}\n` : "");
    this.#blocks.push(head + await this.#lines(sorted));
    if (!recursive) return;
    for (const entry of sorted) {
      if (!entry.stat.isDirectory || entry.name === "." || entry.name === "..") continue;
      const below = `${name === "/" ? "" : name}/${entry.name}`;
      await this.#folder({ ...entry, name: below }, true);
    }
  }

  /** The entry, of what a link leads to if it is to be followed and leads to something. */
  async #entry(name: string, path: string, follow: boolean): Promise<Entry | undefined> {
    const { fs, cwd } = this.#place;
    const full = fs.resolvePath(cwd, path);
    try {
      const stat = await fs.lstat(full);
      if (!follow || !stat.isSymbolicLink) return { name, path: full, stat };
      return { name, path: full, stat: await fs.stat(full).catch(() => stat) };
    } catch {
      this.#fail(`cannot access '${name}'`, 2);
      return undefined;
    }
  }

  #fail(what: string, code: number): void {
    this.#stderr += `ls: ${what}: No such file or directory\n`;
    this.#exitCode = code;
  }

  #sorted(entries: readonly Entry[]): Entry[] {
    const { by, reverse } = this.#options;
    if (by === "none") return [...entries];
    const byName = (a: Entry, b: Entry): number => a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
    const compare = (a: Entry, b: Entry): number => {
      if (by === "time") return b.stat.mtime.getTime() - a.stat.mtime.getTime() || byName(a, b);
      if (by === "size") return b.stat.size - a.stat.size || byName(a, b);
      return byName(a, b);
    };
    const sorted = [...entries].sort(compare);
    return reverse ? sorted.reverse() : sorted;
  }

  async #lines(entries: readonly Entry[]): Promise<string> {
    const { long, inodes } = this.#options;
    const sizes = entries.map(({ stat }) => this.#size(stat.size));
    const width = Math.max(...sizes.map((size) => size.length), 0);
    const inodeWidth = Math.max(...entries.map(({ stat }) => `${stat.ino}`.length), 0);
    const lines = [];
    for (const [index, entry] of entries.entries()) {
      const inode = inodes ? `${`${entry.stat.ino}`.padStart(inodeWidth)} ` : "";
      const size = (sizes[index] ?? "").padStart(width);
      const details = long ? this.#details(entry.stat, size) : "";
      lines.push(`${inode}${details}${entry.name}${await this.#mark(entry)}\n`);
    }
    return lines.join("");
  }

  #details(stat: BashStat, size: string): string {
    const { owner, now } = this.#place;
    return `${modeOf(stat)} 1 ${owner} ${owner} ${size} ${timeOf(stat.mtime, now)} `;
  }

  async #mark({ path, stat }: Entry): Promise<string> {
    const { long, marks, slashes } = this.#options;
    if (long && stat.isSymbolicLink) return ` -> ${await this.#place.fs.readlink(path)}`;
    if ((marks || slashes) && stat.isDirectory) return "/";
    if (!marks) return "";
    if (stat.isSymbolicLink) return "@";
    return (stat.mode & 0o111) !== 0 ? "*" : "";
  }

  #size(bytes: number): string {
    if (!this.#options.human || bytes < 1024) return `${bytes}`;
    let size = bytes;
    let unit = -1;
    while (size >= 1024) {
      size /= 1024;
      unit++;
    }
    const shown = size < 10 ? (Math.ceil(size * 10) / 10).toFixed(1) : `${Math.ceil(size)}`;
    return `${shown}${"KMGTP"[unit] ?? ""}`;
  }
}

function modeOf({ isDirectory, isSymbolicLink, mode }: BashStat): string {
  const bits = [..."rwxrwxrwx"].map((letter, place) => mode >> (8 - place) & 1 ? letter : "-");
  return (isDirectory ? "d" : isSymbolicLink ? "l" : "-") + bits.join("");
}

function timeOf(time: Date, now: number): string {
  const month = MONTHS.slice(3 * time.getMonth(), 3 * time.getMonth() + 3);
  const day = `${time.getDate()}`.padStart(2);
  const age = now - time.getTime();
  if (age < 0 || age > HALF_YEAR_MS) return `${month} ${day}  ${time.getFullYear()}`;
  const hours = `${time.getHours()}`.padStart(2, "0");
  return `${month} ${day} ${hours}:${`${time.getMinutes()}`.padStart(2, "0")}`;
}
