/**
 * Changes of a script's syntax tree, above all to have its output shown while it runs.
 *
 * The interpreter gives all output at the end. So in each command whose output nobody takes, which is
 * neither in a pipe nor redirected nor in a function, stdout and stderr are redirected to two paths
 * that stand for the cell. Only the syntax tree is changed, and nothing that a script can see, but for
 * a command that opens descriptors for good (`exec >file`): then all is left as it is.
 */

/** Paths that stand for the cell's outputs. */
export const STDOUT = "/dev/cell/stdout";
export const STDERR = "/dev/cell/stderr";

/** Behind the name of a program whose stdout is the cell's. */
export const DIRECT = "@cell";

export interface Word {
  readonly type: "Word";
  readonly parts: readonly { readonly type: string; readonly value?: string }[];
}

export interface Redirection {
  readonly type: "Redirection";
  readonly fd: number | null;
  readonly operator: string;
  readonly target: unknown;
}

/** A command of any kind, with the members of those that are looked at. */
export interface Command {
  readonly type: string;
  name?: Word | string | null;
  redirections?: Redirection[];
  readonly body?: readonly Statement[] | Command;
  readonly condition?: readonly Statement[] | unknown;
  readonly clauses?: readonly {
    readonly condition: readonly Statement[];
    readonly body: readonly Statement[];
  }[];
  readonly elseBody?: readonly Statement[] | null;
  readonly items?: readonly { readonly body: readonly Statement[] }[];
}

export interface Pipeline {
  readonly commands: readonly Command[];
  /** For each pipe, whether it takes stderr too. */
  readonly pipeStderr?: readonly boolean[];
}

export interface Statement {
  readonly pipelines: readonly Pipeline[];
}

export interface Script {
  readonly statements: readonly Statement[];
}

/** Commands that end or leave something, or open descriptors. */
const LEFT_ALONE: ReadonlySet<string> = new Set([
  ...["exec", "exit", "return", "break", "continue"],
]);

/** A script that may open descriptors for good. */
const OPENS = /(?:^|[\s;&|({'"`])exec\s/;

/** Commands that hold others. */
const COMPOUND: ReadonlySet<string> = new Set([
  ...["Case", "CStyleFor", "For", "Group", "If", "Subshell", "Until", "While"],
]);

/**
 * Changes the tree of a script, in place. `programs` are the commands that can write to the cell
 * themselves, line by line.
 */
export function showOutputs(script: Script, source: string, programs: ReadonlySet<string>): void {
  if (OPENS.test(source)) return;
  showStatements(script.statements, programs);
}

function showStatements(statements: readonly Statement[], programs: ReadonlySet<string>): void {
  for (const { pipelines } of statements) {
    for (const pipeline of pipelines) showPipeline(pipeline, programs);
  }
}

function showPipeline(
  { commands, pipeStderr = [] }: Pipeline,
  programs: ReadonlySet<string>,
): void {
  for (const [index, command] of commands.entries()) {
    const isLast = index === commands.length - 1;
    if (commands.length === 1 && isOpen(command)) {
      for (const body of bodiesOf(command)) showStatements(body, programs);
      continue;
    }
    if (!canBeRedirected(command)) continue;
    if (isLast) nameDirect(command, programs);
    const outputs = [
      ...isLast ? [redirection(1, STDOUT)] : [],
      ...pipeStderr[index] === true ? [] : [redirection(2, STDERR)],
    ];
    command.redirections = [...outputs, ...command.redirections ?? []];
  }
}

/** Whether what happens inside can be seen from outside as it happens. */
function isOpen(command: Command): boolean {
  return COMPOUND.has(command.type) && command.redirections?.length === 0;
}

function* bodiesOf(command: Command): Generator<readonly Statement[]> {
  for (const { condition, body } of command.clauses ?? []) {
    yield condition;
    yield body;
  }
  for (const { body } of command.items ?? []) yield body;
  if (command.elseBody) yield command.elseBody;
  if (isLoop(command) && Array.isArray(command.condition)) yield command.condition;
  if (Array.isArray(command.body)) yield command.body;
}

function isLoop({ type }: Command): boolean {
  return type === "While" || type === "Until";
}

function canBeRedirected(command: Command): boolean {
  if (command.redirections === undefined) return false;
  if (command.type !== "SimpleCommand") return COMPOUND.has(command.type);
  const name = literal(command.name);
  // An assignment has no name, and with a redirection would lose its exit code.
  return command.name !== null && !(name !== undefined && LEFT_ALONE.has(name));
}

function nameDirect(command: Command, programs: ReadonlySet<string>): void {
  const name = literal(command.name);
  if (name === undefined || !programs.has(name)) return;
  if (command.redirections?.some(({ operator }) => operator.includes(">"))) return;
  command.name = word(`${name}${DIRECT}`);
}

function literal(name: Command["name"]): string | undefined {
  if (typeof name !== "object" || name === null || name.parts.length !== 1) return undefined;
  const [part] = name.parts;
  return part?.type === "Literal" ? part.value : undefined;
}

function redirection(fd: number, path: string): Redirection {
  return { type: "Redirection", fd, operator: ">>", target: word(path) };
}

function word(value: string): Word {
  return { type: "Word", parts: [{ type: "Literal", value }] };
}

/** `for x; do` is `for x in "$@"; do`, which the interpreter splits at spaces. Changes the tree. */
export function correctLoops(node: unknown): void {
  if (typeof node !== "object" || node === null) return;
  const { type, words } = node as { type?: unknown; words?: unknown };
  if (type === "For" && words === null) Object.assign(node, { words: [ARGUMENTS] });
  for (const child of Object.values(node)) correctLoops(child);
}

const ARGUMENTS = {
  type: "Word",
  parts: [{
    type: "DoubleQuoted",
    parts: [{ type: "ParameterExpansion", parameter: "@", operation: null }],
  }],
};
